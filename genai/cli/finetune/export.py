"""`genai finetune export RUN FOLDER`: a model that others can use, tested and with its papers."""

import argparse
from pathlib import Path

import genai
from genai.finetune.export import export_run
from genai.wiring.tuning import run_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("run", metavar="RUN", help="its name or folder")
    parser.add_argument("folder", type=Path, help="where to write it")
    parser.add_argument("--adapter", action="store_true", help="the adapter alone, not merged")
    parser.add_argument("--force", action="store_true", help="also what the evals refuse")
    parser.add_argument("--gguf", type=Path, metavar="CONVERTER",
                        help="llama.cpp's convert_hf_to_gguf.py")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Write the folder and say what was tested."""
    made = export_run(
        run_folder(options.run), genai.find_project(), options.folder,
        merge=not options.adapter, force=options.force, gguf=options.gguf,
    )  # fmt: skip
    if made.difference is not None:
        print(f"merged: logits differ by {made.difference:.2g} at the most, {made.same} of"
              f" {made.asked} answers are the same")  # fmt: skip
    print(f"written: {made.folder} (weights {made.weights[:16]}), with README.md, lock, gate record"
          f" and SHA256SUMS; servers: {', '.join(made.words)}")  # fmt: skip
    return 0

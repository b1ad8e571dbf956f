"""Fine-tuning on a GPU: tokens a second and memory of SFT and DPO, beside TRL and a bare loop.

    python benchmarks/gpu_finetune.py [--shapes 0.1B 1B 8B] [--rounds 3] [--cpu]

Llama shapes with random weights: 0.1B and 1B train all weights, 8B a QLoRA adapter. Where a package
is missing its rows are left out and it is said. `--cpu` trains the demo's shape for a few steps, to
try the program itself. Prints Markdown; `gpu_finetune.sh` writes it where it belongs.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from finetune import Work, apart, prepare

PACKAGES = ("torch", "transformers", "trl", "datasets", "peft", "accelerate", "bitsandbytes",
            "flash_attn")  # fmt: skip
BATCHES = {"demo": 8, "0.1B": 32, "1B": 16, "8B": 4}
TOKENS = 1024


def who_can() -> tuple[list[str], list[str]]:
    """Give the trainers that can run here, and what must be said of the others."""
    missing = [name for name in ("trl", "datasets") if find_spec(name) is None]
    if not missing:
        return ["ours", "TRL script", "bare loop"], []
    said = (
        f"{' and '.join(missing)} not installed, so neither our run nor a TRL script is measured:"
        " put their wheels, and those of dill and multiprocess, into a folder and name it WHEELS"
    )
    return ["bare loop"], [said]


def work_of(folder: Path, shape: str, method: str, steps: int, *, gpu: bool) -> Work:
    """Give the training of a shape: what `auto` in a recipe would choose on this machine."""
    adapter = method == "dpo" or shape == "8B"
    packed = method == "sft" and find_spec("flash_attn") is not None
    return Work(
        folder=folder, method=method, steps=steps, batch=BATCHES[shape], max_length=TOKENS if gpu
        else 64, learning_rate=1e-4, warmup=2, weight_decay=0.0, losses={"sigmoid": 1.0},
        lora=adapter, quantised=shape == "8B", log_every=5 if steps > 10 else 2,
        save_every=1_000_000, seed=0, precision="bf16" if gpu else "fp32",
        checkpointing=gpu and shape in ("1B", "8B"), packing=packed, random_weights=False,
    )  # fmt: skip


def measure(shape: str, options: argparse.Namespace, trainers: Sequence[str]) -> list[str]:
    """Give the rows of one shape."""
    gpu = not options.cpu
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, shape, TOKENS if gpu else 0, 2000, keep_weights=True)
        for method in ("sft", "dpo"):
            work = work_of(folder, shape, method, options.steps, gpu=gpu)
            found: dict[str, list[dict[str, float]]] = {}
            for _ in range(options.rounds):
                for who in trainers:
                    try:
                        each = apart(who, work, warm=options.steps // 3)
                    except (RuntimeError, subprocess.TimeoutExpired) as error:
                        said = " ".join(str(error).split())[:160].replace("|", "/")
                        lines.append(f"| {shape} | {method} | {who} | not measured: {said} | | |")
                        continue
                    found.setdefault(who, []).append(each)
            own = statistics.median(each["wall"] for each in found.get("ours", [])) if (
                "ours" in found
            ) else None  # fmt: skip
            for who, results in found.items():
                speed = statistics.median(each["wall"] for each in results)
                memory = [each["gib"] for each in results if "gib" in each]
                ratio = "" if own is None else f"{own / speed:.2f}x"
                size = f"{max(memory):.1f}" if memory else "no GPU"
                lines.append(
                    f"| {shape} | {method} | {who} | {speed:,.0f} | {size} | {ratio} |"
                )  # fmt: skip
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--shapes", nargs="+", choices=tuple(BATCHES), default=["0.1B", "1B", "8B"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args(arguments)
    import torch

    if not options.cpu and not torch.cuda.is_available():
        sys.exit("gpu_finetune: torch sees no GPU here; run it where one is, or try it with --cpu")
    if options.cpu:
        options.shapes, options.rounds, options.steps = ["demo"], 1, 6
    trainers, said = who_can()
    shapes = list(options.shapes)
    if "8B" in shapes and find_spec("bitsandbytes") is None:
        shapes.remove("8B")
        said.append("bitsandbytes is not installed, so 8B (QLoRA) is left out")
    if find_spec("flash_attn") is None:
        said.append("flash attention is not installed, so rows are padded and not packed")
    name = platform.processor() or "CPU" if options.cpu else torch.cuda.get_device_name(0)
    lines = [f"{name}; {', '.join(filter(None, map(_version, PACKAGES)))}.", ""]
    lines += [f"- {each}" for each in said] + ([""] if said else [])
    lines += ["| shape | method | who | tokens/s | GiB | ours is |", "|---|---|---|---|---|---|"]
    for shape in shapes:
        lines += measure(shape, options, trainers)
    print("\n".join(lines))
    return 0


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())

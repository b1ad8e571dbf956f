"""Fine-tuning: our runs beside a plain TRL script, TRL's own defaults and a bare PyTorch loop.

    python benchmarks/finetune.py [--rounds 5] [--steps 40] [--check 100000] [--support] [--write]

Everybody trains the same rows from the same weights with the same numbers, each in a process of its
own, in turn, on one thread; medians are taken. Tokens are counted from the first log after the
warm-up to the last. The judgement is by processor time, which other work on the machine touches
less; the clock's is shown beside. `--support` adds the demo's support preset from nothing to its
gate, run A beside it, and the walk of the handbook; `--write` writes
`benchmarks/results/finetune.md`.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))
sys.path.insert(0, str(HERE))
from finetune_demo import quick, support, verdict, walk  # noqa: E402 (programs beside this one)
from trainers import Marks, Work, loop, mark, trl  # noqa: E402

# hidden, layers, heads, MLP and vocabulary; `demo` keeps the demo's own
SHAPES: Mapping[str, tuple[int, int, int, int, int] | None] = {
    "demo": None,
    "0.1B": (768, 12, 12, 2048, 32_000),
    "1B": (2048, 16, 32, 8192, 32_000),
    "8B": (4096, 32, 32, 14_336, 128_256),
}
WARM = 10  # steps that are not counted
# the same processor with the instructions of those that many have
NO_BF16 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
DEFAULTS_WARM = 2  # with TRL's own defaults a step takes ten times as long
WORDS = (
    "alpha basket candle desert engine forest garden harbour island jacket kettle ladder market"
    " needle orange pencil quarry river saddle tunnel umbrella valley window yellow zebra anchor"
    " bridge copper dragon eagle feather glacier hammer insect jungle kitchen lantern mirror nickel"
).split()


def prepare(folder: Path, shape: str, tokens: int, rows: int, *, keep_weights: bool) -> None:
    """Write a base of a shape, rows of about so many tokens, and a dev set and suite to name."""
    from genai.finetune.demo import write_demo
    from genai.project import Project

    (folder / "finetune" / "demo").mkdir(parents=True)
    for suffix in ("yaml", "jsonl"):
        shutil.copy(
            HERE.parent / "finetune" / "demo" / f"support.{suffix}", folder / "finetune/demo"
        )
    made = write_demo("support", Project(folder, folder / ".genai"))
    for name in ("base", "sft.jsonl", "pairs.jsonl"):
        shutil.move(made / name, folder / name)
    sizes = SHAPES[shape]
    if sizes is not None:
        hidden, layers, heads, inner, vocabulary = sizes
        path = folder / "base" / "config.json"
        held = json.loads(path.read_text(encoding="utf-8"))
        held |= {
            "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": heads // 4 if heads > 16 else heads, "head_dim": hidden // heads,
            "intermediate_size": inner, "vocab_size": vocabulary, "initializer_range": 0.02,
            "max_position_embeddings": 4096, "tie_word_embeddings": False,
        }  # fmt: skip
        path.write_text(json.dumps(held), encoding="utf-8")
    if tokens:
        _long_rows(folder, tokens, rows)
    if keep_weights:
        _write_weights(folder / "base")


def _long_rows(folder: Path, tokens: int, rows: int) -> None:
    import random

    draw = random.Random(0)

    def words(count: float) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(int(count)))

    with (folder / "sft.jsonl").open("w") as sft, (folder / "pairs.jsonl").open("w") as pairs:
        for _ in range(rows):
            # a word is two to three tokens of the demo's tokenizer; half of a row is its answer
            length = tokens / 2.6 * draw.uniform(0.5, 1.0)
            asked, good, bad = words(length / 2), words(length / 2), words(length / 2)
            turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": good}]
            sft.write(json.dumps({"messages": turns}) + "\n")
            pairs.write(json.dumps({"prompt": asked, "chosen": good, "rejected": bad}) + "\n")


def _write_weights(base: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(
            AutoConfig.from_pretrained(base), dtype=torch.bfloat16
        )
    model.save_pretrained(base)


# -- one training --------------------------------------------------------------------------------


def ours(work: Work) -> Marks:
    """Train as `genai finetune run` does, without the dev score."""
    from genai.config import validate
    from genai.finetune import Recipe
    from genai.finetune.demo import recipe as demo_recipe
    from genai.finetune.train import Options, run
    from genai.project import Project

    given = demo_recipe("support", "sft" if work.method == "sft" else "dpo")
    given |= {
        "base": "base", "weights": "random" if work.random_weights else "pretrained",
        "max_length": work.max_length,
        "tuning": _tuning(work),
        "training": {
            "learning_rate": work.learning_rate, "steps": work.steps, "batch": work.batch,
            "warmup_steps": work.warmup, "weight_decay": work.weight_decay, "seed": work.seed,
            "log_every": work.log_every, "precision": work.precision,
            "activation_checkpointing": work.checkpointing, "packing": work.packing,
        },
        "preference": {"losses": work.losses},
    }  # fmt: skip
    given["data"][0]["path"] = "sft.jsonl" if work.method == "sft" else "pairs.jsonl"
    marks: Marks = []

    def say(line: str) -> None:
        if line.startswith("step ") and "loss" in line:
            marks.append(mark(int(line.split()[1]), 0, 0))

    recipe = validate(Recipe, given, "benchmark")
    project = Project(work.folder, work.folder / ".genai")
    outcome = run(recipe, project, Options(fresh=True, score=False, say=say))
    logged = [each for each in outcome.curves if "loss" in each]
    for each, said in zip(marks, logged, strict=True):
        each |= {"tokens": said["num_tokens"], "loss": said["loss"]}
    return marks


def _tuning(work: Work) -> dict[str, Any]:
    kind = "qlora" if work.quantised else "lora" if work.lora else "full"
    return {"kind": kind} if kind == "full" else {"kind": kind, "rank": 16, "alpha": 32}


TRAINERS: Mapping[str, Callable[[Work], Marks]] = {
    "ours": ours,
    "TRL script": trl,
    "TRL defaults": lambda work: trl(work, defaults=True),
    "bare loop": loop,
}


def speed(marks: Marks, warm: int) -> dict[str, float]:
    """Give tokens a second, by the clock and of processor time, and the last loss."""
    first = next(each for each in marks if each["step"] >= warm)
    last = marks[-1]
    tokens = last["tokens"] - first["tokens"]
    return {
        "wall": tokens / (last["wall"] - first["wall"]),
        "cpu": tokens / (last["cpu"] - first["cpu"]), "loss": last["loss"],
    }  # fmt: skip


def apart(
    who: str, work: Work, warm: int = WARM, *, environment: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Train in a process of its own; give its speed, and the memory of a GPU at its peak."""
    around = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
              "TOKENIZERS_PARALLELISM": "false", **(environment or {})}  # fmt: skip
    command = [sys.executable, "-W", "ignore", __file__, "--one", who, "--warm", str(warm),
               "--work", json.dumps({**asdict(work), "folder": str(work.folder)})]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=around, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{who}: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(options: argparse.Namespace) -> int:
    """Be the process of one training."""
    given = json.loads(options.work)
    work = Work(**{**given, "folder": Path(given["folder"])})
    with redirect_stdout(sys.stderr):
        found = speed(TRAINERS[options.one](work), options.warm)
    torch = sys.modules["torch"]
    if torch.cuda.is_available():
        found["gib"] = torch.cuda.max_memory_reserved() / 2**30
    print(json.dumps(found))
    return 0


def demo_work(folder: Path, steps: int) -> Work:
    """Give the training of the demo's support preset, cut to so many steps."""
    return Work(
        folder=folder, method="sft", steps=steps, batch=32, max_length=56, learning_rate=2e-3,
        warmup=5, weight_decay=0.01, losses={"sigmoid": 1.0}, lora=False, quantised=False,
        log_every=5, save_every=-(-steps // 4), seed=1, precision="fp32", checkpointing=False,
        packing=False, random_weights=True,
    )  # fmt: skip


def training(rounds: int, steps: int) -> list[str]:
    """Give the table of speeds. TRL's defaults hang on bf16, so they are tried without it too."""
    plain: Mapping[str, str] = {}
    entries = {who: (who, plain) for who in TRAINERS}
    entries |= {f"{who}, no bf16 in the CPU": (who, NO_BF16) for who in ("ours", "TRL defaults")}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in entries}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, "demo", 0, 0, keep_weights=False)
        work = demo_work(folder, steps)
        short = replace(work, steps=DEFAULTS_WARM + 4, log_every=2, save_every=100)
        for number in range(rounds):
            for label, (who, environment) in entries.items():
                slow = who == "TRL defaults"
                if (slow or environment) and number >= 3:
                    continue
                given, warm = (short, DEFAULTS_WARM) if slow else (work, WARM)
                found[label].append(apart(who, given, warm, environment=environment))
    middle = {
        who: {key: statistics.median(each[key] for each in results) for key in results[0]}
        for who, results in found.items()
    }
    lines = ["| who | tokens/s of processor | tokens/s | ours is | by the clock | last loss |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    ratios = {}
    for label, each in middle.items():
        own = middle["ours, no bf16 in the CPU" if entries[label][1] else "ours"]
        ratios[label] = own["cpu"] / each["cpu"]
        lines.append(
            f"| {label} | {each['cpu']:,.0f} | {each['wall']:,.0f} | {ratios[label]:.2f}x |"
            f" {own['wall'] / each['wall']:.2f}x | {each['loss']:.4f} |"
        )
    lines += [
        "",
        verdict("our run against a plain TRL script", ratios["TRL script"], ">=", 0.95),
        verdict("against TRL's own defaults where the CPU has no bf16",
                 ratios["TRL defaults, no bf16 in the CPU"], ">=", 5),
        verdict("against them on this CPU as it is", ratios["TRL defaults"], ">=", 5),
        verdict("our time over a bare loop's", 1 / ratios["bare loop"], "<=", 1.35),
        "", _same_losses(middle), f"TRL's defaults are stopped after {short.steps} steps. They"
        " compute in bf16: a CPU that multiplies it itself, as this one, loses little by them.",
    ]  # fmt: skip
    return lines


def _same_losses(middle: Mapping[str, Mapping[str, float]]) -> str:
    own, other = (middle[who]["loss"] for who in ("ours", "TRL script"))
    if own == other:
        return "The last loss of our run and of the TRL script is the same to the last digit."
    return f"The last loss of our run and of the TRL script differs by {abs(own - other):.2g}."


# -- the check -----------------------------------------------------------------------------------


def checking(rows: int) -> list[str]:
    """Give time and memory of `genai finetune check` on so many rows of prose-like text."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, "demo", 0, 0, keep_weights=False)
        _long_rows(folder, 110, rows)
        (folder / "configs").mkdir()
        (folder / "configs" / "genai.yaml").write_text("version: 1\n")
        path = folder / "configs" / "sft.yaml"
        text = (HERE.parent / "configs" / "sft.yaml").read_text(encoding="utf-8")
        for old, new in (
            (".genai/finetune/demo/quick/base", "base"),
            (".genai/finetune/demo/quick/sft.jsonl", "sft.jsonl"),
            (".genai/finetune/demo/quick/dev.yaml", ".genai/finetune/demo/support/dev.yaml"),
            ("finetune/demo/quick.yaml", "finetune/demo/support.yaml"), ("near: 1 ", "near: 0.8 "),
            ("pii: none", "pii: checked"),
        ):  # fmt: skip
            assert old in text, old
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        found = _measured([sys.executable, "-m", "genai", "finetune", "check"], folder)
    said, wall, cpu, peak = found
    if f"{rows} rows" not in said:
        raise RuntimeError(f"check: {said[-300:]}")
    return [
        f"{rows:,} rows, near copies at 0.8, personal data looked for: {wall:.0f} s by the clock,"
        f" {cpu:.0f} s of processor, {peak:.2f} GB at the peak.",
        "",
        verdict("`check`", cpu, "<=", 180 * rows / 100_000, " s"),
        verdict("its memory", peak, "<=", 1.0, " GB"),
    ]


def _measured(command: Sequence[str], folder: Path) -> tuple[str, float, float, float]:
    """Run a command; give what it said, its seconds, its processor's, and its memory in GB."""
    start = time.perf_counter()
    with (folder / "said.txt").open("w+") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=out,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        _, _, used = os.wait4(process.pid, 0)  # of this process alone, not of others before it
        out.seek(0)
        said = out.read()
    wall = time.perf_counter() - start
    return said, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--check", type=int, default=100_000, metavar="ROWS")
    parser.add_argument("--support", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", choices=tuple(TRAINERS), help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--warm", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        return one(options)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    lines = [
        "# Fine-tuning",
        f"\n{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {packages},"
        f" {os.cpu_count()} processors, one thread, load before the run {load}. Command:"
        " `python benchmarks/finetune.py --support --write`.",
        f"\n## Training, {options.steps} steps of the support preset, medians of"
        f" {options.rounds}\n",
        *training(options.rounds, options.steps),
    ]  # fmt: skip
    if options.check:
        lines += ["\n## The check\n", *checking(options.check)]
    if options.support:
        lines += ["\n## The quick preset\n", *quick()]
        lines += ["\n## The support preset\n", *support()]
        lines += ["\n## The walk of the handbook\n", *walk()]
    text = "\n".join(lines)
    print(text)
    if options.write:
        (HERE / "results" / "finetune.md").write_text(text + "\n", encoding="utf-8")
    return 1 if "MISSED" in text else 0


if __name__ == "__main__":
    sys.exit(main())

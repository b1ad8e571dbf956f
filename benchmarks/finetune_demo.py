"""The demo's part of the fine-tuning benchmark: the support preset, run A beside it, the walk."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WALK = "tests/test_finetune/test_chain.py"


def verdict(what: str, value: float, sign: str, limit: float, unit: str = "x") -> str:
    """Say whether a figure is what was wanted."""
    good = value >= limit if sign == ">=" else value <= limit
    return (
        f"- {what}: {value:.2f}{unit}, wanted {sign} {limit:g}{unit}: {'met' if good else 'MISSED'}"
    )


@contextmanager
def elsewhere() -> Iterator[None]:
    """Work in a folder of its own: the starter is the project, and its state lies there."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            yield
        finally:
            os.chdir(home)


def _preset(name: str) -> tuple[list[Any], list[str], float]:
    """Run a preset from nothing to its gate; give the gates, their table, and minutes it took."""
    import genai

    start, before = time.perf_counter(), time.process_time()
    made = genai.write_demo(name, genai.find_project())
    gates: list[Any] = []
    for method in ("sft", "dpo"):
        outcome = genai.train(made / f"{method}.yaml")
        gates += genai.judge(outcome.name)
    wall, cpu = time.perf_counter() - start, time.process_time() - before
    lines = [
        f"From nothing to the gate: {wall:.0f} s by the clock, {cpu:.0f} s of processor.", "",
        "| metric | before | after SFT | after DPO | DPO against SFT |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for sft, dpo in zip(gates[0].slices, gates[1].slices, strict=True):
        lines.append(
            f"| {sft.metric} | {sft.before:.3f} | {sft.after:.3f} | {dpo.after:.3f} | {dpo.word} |"
        )
    return gates, [*lines, ""], wall / 60


def quick() -> list[str]:
    """Run the quick preset from nothing to its gate; give its table."""
    with elsewhere():
        gates, lines, _ = _preset("quick")
    exact = [next(row for row in gate.slices if row.metric == "exact") for gate in gates]
    return [
        *lines,
        verdict("exact before", exact[0].before, "<=", 0, ""),
        verdict("exact after SFT (about .48)", exact[0].after, ">=", 0.40, ""),
        verdict("exact after DPO", exact[1].after, ">=", 0.95, ""),
    ]


def support() -> list[str]:
    """Run the support preset from nothing to its gate, and run A beside it; give its table."""
    with elsewhere():
        gates, lines, minutes = _preset("support")
        beside = run_a(gates[1])
    after = [{row.metric: row.after or 0.0 for row in gate.slices} for gate in gates]
    fell = [row.metric for row in gates[1].slices if row.gate and row.word == "REGRESSION"]
    return [
        *lines,
        verdict("exact after SFT", after[0]["exact"], ">=", 0.40, ""),
        verdict("exact after DPO", after[1]["exact"], ">=", 0.69, ""),
        verdict("null when absent", after[1]["null_when_absent"], ">=", 0.98, ""),
        verdict("slices that fell", len(fell), "<=", 0, ""),
        verdict("the whole of it", minutes, "<=", 12, " min"),
        "", beside,
    ]  # fmt: skip


def run_a(good: Any) -> str:
    """Train the run with the larger margin and the worse model; give its line beside `good`."""
    import genai
    from genai.config import validate
    from genai.finetune import Recipe
    from genai.finetune.demo import recipe as demo_recipe

    given = demo_recipe("support", "dpo")
    given |= {"name": "support-a", "preference": {"beta": 0.1, "losses": {"sigmoid": 1.0}}}
    given["training"] |= {"learning_rate": 5e-4, "steps": 150}
    run = genai.train(validate(Recipe, given, "support-a"), checked=True, yes=True)
    (gate,) = genai.judge(run.name)
    try:
        genai.promote(run.name)
        refused = "promotion is NOT refused: MISSED"
    except genai.InputError:
        refused = "promotion is refused"
    fell = ", ".join(
        f"{row.metric} {row.before:.3f} -> {row.after:.3f}"
        for row in gate.slices if row.gate and row.word == "REGRESSION"
    ) or "nothing fell: MISSED"  # fmt: skip
    margin, other = (each.trainer["rewards/margins"] for each in (gate, good))
    more = "" if margin > other else ", MISSED"
    return (
        f"Run A beside it (rate 5e-4, 150 steps, `sigmoid` alone): margin {margin:.2f} against"
        f" {other:.2f}{more}, {fell}, {gate.word}; {refused}."
    )


def walk() -> list[str]:
    """Walk as the handbook's commands do, from data to a served model and its card."""
    around = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", WALK, "-q", "-m", "not slow", "-p", "no:cacheprovider"],
        capture_output=True, text=True, cwd=HERE.parent, env=around, timeout=1800, check=False,
    )  # fmt: skip
    took = re.search(r"the walk took (\d+) s, (\d+) s of processor", done.stdout)
    if done.returncode or took is None:
        raise RuntimeError(f"the walk: {done.stdout[-500:]}")
    return [
        f"`{WALK}`, quick preset, data to served model and card: {took[2]} s of processor,"
        f" {took[1]} s by the clock.",
        "",
        verdict("the walk on two processors", float(took[1]), "<=", 120, " s"),
    ]

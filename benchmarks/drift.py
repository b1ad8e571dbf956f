"""Drift: how often a quiet week raises an alarm, and how often a planted shift is found.

    python benchmarks/drift.py [--weeks 1000] [--planted 100]

A reference of 14 days is compared with the 7 after them, 60 questions a day. Days differ by
themselves: their share of refusals, their length, speed and score each have a mood. A quiet week
comes from the same source; in the others one thing is shifted by a stated amount. A false alarm is
a week in which any figure is called moved, at a stated rate of 5 %. Prints Markdown and writes it
to `benchmarks/results/drift.md`.
"""

import argparse
import random
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from figures import Figure, table_of

from genai import stats
from genai.reports.drift import compare
from genai.types import Call, Context, Usage

HERE = Path(__file__).parent
DAY, FIRST = 86_400, 20_700
# name of the shift -> the figure that must be found, and what changes
SHIFTS: dict[str, tuple[str, dict[str, Any]]] = {
    "refusals 8 % to 18 %": ("refusal share", {"refuse": 0.18}),
    "questions 15 % longer": ("input_tokens", {"longer": 1.15}),
    "retrieval score lower by .5 sd": ("retrieval_score", {"score": 0.55}),
    "answers 25 % slower": ("seconds", {"slower": 1.25}),
    "a topic from 25 % to 40 %": ("topic", {"topic": 0.2}),
    "10 points more of another language": ("language", {"german": 0.2}),
    "support lower by .5 sd": ("support", {"support": 0.75}),
    "a judge's score lower by .75 sd, one answer in five judged": (
        "online judged", {"judged": 0.55},
    ),
    "thumbs from 10 % to 20 % of the answers": ("thumbs", {"thumbs": 0.2}),
    "thumbs down from 20 % to 60 % of the thumbs": ("thumbs down", {"down": 0.6}),
}  # fmt: skip


USUAL = {
    "refuse": 0.08, "longer": 1.0, "score": 0.6, "slower": 1.0, "topic": 0.0, "german": 0.1,
    "support": 0.8, "judged": 0.7, "thumbs": 0.1, "down": 0.2,
}  # fmt: skip


def days(dice: random.Random, numbers: range, **changes: float) -> Iterator[Call]:
    """Give the questions of some days, as usual but for the changes."""
    now = {**USUAL, **changes}
    for day in numbers:
        mood, length, pace = (dice.lognormvariate(0, s) for s in (0.15, 0.04, 0.06))
        height = dice.gauss(0, 0.02)
        for n in range(60):
            outcome = "refusal" if dice.random() < min(now["refuse"] * mood, 1) else "ok"
            tokens = int(dice.lognormvariate(6, 0.4) * now["longer"] * length)
            seconds = dice.lognormvariate(0.5, 0.5) * now["slower"] * pace
            about = "billing" if dice.random() < now["topic"] else dice.choice("abc") + "-topic"
            if about == "a-topic" or dice.random() < 0.02:
                about = "billing"
            yield Call(
                f"{day:010x}{n:018x}", "chain", (FIRST + day) * DAY + n * 60.0, seconds, outcome,
                "m", Context(prompt_id="p@1"), Usage(tokens, 50, source="provider"), tags={
                    "retrieval_score": now["score"] + height + dice.gauss(0, 0.1), "topic": about,
                    "language": "de" if dice.random() < now["german"] else "en",
                    "support": now["support"] + height + dice.gauss(0, 0.1), **_said(dice, now)},
            )  # fmt: skip


def _said(dice: random.Random, now: Mapping[str, float]) -> dict[str, float]:
    """Give what a person and a judge said of an answer, as other rows of the ledger hold it."""
    said = {"thumbs": float(dice.random() < now["thumbs"])}
    if said["thumbs"]:
        said["thumbs down"] = float(dice.random() < now["down"])
    if dice.random() < 0.2:
        said["online judged"] = now["judged"] + dice.gauss(0, 0.2)
    return said


def moved(seed: str, changes: dict[str, Any]) -> list[str]:
    """Give the figures that are called moved."""
    dice = random.Random(seed)
    before, now = list(days(dice, range(14))), list(days(dice, range(14, 21), **changes))
    return [each.figure for each in compare(before, now) if each.drifted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=1000)
    parser.add_argument("--planted", type=int, default=100)
    options = parser.parse_args()
    started = time.perf_counter()
    alarms = sum(bool(moved(f"quiet {n}", {})) for n in range(options.weeks))
    low, high = stats.wilson(alarms, options.weeks)
    lines = [
        "# Drift", "", f"{datetime.now(UTC):%Y-%m-%d}. Command: `python benchmarks/drift.py`.", "",
    ]  # fmt: skip
    rate = f"{alarms / options.weeks:.1%} ({low:.1%} to {high:.1%})"
    found = [Figure(f"quiet weeks with an alarm, of {options.weeks:,}", rate, "<= 5 %")]
    for name, (figure, changes) in SHIFTS.items():
        hits = sum(figure in moved(f"{name} {n}", changes) for n in range(options.planted))
        share = f"{hits / options.planted:.0%}"
        found.append(Figure(f"found of {options.planted}: {name}", share, ">= 80 %"))
    lines += [*table_of(found), "",
              "14 days of reference, 7 days compared, 60 questions a day; days differ by"
              " themselves. The stated rate is 5 % of false findings (Benjamini and Hochberg).",
              ""]  # fmt: skip
    text = "\n".join(lines)
    print(text)
    print(f"{time.perf_counter() - started:.0f} s")
    if options.weeks >= 1000:
        (HERE / "results" / "drift.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

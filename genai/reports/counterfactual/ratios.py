"""How many tokens the other way takes, and how good it is: two eval runs on the same cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genai import extras
from genai.errors import InputError
from genai.evals import Decision, Report, decide
from genai.evals.store import read_log
from genai.evals.trial import Trial

_DRAWS = 2000
_SEED = 20_260


@dataclass(frozen=True, slots=True)
class Ratios:
    """Tokens of the other way to those of now, on the same cases; a pair each of `draws`."""

    inward: float
    outward: float
    n: int
    suite: str
    draws: tuple[tuple[float, float], ...] = ()


def ratios(now: Report, then: Report) -> tuple[Ratios, Decision]:
    """Measure tokens and quality of two runs on the same cases.

    Raises:
        InputError: the runs are not of the same cases, or no case has token counts in both.
    """
    decision = decide(now.scorecard, then.scorecard, name=now.run)
    if not decision.comparisons:
        raise InputError(f"what-if: {then.run} cannot be compared: {decision.reason}")
    before, after = _tokens(now), _tokens(then)
    units = sorted(before.keys() & after.keys())
    # what a case sent and got, all its repeats together: cases are what is drawn
    cases: dict[str, list[int]] = {}
    for unit in units:
        held = cases.setdefault(before[unit][0], [0, 0, 0, 0])
        for at, value in enumerate((*before[unit][1:], *after[unit][1:])):
            held[at] += value
    total = [sum(each[at] for each in cases.values()) for at in range(4)]
    if not total[0] or not total[1]:
        raise InputError(
            f"what-if: {now.run} and {then.run} share no case with token counts; run a suite whose"
            " task is a model or a chain with an LLM"
        )
    drawn = _drawn(list(cases.values()))
    return Ratios(total[2] / total[0], total[3] / total[1], len(cases), now.suite, drawn), decision


def _tokens(report: Report) -> dict[str, tuple[str, int, int]]:
    found = {}
    for path in sorted(report.folder.glob("log-*.jsonl")):
        for line in read_log(path):
            if isinstance(line, Trial) and line.usage.source != "none":
                usage = line.usage
                found[line.unit] = (line.case_id, usage.input_tokens, usage.output_tokens)
    return found


def _drawn(cases: Sequence[Sequence[int]]) -> tuple[tuple[float, float], ...]:
    """Draw the cases again and again and give each time's two ratios."""
    np: Any = extras.load("numpy", "reports")
    values = np.array(cases, dtype=float)
    random = np.random.default_rng(_SEED)
    weights = random.multinomial(len(values), [1 / len(values)] * len(values), _DRAWS)
    sums = weights @ values
    sums = sums[(sums[:, 0] > 0) & (sums[:, 1] > 0)]
    return tuple(zip(map(float, sums[:, 2] / sums[:, 0]), map(float, sums[:, 3] / sums[:, 1]),
                     strict=True))  # fmt: skip

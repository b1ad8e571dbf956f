"""Judges that split a text into claims and check each against passages; and of the passages."""

from collections.abc import Sequence
from typing import Literal

from genai.evals.judge.ask import Said, Verdict, ask, asked, of_answers, verdicts
from genai.evals.scorers.answer import accepted
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import CannotMeasure, Score, Trial


class Claims(Said):
    """The claims of a text."""

    claims: list[str]


@of_answers(wrong=0.0, refusals=False)
async def faithfulness(trial: Trial, tools: Tools) -> Score:
    """Give the share of the answer's claims that the passages support.

    0 to 1. A refusal: does not apply. No claims in the answer: unmeasured (`empty_claims`). No
    passages: 0, as the answer has claims. Fewer verdicts than claims: unmeasured (`judge_parse`).
    A failed trial: 0.
    """
    claims = await _claims(trial, tools, trial.text, "the answer")
    if not trial.contexts:
        return Score(0.0, f"{len(claims)} claims and no passage")
    return _share(claims, await _supported(tools, claims, trial.contexts), "supported")


async def context_recall(trial: Trial, tools: Tools) -> Score | float | None:
    """Give the share of the accepted answer's claims that the passages support.

    0 to 1; the first accepted answer where there are several; None without `expected`. A refusal
    is judged by what it saw. No claims in the accepted answer: unmeasured (`empty_claims`), a
    fault of the case. No passages: 0. Fewer verdicts than claims: unmeasured (`judge_parse`). A
    failed trial: 0.
    """
    if trial.case.expected is None:
        return None
    if trial.state == "failed":
        return 0.0
    if not trial.contexts:
        return Score(0.0, "no passage")
    claims = await _claims(trial, tools, accepted(trial)[0], "the accepted answer")
    return _share(claims, await _supported(tools, claims, trial.contexts), "supported")


async def context_precision(trial: Trial, tools: Tools) -> Score | float | None:
    """Give the mean of precision@i over the ranks i of useful passages, 0 where none is useful.

    0 to 1. Useful: it helps to give an accepted answer, or any answer where the case has none. A
    case that should be refused, and a task that retrieved nothing: does not apply. Fewer verdicts
    than passages: unmeasured (`judge_parse`). A refusal is judged by what it saw. A failed
    trial: 0.
    """
    if trial.case.expect == "refusal":
        return None
    if trial.state == "failed":
        return 0.0
    if not trial.contexts:
        return None
    useful = await _useful(trial, tools)
    total, relevant = 0.0, 0
    for rank, each in enumerate(useful, start=1):
        relevant += each
        total += each * relevant / rank
    ranks = ", ".join(str(rank) for rank, each in enumerate(useful, start=1) if each) or "none"
    return Score(total / relevant if relevant else 0.0, f"useful ranks: {ranks}")


@of_answers(wrong=1.0, refusals=False)
async def noise_sensitivity(
    trial: Trial, tools: Tools, mode: Literal["relevant", "irrelevant"] = "relevant"
) -> Score | None:
    """Give the share of the answer's claims that are wrong and come from the passages.

    0 to 1, less is better. Wrong: no accepted answer supports it. With `mode: relevant` it stands
    in a useful passage, with `irrelevant` in a useless one and in no useful one. None without
    `expected` or passages; a refusal: does not apply. No claims: unmeasured (`empty_claims`).
    Fewer verdicts than claims: unmeasured (`judge_parse`). A failed trial: 1.
    """
    if mode not in ("relevant", "irrelevant"):
        raise ValueError(f"`mode` is {mode!r}; give `relevant` or `irrelevant`")
    if trial.case.expected is None or not trial.contexts:
        return None
    claims = await _claims(trial, tools, trial.text, "the answer")
    right = await _supported(tools, claims, accepted(trial))
    wrong = [claim for claim, each in zip(claims, right, strict=True) if not each.verdict]
    if wrong:
        useful = await _useful(trial, tools)
        from_useful = await _from(tools, wrong, trial.contexts, useful)
        if mode == "relevant":
            wrong = [claim for claim, found in zip(wrong, from_useful, strict=True) if found]
        else:
            wrong = [claim for claim, found in zip(wrong, from_useful, strict=True) if not found]
            useless = [not each for each in useful]
            found = await _from(tools, wrong, trial.contexts, useless)
            wrong = [claim for claim, each in zip(wrong, found, strict=True) if each]
    return Score(len(wrong) / len(claims), f"{len(wrong)} of {len(claims)} wrong from passages")


async def _claims(trial: Trial, tools: Tools, text: str, what: str) -> list[str]:
    said = await ask(tools, "claims", Claims, question=asked(trial.case), text=[text])
    claims = list(dict.fromkeys(each.strip() for each in said.claims if each.strip()))
    if not claims:
        raise CannotMeasure("empty_claims", f"case `{trial.case_id}`: {what} makes no claim")
    return claims


async def _supported(tools: Tools, claims: Sequence[str], passages: Sequence[str]) -> list[Verdict]:
    return await verdicts(tools, "support", len(claims), passages=passages, claims=claims)


async def _useful(trial: Trial, tools: Tools) -> list[bool]:
    case = trial.case
    wanted = accepted(trial) if case.expected is not None else ()
    given = {"expected": wanted} if wanted else {}
    found = await verdicts(
        tools, "usefulness", len(trial.contexts),
        question=asked(case), passages=trial.contexts, **given,
    )  # fmt: skip
    return [each.verdict for each in found]


async def _from(
    tools: Tools, claims: Sequence[str], passages: Sequence[str], chosen: Sequence[bool]
) -> list[bool]:
    """Say of each claim whether the chosen passages support it."""
    some = [passage for passage, each in zip(passages, chosen, strict=True) if each]
    if not claims or not some:
        return [False] * len(claims)
    return [each.verdict for each in await _supported(tools, claims, some)]


def _share(claims: Sequence[str], found: Sequence[Verdict], word: str) -> Score:
    missed = [claim for claim, each in zip(claims, found, strict=True) if not each.verdict]
    count = len(claims) - len(missed)
    reason = f"{count} of {len(claims)} claims {word}"
    return Score(count / len(claims), f"{reason}; not: {missed[0][:200]}" if missed else reason)


ALL: tuple[Scorer, ...] = (
    Scorer("faithfulness", faithfulness, needs=("judge",)),
    Scorer("context_recall", context_recall, needs=("judge", "expected")),
    Scorer("context_precision", context_precision, needs=("judge",)),
    Scorer(
        "noise_sensitivity", noise_sensitivity, better="lower", needs=("judge", "expected")
    ),
)  # fmt: skip
PROMPTS: dict[str, tuple[str, ...]] = {
    "faithfulness": ("claims", "support"),
    "context_recall": ("claims", "support"),
    "context_precision": ("usefulness",),
    "noise_sensitivity": ("claims", "support", "usefulness"),
}

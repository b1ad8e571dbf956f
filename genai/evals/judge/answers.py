"""Judges of a whole answer: to the point, right, better than another, and by a rubric."""

from collections.abc import Sequence
from typing import Literal

from genai.evals.judge.ask import Said, ask, asked, of_answers, verdicts
from genai.evals.scorers.answer import accepted
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import CannotMeasure, Score, Trial

_QUESTIONS = 3
_OTHER_WAY = {"first": "second", "second": "first", "tie": "tie"}


class Guess(Said):
    """A question that an answer could be the answer to."""

    question: str
    noncommittal: bool


class Guesses(Said):
    """Some such questions."""

    questions: list[Guess]


class Opinion(Said):
    """One yes or no on the whole."""

    reason: str
    verdict: bool


class Choice(Said):
    """Which of two answers is better."""

    reason: str
    better: Literal["first", "second", "tie"]


@of_answers(wrong=0.0)
async def answer_relevancy(trial: Trial, tools: Tools) -> Score:
    """Give the mean cosine of the question with 3 questions made from the answer.

    0 to 1 (a negative cosine is 0); 0 where all 3 call the answer noncommittal. A right refusal:
    does not apply; one where an answer was due, and a failed trial: 0. Other than 3 questions:
    unmeasured (`judge_parse`). Unmeasured (`missing_field`) without an embedder.
    """
    if tools.embed is None:
        raise CannotMeasure("missing_field", "answer_relevancy needs an embedder")
    said = await ask(tools, "questions", Guesses, answer=[trial.text])
    guesses = [each for each in said.questions if each.question.strip()]
    if len(guesses) != _QUESTIONS:
        raise CannotMeasure(
            "judge_parse",
            f"judge {tools.judge_name}: {_QUESTIONS} questions wanted, got {len(guesses)}",
        )
    if all(each.noncommittal for each in guesses):
        return Score(0.0, "noncommittal")
    texts = [trial.case.question, *(each.question for each in guesses)]
    vectors = tools.embed([each.encode("utf-8", "replace").decode() for each in texts])
    question, *others = [[float(number) for number in row] for row in vectors]
    cosines = [sum(a * b for a, b in zip(question, row, strict=True)) for row in others]
    mean = sum(min(1.0, max(0.0, each)) for each in cosines) / len(cosines)
    return Score(mean, f"as if asked: {guesses[0].question[:200]}")


@of_answers(wrong=False)
async def correctness(trial: Trial, tools: Tools) -> Score | None:
    """Say whether the answer gives the facts of an accepted answer and contradicts none.

    True or False; None without `expected`. A right refusal: does not apply; one where an answer
    was due, and a failed trial: False.
    """
    if trial.case.expected is None:
        return None
    said = await ask(
        tools, "correctness", Opinion,
        question=asked(trial.case), expected=accepted(trial), answer=[trial.text],
    )  # fmt: skip
    return Score(said.verdict, said.reason)


@of_answers(wrong=0.0)
async def pairwise(trial: Trial, tools: Tools, other: str = "") -> Score | None:
    """Give 1 where the answer beats the other one, 0.5 for a tie, 0 where it loses.

    The other one is `other`, else the first accepted answer; None without both. Both orders are
    asked: where they disagree it is a tie, and the reason begins with `swap flip`. A right
    refusal: does not apply; one where an answer was due, and a failed trial: 0.
    """
    choices = await _both_orders(trial, tools, other)
    if choices is None:
        return None
    straight, swapped = choices
    if straight.better != _OTHER_WAY[swapped.better]:
        return Score(0.5, f"swap flip: {straight.better} then {swapped.better}")
    value = {"first": 1.0, "second": 0.0, "tie": 0.5}[straight.better]
    return Score(value, straight.reason)


@of_answers(wrong=None, refusals=False)
async def pairwise_flip(trial: Trial, tools: Tools, other: str = "") -> bool | None:
    """Say whether the judge of `pairwise` changes its mind when the two answers swap places.

    Its mean is the swap-flip rate, of which less is better. It asks what `pairwise` asks, so beside
    it a replayed run pays once. A refusal and a failed trial: does not apply.
    """
    choices = await _both_orders(trial, tools, other)
    return None if choices is None else choices[0].better != _OTHER_WAY[choices[1].better]


async def _both_orders(trial: Trial, tools: Tools, other: str) -> tuple[Choice, Choice] | None:
    if not other and trial.case.expected is None:
        return None
    rival = other or accepted(trial)[0]
    question = asked(trial.case)
    straight = await ask(
        tools, "pairwise", Choice, question=question, first=[trial.text], second=[rival]
    )
    swapped = await ask(
        tools, "pairwise", Choice, question=question, first=[rival], second=[trial.text]
    )
    return straight, swapped


@of_answers(wrong=0.0)
async def rubric(
    trial: Trial, tools: Tools, criteria: Sequence[str] = (), rubric: str = ""
) -> Score:
    """Give the share of `criteria` that the answer meets, each judged yes or no.

    0 to 1. `rubric` says what the criteria mean, for all of them. Both are yours, and trusted. A
    right refusal: does not apply; one where an answer was due, and a failed trial: 0. Fewer
    verdicts than criteria: unmeasured (`judge_parse`).
    """
    wanted = [criteria] if isinstance(criteria, str) else list(criteria)
    if not wanted:
        raise CannotMeasure("missing_field", "rubric: give `params: {criteria: [...]}`")
    numbered = "\n".join(f"{number}. {each}" for number, each in enumerate(wanted, start=1))
    found = await verdicts(
        tools, "rubric", len(wanted),
        rubric=rubric, criteria=numbered, question=asked(trial.case), answer=[trial.text],
    )  # fmt: skip
    missed = [each for each in found if not each.verdict]
    met = len(wanted) - len(missed)
    reason = f"{met} of {len(wanted)} criteria met"
    if missed:
        reason += f"; not {missed[0].number}: {missed[0].reason[:200]}"
    return Score(met / len(wanted), reason)


ALL: tuple[Scorer, ...] = (
    Scorer("answer_relevancy", answer_relevancy, needs=("judge", "embed")),
    Scorer("correctness", correctness, needs=("judge", "expected")),
    Scorer("pairwise", pairwise, needs=("judge",)),
    Scorer("pairwise_flip", pairwise_flip, better="lower", needs=("judge",)),
    Scorer("rubric", rubric, needs=("judge",)),
)
PROMPTS: dict[str, tuple[str, ...]] = {
    "answer_relevancy": ("questions",),
    "correctness": ("correctness",),
    "pairwise": ("pairwise",),
    "pairwise_flip": ("pairwise",),
    "rubric": ("rubric",),
}

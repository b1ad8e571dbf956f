"""A judge gates only while it is held to people; their labels correct its score."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judges import PROMPT_FILES, REFUSED, trial

from genai.config import Settings
from genai.errors import CaseError
from genai.evals import CannotMeasure, Scorer, Tools, evaluate, load_suite
from genai.evals.labels import Labelling
from genai.evals.metrics import Metric, bind
from genai.evals.trust import (
    Flips,
    calibrate,
    calibration_path,
    corrected_score,
    family_warning,
    flips_of,
    trust_of,
)
from genai.types import UNKNOWN_COST, Reply, Usage

SUITE = """suite: birds
metrics:
  correctness: {show: true}
  exact: {show: true}
"""
Says = Callable[[str], Any]


def tools(says: Says, name: str = "fake/judge", prompts: Path = PROMPT_FILES) -> Tools:
    """Give tools whose judge answers by a function of what it is shown."""

    async def judge(messages: Any, schema: type[Settings], **params: Any) -> Reply:
        parsed = schema.model_validate(says(messages[-1].text))
        return Reply("{}", name, Usage(), UNKNOWN_COST, 0.0, parsed=parsed)

    return Tools(judge=judge, judge_name=name, prompts=prompts)


def reads(shown: str) -> Mapping[str, Any]:
    """Say of an answer whatever it says of itself after `judge`."""
    return {"reason": "so", "verdict": "judge pass" in shown.partition("answer to judge")[2]}


class Labelled:
    """A run of n cases whose answers say what the judge gives, labelled by two people.

    A case of None raises in place of an answer.
    """

    def __init__(
        self, root: Path, judged: Sequence[bool | None], people: list[bool], count: int = 0,
        head: str = "", wrap: Callable[[dict[str, str]], Mapping[str, str]] = dict,
    ) -> None:  # fmt: skip
        (root / "evals").mkdir()
        path = root / "evals" / "birds.yaml"
        rows = [{"id": f"c{n}", "input": f"c{n}", "expected": "x"} for n in range(len(judged))]
        (root / "evals" / "cases.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        path.write_text(SUITE + head + "files: cases.jsonl\n")
        self.evals, self.tools = root / "evals", tools(reads)
        says = {True: "judge pass", False: "judge fail"}
        words = {f"c{n}": says[each] for n, each in enumerate(judged) if each is not None}
        evaluate(path, wrap(words).__getitem__, root / "runs", self.tools)
        count = count or max(len(people), 1)
        self.labelling = Labelling(root / "runs", self.evals, "birds", "correctness", count=count)
        self.metric = self.bound(self.tools)
        for name in ("Ada", "Bob") if people else ():
            for item in self.labelling.items:
                self.labelling.save(item, people[int(item.case[1:])], name)

    def bound(self, given: Tools, name: str = "correctness") -> Metric:
        suite = load_suite(self.evals / "birds.yaml")
        return next(each for each in bind(suite, given, self.evals.parent) if each.name == name)


def table(both: int, missed: int, slipped: int, neither: int) -> tuple[list[bool], list[bool]]:
    people = [True] * (both + missed) + [False] * (slipped + neither)
    judged = [True] * both + [False] * missed + [True] * slipped + [False] * neither
    return judged, people


@pytest.fixture
def good(tmp_path: Path) -> Labelled:
    return Labelled(tmp_path, *table(58, 4, 9, 29))


def test_a_calibration_holds_what_the_judge_is_and_how_it_stands_to_people(good: Labelled) -> None:
    assert trust_of(good.metric, good.tools, good.evals).word == "uncalibrated"
    flips = Flips(20, 3, 0.1, 0.05)
    made = calibrate(good.labelling, good.metric, good.tools, flips=flips)
    assert made.table == ((58, 4), (9, 29))
    assert made.n == 100
    assert made.kappa == pytest.approx(0.716899, abs=1e-6)
    assert (made.low, made.high) == (pytest.approx(0.564, abs=0.01), pytest.approx(0.851, abs=0.01))
    assert made.tpr == pytest.approx((0.935484, 0.845525, 0.974627), abs=1e-6)
    assert made.fpr == pytest.approx((0.236842, 0.129937, 0.392068), abs=1e-6)
    kept = json.loads((good.evals / "judges" / "correctness.json").read_text())
    assert kept["judge"] == "fake/judge"
    assert kept["labellers"] == ["ada", "bob"]
    assert len(kept["prompt"]) == len(kept["labels"]) == 12
    assert kept["flips"] == {"n": 20, "times": 3, "repeat": 0.1, "swap": 0.05}
    trust = trust_of(good.metric, good.tools, good.evals)
    assert trust.may_gate
    assert trust.sentence == (
        f"the judge of `correctness` agrees with people: kappa 0.72 (95 % {made.low:.2f} to"
        f" {made.high:.2f}, n 100)"
    )


def test_another_model_prompt_or_rubric_makes_a_calibration_stale(
    good: Labelled, tmp_path: Path
) -> None:
    calibrate(good.labelling, good.metric, good.tools)
    other = replace(good.tools, judge_name="fake/other")
    trust = trust_of(good.bound(other), other, good.evals)
    assert (trust.word, trust.may_gate) == ("stale", False)
    assert "its model was fake/judge and is fake/other; calibrate it again" in trust.sentence
    rubric = replace(good.metric, params={"rubric": "another"})
    assert "its rubric or parameters" in trust_of(rubric, good.tools, good.evals).sentence
    version = replace(good.metric, scorer=replace(good.metric.scorer, version="2"))
    assert "its version was 1 and is 2" in trust_of(version, good.tools, good.evals).sentence
    prompt = (PROMPT_FILES / "judge" / "correctness.md").read_text()
    (tmp_path / "judge").mkdir()
    (tmp_path / "judge" / "correctness.md").write_text(prompt.replace("any one", "one"))
    reworded = replace(good.tools, prompts=tmp_path)
    assert "its prompt was" in trust_of(good.bound(reworded), reworded, good.evals).sentence
    with pytest.raises(CaseError, match="measured by another judge, prompt or rubric than now"):
        calibrate(good.labelling, good.bound(reworded), reworded)


@pytest.mark.parametrize(
    ("counts", "word", "sentence"),
    [
        ((20, 5, 3, 21), "too_few", "was held to 49 labels; it takes 50, label 1 more"),
        ((90, 4, 4, 2), "low_kappa", "agrees too little with people: kappa 0.29"),
        ((60, 0, 0, 0), "low_kappa", "said the same of all 60 answers, so kappa is undefined"),
    ],
)
def test_few_labels_and_a_low_kappa_are_not_enough(
    tmp_path: Path, counts: tuple[int, int, int, int], word: str, sentence: str
) -> None:
    made = Labelled(tmp_path, *table(*counts))
    calibrate(made.labelling, made.metric, made.tools)
    trust = trust_of(made.metric, made.tools, made.evals)
    assert (trust.word, trust.may_gate) == (word, False)
    assert sentence in trust.sentence
    assert "NaN" not in calibration_path(made.evals, "correctness").read_text()


def test_labels_correct_the_score_of_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, people = table(58, 4, 9, 29)
    run = Labelled(tmp_path, [*judged, *([True] * 280 + [False] * 120)], [])
    sample = {f"c{n}": word for n, word in enumerate(people)}
    monkeypatch.setattr(run.labelling, "verdicts", lambda: sample)
    found = corrected_score(run.labelling, "correctness")
    assert found.mean == pytest.approx(0.638752, abs=1e-6)
    assert found.se == pytest.approx(0.037142, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((0.565956, 0.711549), abs=1e-6)
    monkeypatch.setattr(run.labelling, "verdicts", dict)
    with pytest.raises(CaseError, match="cannot be corrected"):
        corrected_score(run.labelling, "correctness")


def test_a_case_without_an_answer_is_part_of_the_run_that_is_corrected(tmp_path: Path) -> None:
    run = Labelled(tmp_path, [True] * 70 + [None] * 30, [True] * 100, count=60)
    assert len(run.labelling.verdicts()) == 60
    found = corrected_score(run.labelling, "correctness")
    assert (found.mean, found.n) == (pytest.approx(0.7), 100)  # of people's 70, not of 100
    assert found.high <= 0.7 + 1e-9


def test_what_cannot_be_calibrated_says_why(good: Labelled) -> None:
    with pytest.raises(CaseError, match="no model judges it"):
        calibrate(good.labelling, good.bound(good.tools, "exact"), good.tools)
    assert trust_of(good.bound(good.tools, "exact"), good.tools, good.evals).may_gate
    good.labelling.path.unlink()
    with pytest.raises(CaseError, match="no answer has a settled label and a judgement"):
        calibrate(good.labelling, good.metric, good.tools)
    path = calibration_path(good.evals, "correctness")
    path.parent.mkdir()
    path.write_text('{"metric": 1}')
    with pytest.raises(CaseError, match=r"evals/judges/correctness\.json: cannot be read"):
        trust_of(good.metric, good.tools, good.evals)
    assert calibration_path(good.evals, "../ragas/x").parent == good.evals / "judges"


def test_flips_count_the_answers_on_which_a_judge_changes_its_mind(good: Labelled) -> None:
    said = iter([True, True, True, True, False, True, False, False, False])

    async def wavering(given: Any, tools: Tools) -> bool:
        if given.refused:
            raise CannotMeasure("judge_parse")
        return next(said)

    metric = replace(good.metric, scorer=Scorer("w", wavering, needs=("judge",)), params={})  # type: ignore[arg-type]
    trials = [trial(), trial(), trial(**REFUSED), trial()]
    assert asyncio.run(flips_of(metric, trials, good.tools)) == Flips(3, 3, 1 / 3)
    with pytest.raises(CaseError, match="none of the answers"):
        asyncio.run(flips_of(metric, [trial(**REFUSED)], good.tools))


def test_a_judge_that_prefers_a_place_has_its_swap_flips_counted(good: Labelled) -> None:
    def first(shown: str) -> Mapping[str, Any]:
        better = "first" if "biased" in shown else "tie"
        return {"reason": "so", "better": better}

    from genai.evals.judge import ALL

    pairwise = next(each for each in ALL if each.name == "pairwise")
    metric = replace(good.metric, scorer=pairwise, params={"other": "Theirs."})
    trials = [trial("biased"), trial("plain"), trial("plain"), trial("plain")]
    found = asyncio.run(flips_of(metric, trials, tools(first), times=2))
    assert found == Flips(4, 2, 0.0, 0.25)


@pytest.mark.parametrize(
    ("judge", "task", "warns"),
    [
        ("openai/gpt-5", "litellm/azure/gpt-4o", True),
        ("openai/o4-mini", "openai/gpt-5", True),
        ("ollama/llama3.1:8b", "local/Meta-Llama-3-8B", True),
        ("mistral/mixtral-8x7b", "mistral/mistral-large", True),
        ("anthropic/claude-sonnet-4", "openai/gpt-5", False),
        ("openai/gpt-5", "extractive", False),
        ("", "openai/gpt-5", False),
    ],
)
def test_a_judge_of_the_same_family_is_warned_of(judge: str, task: str, warns: bool) -> None:
    assert bool(family_warning(judge, task)) is warns


def test_with_repeats_a_judge_is_held_to_the_answers_that_people_saw(tmp_path: Path) -> None:
    """The first of three answers is labelled; the others say the opposite."""
    judged, people = table(30, 1, 1, 28)
    asked: Counter[str] = Counter()

    class Wavering(dict[str, str]):
        def __getitem__(self, case: str) -> str:
            asked[case] += 1
            first = super().__getitem__(case)
            other = "judge fail" if first == "judge pass" else "judge pass"
            return first if asked[case] == 1 else other

    run = Labelled(tmp_path, judged, people, head="repeats: 3\nconcurrency: 1\n", wrap=Wavering)
    made = calibrate(run.labelling, run.metric, run.tools)
    assert made.table == ((30, 1), (1, 28))
    assert trust_of(run.metric, run.tools, run.evals).may_gate

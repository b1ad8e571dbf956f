"""Variants are made the same way every time; violations are counted by source case."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai.cli import main
from genai.errors import CaseError, ModelError
from genai.evals import Case, Options, Suite, Tools, evaluate, load_suite
from genai.evals.behaviour import compare, violations
from genai.evals.edits import TEMPLATES, Words
from genai.evals.groups import by_group
from genai.evals.scorecard import Scorecard
from genai.evals.vary import RELATIONS, check_variants, freeze, frozen, review, vary

GROUPS = {"women": ("Anna", "Maria"), "men": ("Otto", "Karl")}
QUIZ = "Which city is the capital?\nA) Rome\nB) Paris\nC) Berlin"
PASSAGES = ("Storks nest on chimneys. They eat frogs.", "Herons fish at dawn.")


def project(root: Path, cases: list[dict[str, object]], *files: str) -> Path:
    """Write a project with one suite of these cases."""
    (root / "configs").mkdir(exist_ok=True)
    (root / "configs" / "genai.yaml").write_text("version: 1\n")
    (root / "evals").mkdir(exist_ok=True)
    body = {
        "suite": "s", "metrics": {"exact": {"gate": True}}, "files": list(files), "cases": cases,
    }  # fmt: skip
    path = root / "evals" / "s.yaml"
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def echoes(count: int) -> list[dict[str, object]]:
    return [
        {"id": f"c{n}", "input": f"Please repeat number {n}", "expected": f"{n}"}
        for n in range(count)
    ]


def with_variants(root: Path, cases: list[dict[str, object]], *relations: str, **how: int) -> Suite:
    """Freeze variants of the cases and give the suite that lists them."""
    suite = load_suite(project(root, cases))
    for relation in relations:
        freeze(suite, vary(suite, relation, words=Words(groups=GROUPS), **how))
    return load_suite(project(root, cases, "s.variants.jsonl"))


def run(suite: Suite, task: Callable[[str], str], tmp_path: Path) -> Scorecard:
    report = evaluate(suite, task, tmp_path / "runs", Tools())
    return report.scorecard


def repeater(suite: Suite, *wrong: str) -> Callable[[str], str]:
    """A task that repeats the number, but not in the cases whose ids are given."""
    bad = {case.input for case in suite.cases if case.id in wrong}
    return lambda text: "?" if text in bad else re.findall(r"\d+", text)[-1]


def change(relation: str, **case: object) -> Case | None:
    words = Words(groups=GROUPS)
    return RELATIONS[relation].change(Case(id="x", **case), Random(1), words)  # type: ignore[arg-type]


def test_options_turn_and_the_expected_label_follows() -> None:
    found = change("order", input=QUIZ, expected=["B", "B) Paris", "Paris", "b"])
    assert found is not None
    options = dict(re.findall(r"^([ABC])\) (\w+)$", found.input, re.MULTILINE))
    label = next(each for each, city in options.items() if city == "Paris")
    assert label != "B"
    assert found.expected == [label, f"{label}) Paris", "Paris", label.lower()]
    assert change("order", input=QUIZ + "\nD) All of the above", expected="B") is None


def test_passages_turn_where_the_task_sees_them() -> None:
    text = "\n\n".join([*PASSAGES, "Where do storks nest?"])
    found = change("order", input=text, contexts=PASSAGES)
    assert found is not None
    assert found.contexts == PASSAGES[::-1]
    assert found.input.index(PASSAGES[1]) < found.input.index(PASSAGES[0])
    assert change("order", input="Where do storks nest?", contexts=PASSAGES) is None


def test_the_fact_is_cut_out_and_nothing_else() -> None:
    text = "\n\n".join([*PASSAGES, "Where do storks nest?"])
    found = change("fact_removed", input=text, contexts=PASSAGES, expected="on chimneys")
    assert found is not None
    assert "chimneys" not in found.input
    assert "They eat frogs." in found.input
    assert found.input.endswith("Where do storks nest?")
    assert found.contexts == ("They eat frogs.", PASSAGES[1])
    assert change("fact_removed", input=text, contexts=PASSAGES, expected="in trees") is None
    lines = (f"{PASSAGES[1]}\n",)
    ended = change("fact_removed", input=f"{text}\n", contexts=lines, expected="x1y")
    assert ended is None  # an end of line is no fact
    alone = "On 12 chimneys."
    assert change("fact_removed", input=alone, contexts=(alone,), expected="12") is None


def test_names_are_swapped_in_what_is_expected_too() -> None:
    asked = "Annabel wrote to Anna. Who wrote to her?"
    found = change("names", input=asked, expected="Not Anna")
    assert found is not None
    assert found.input == "Annabel wrote to Otto. Who wrote to her?"
    assert found.expected == "Not Otto"
    assert found.metadata == {"group": "men", "source_group": "women"}
    both = change("names", input="Anna met Karl.")
    assert both is not None
    assert both.input == "Otto met Maria."
    assert both.metadata is None  # of two groups at once, the case belongs to neither


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("The food was good.", "The food was not good."),
        ("You can leave.", "You cannot leave."),
        ("The food wasn't good.", "The food was good."),
        ("We won't pay.", "We will pay."),
        ("It cannot fail.", "It can fail."),
        ("They never are late.", "They are late."),
    ],
)
def test_a_statement_is_negated(text: str, turned: str) -> None:
    found = change("negation", input=text)
    assert found is not None
    assert found.input == turned
    assert change("negation", input="Is it good?") is None


def test_a_number_of_the_answer_moves() -> None:
    passage = "In 2019 the firm sold 12 ships."
    text = f"{passage}\nHow many ships did it sell?"
    found = change("number", input=text, contexts=(passage,), expected="12")
    assert found is not None
    assert "2019" in found.input
    assert " 12 " not in found.input
    assert found.contexts[0] in found.input
    moved = change("date", input="Was it paid by 2026-03-01?")
    assert moved is not None
    assert re.fullmatch(r"Was it paid by 202[67]-\d\d-\d\d\?", moved.input)
    assert moved.input != "Was it paid by 2026-03-01?"


def test_a_distractor_comes_from_another_case(tmp_path: Path) -> None:
    cases: list[dict[str, object]] = [
        {"id": "a", "input": f"{PASSAGES[0]}\n\nWhere?", "contexts": [PASSAGES[0]]},
        {"id": "b", "input": "When do herons fish?", "contexts": [PASSAGES[1]]},
    ]
    made = vary(load_suite(project(tmp_path, cases)), "distractor").variants
    assert made[0].contexts == (PASSAGES[0], PASSAGES[1])
    assert made[0].input == f"{PASSAGES[0]}\n\n{PASSAGES[1]}\n\nWhere?"
    assert made[1].input == f"{PASSAGES[0]}\n\nWhen do herons fish?"


@given(st.text(min_size=1), st.sampled_from(sorted(RELATIONS)), st.integers(0, 9))
@settings(max_examples=300)
def test_no_text_breaks_a_change(text: str, relation: str, seed: int) -> None:
    case = Case(id="x", input=text, expected=["12", "Anna"], contexts=(text[:5],))
    words = Words(groups=GROUPS, passages=(("other", "A passage."),))
    first = RELATIONS[relation].change(case, Random(seed), words)
    assert first == RELATIONS[relation].change(case, Random(seed), words)


@given(st.text("abc ABCD123`", min_size=1), st.integers(0, 9))
def test_a_typo_keeps_ends_numbers_and_code(text: str, seed: int) -> None:
    found = RELATIONS["typo"].change(Case(id="x", input=text), Random(seed), Words())
    if found is not None:
        assert re.findall(r"\d", found.input) == re.findall(r"\d", text)
        assert re.findall("`[^`]*`", found.input) == re.findall("`[^`]*`", text)
        old, new = re.findall(r"[a-zA-Z]+", text), re.findall(r"[a-zA-Z]+", found.input)
        assert [w[0] + w[-1] for w in old] == [w[0] + w[-1] for w in new]


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    suite = with_variants(tmp_path, echoes(20), "typo", seed=7)
    path = tmp_path / "evals" / "s.variants.jsonl"
    first = path.read_bytes()
    freeze(suite, vary(suite, "typo", seed=7))
    assert path.read_bytes() == first
    shorter = load_suite(project(tmp_path, echoes(20)[5:]))
    made = vary(shorter, "typo", seed=7).variants
    assert made == tuple(frozen(suite)[5:])  # other cases do not change a variant
    freeze(suite, vary(suite, "typo", seed=8))
    assert path.read_bytes() != first


def test_no_variants_are_no_pass_and_a_count_of_none_takes_none_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, echoes(3))
    monkeypatch.chdir(tmp_path)
    plain = load_suite(tmp_path / "evals" / "s.yaml")
    evaluate(plain, repeater(plain), tmp_path / ".genai" / "runs", Tools())
    assert main(["eval", "behaviour", "s", "--metric", "exact"]) == 64  # and not green
    assert "suite s: has no variants; make them: genai eval vary s" in capsys.readouterr().err
    suite = with_variants(tmp_path, echoes(3), "typo")
    with pytest.raises(SystemExit, match="64"):
        main(["eval", "vary", "s", "--relation", "typo", "--count", "0"])
    assert "--count: '0' is no whole number from 1 to 1,000,000" in capsys.readouterr().err
    assert len(frozen(suite)) == 3


def test_a_changed_source_makes_its_variants_stale(tmp_path: Path) -> None:
    cases = echoes(3)
    check_variants(with_variants(tmp_path, cases, "typo", "case"))
    cases[1]["expected"] = "one"
    suite = load_suite(project(tmp_path, cases, "s.variants.jsonl"))
    with pytest.raises(CaseError) as caught:
        check_variants(suite)
    assert "`c1~case-1`: its source `c1` has changed since" in str(caught.value)
    assert "genai eval vary s --relation case (and 1 more)" in str(caught.value)
    freeze(suite, vary(suite, "typo"))
    freeze(suite, vary(suite, "case"))
    check_variants(load_suite(project(tmp_path, cases, "s.variants.jsonl")))


def test_nine_of_sixty(tmp_path: Path) -> None:
    suite = with_variants(tmp_path, echoes(60), "typo")
    wrong = [f"c{n}~typo-1" for n in range(0, 45, 5)]
    found = violations(run(suite, repeater(suite, *wrong), tmp_path), suite, "exact", "typo")
    assert (found.violating, found.cases, found.pairs) == (9, 60, 60)
    assert found.rate == found.pair_rate == pytest.approx(0.15, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((0.080974, 0.261146), abs=1e-6)
    assert (found.pair_low, found.pair_high) == pytest.approx((found.low, found.high))
    assert found.flip is None
    assert [each.variant for each in found.found] == wrong
    assert "--repeats 2" in found.text()


def test_five_variants_of_one_case_are_one_unit(tmp_path: Path) -> None:
    suite = with_variants(tmp_path, echoes(12), "typo", count=5)
    counts = [sum(case.variant.of == f"c{n}" for case in frozen(suite)) for n in range(12)]  # type: ignore[union-attr]
    assert min(counts) >= 3
    wrong = [case.id for case in frozen(suite) if case.variant and case.variant.of == "c3"]
    found = violations(run(suite, repeater(suite, *wrong), tmp_path), suite, "exact", "typo")
    assert (found.violating, found.cases, found.pairs) == (1, 12, sum(counts))
    assert found.pair_rate == pytest.approx(counts[3] / sum(counts))


def test_a_removed_fact_must_turn_the_verdict(tmp_path: Path) -> None:
    passage = "The code is {}. Ask twice."
    cases: list[dict[str, object]] = [
        {"id": f"c{n}", "input": f"{passage.format(n + 100)}\nWhat is code {'abcdefghij'[n]}?",
         "contexts": [passage.format(n + 100)], "expected": f"{n + 100}"}
        for n in range(10)
    ]  # fmt: skip
    suite = with_variants(tmp_path, cases, "fact_removed")
    sees = run(suite, lambda text: (re.findall(r"\d+", text) or ["unknown"])[0], tmp_path)
    found = violations(sees, suite, "exact", "fact_removed")
    assert (found.directional, found.cases, found.violating) == (True, 10, 0)
    kept = [*suite.cases[:5], *suite.cases[10:13], suite.cases[15]]
    knows = {case.input: str(case.expected) for case in kept}
    blind = violations(run(suite, lambda text: knows.get(text, "?"), tmp_path), suite, "exact",
                       "fact_removed")  # fmt: skip
    # c0-c2 are answered without the fact, c6-c9 not even with it, c5 only without; c3 and c4 turn
    assert (blind.cases, blind.violating) == (10, 8)


def test_the_flips_of_the_task_itself_stand_beside(tmp_path: Path) -> None:
    suite = with_variants(tmp_path, echoes(10), "typo")
    asked: dict[str, int] = {}

    def moody(text: str) -> str:
        asked[text] = asked.get(text, 0) + 1
        number = re.findall(r"\d+", text)[-1]
        return "?" if int(number) < 4 and asked[text] == 1 else number

    report = evaluate(suite, moody, tmp_path / "runs", Tools(), Options(repeats=2))
    found = violations(report, suite, "exact", "typo")
    # 4 of 10 pass one time in two: two asks differ half the time by themselves, as do the pairs
    assert found.flip == pytest.approx(0.4)
    assert found.pair_rate == pytest.approx(0.2)
    assert found.violating == 0


def test_what_was_not_measured_violates_nothing(tmp_path: Path) -> None:
    suite = with_variants(tmp_path, echoes(10), "typo")
    down = {case.input for case in frozen(suite)[:2]}

    def task(text: str) -> str:
        if text in down:
            raise ModelError("no answer", "network")
        return re.findall(r"\d+", text)[-1]

    found = violations(run(suite, task, tmp_path), suite, "exact", "typo")
    assert (found.cases, found.unmeasured, found.violating) == (8, 2, 0)


def test_the_gate_judges_violations(tmp_path: Path) -> None:
    suite = with_variants(tmp_path, echoes(60), "typo")
    good = run(suite, repeater(suite), tmp_path)
    bad = run(suite, repeater(suite, *(f"c{n}~typo-1" for n in range(12))), tmp_path)
    decision = compare(good, bad, suite, "exact", "typo")
    assert decision.word == "REGRESSION"
    assert decision.comparisons[0].metric == "exact.typo"
    assert [flip.case for flip in decision.comparisons[0].flips][:2] == ["c0", "c1"]
    assert compare(bad, good, suite, "exact", "typo").word == "IMPROVED"
    assert compare(good, good, suite, "exact", "typo").word == "PASS"
    other = load_suite(project(tmp_path, echoes(61), "s.variants.jsonl"))
    with pytest.raises(CaseError, match="is of dataset .* run it again"):
        compare(good, bad, other, "exact", "typo")


def test_a_paraphrase_gates_once_somebody_has_looked(tmp_path: Path) -> None:
    suite = with_variants(tmp_path, echoes(60), "paraphrase")
    card = run(suite, repeater(suite), tmp_path)
    decision = compare(card, card, suite, "exact", "paraphrase")
    assert decision.word == "CANNOT_COMPARE"
    assert "genai eval vary s --review NAME c0~paraphrase-1" in decision.reason
    assert violations(card, suite, "exact", "paraphrase").unreviewed == 60
    assert review(suite, "Ada", [f"c{n}~paraphrase-1" for n in range(59)]) == 59
    suite = load_suite(suite.path)
    card = run(suite, repeater(suite), tmp_path)
    decision = compare(card, card, suite, "exact", "paraphrase")
    assert (decision.word, decision.comparisons[0].n) == ("PASS", 59)
    assert "1 variants without a reviewer are left out" in decision.reason
    freeze(suite, vary(suite, "paraphrase", seed=2))  # the same sentences: the review stays
    assert sum(bool(case.variant and case.variant.reviewer) for case in frozen(suite)) == 59


def test_groups_are_compared_on_the_same_questions(tmp_path: Path) -> None:
    cases: list[dict[str, object]] = [
        {"id": f"c{n}", "input": f"May {('Karl', 'Anna')[n % 2]} borrow {n}?", "expected": "yes"}
        for n in range(40)
    ]
    suite = with_variants(tmp_path, cases, "names")

    def task(text: str) -> str:
        number = int(re.findall(r"\d+", text)[0])
        return "no" if number < 10 and ("Anna" in text or "Maria" in text) else "yes"

    (gap,) = by_group(run(suite, task, tmp_path), suite, "exact")
    assert (gap.a, gap.b, gap.n) == ("men", "women", 40)
    assert (gap.mean_a, gap.mean_b) == (1.0, 0.75)
    assert gap.difference == pytest.approx(-0.25)
    assert gap.q == pytest.approx(2 * 0.5**11)  # ten losses, no gain: mid-p, both sides
    assert gap.high is not None
    assert gap.high < 0
    (even,) = by_group(run(suite, lambda _: "yes", tmp_path), suite, "exact")
    assert (even.difference, even.q) == (0.0, 1.0)


def test_a_paraphrase_is_a_template_around_the_question(tmp_path: Path) -> None:
    cases: list[dict[str, object]] = [
        {"id": f"c{n}", "input": f"Where is room {n}?", "expected": "here"} for n in range(12)
    ]
    suite = with_variants(tmp_path, cases, "paraphrase", count=4)
    inputs = {case.id: case.input for case in suite.cases if case.variant is None}
    made = [case for case in suite.cases if case.variant is not None]
    assert len(made) == 48
    known = {template: 0 for template in TEMPLATES}
    for case in made:
        source = inputs[case.variant.of]  # type: ignore[union-attr]
        (used,) = (each for each in TEMPLATES if each.format(input=source) == case.input)
        known[used] += 1
        assert case.expected == "here"
    assert known == {template: 12 for template in TEMPLATES}
    own = vary(suite, "paraphrase", seed=1, words=Words(("Say, {input}",)))
    assert {case.input for case in own.variants} == {f"Say, {each}" for each in inputs.values()}


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, echoes(12))
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "vary", "s", "--relation", "typo", "--seed", "3"]) == 0
    assert "12 variants by typo, 12 new or changed" in capsys.readouterr().out
    assert main(["eval", "vary", "s", "--relation", "paraphrase"]) == 0
    assert "files: [s.variants.jsonl]" in capsys.readouterr().out
    project(tmp_path, echoes(12), "s.variants.jsonl")
    assert main(["eval", "vary", "s", "--review", "Ada", "c1~paraphrase-1"]) == 0
    assert main(["eval", "vary", "s"]) == 0
    assert "paraphrase: 12 variants, 11 wait for a reviewer" in capsys.readouterr().out
    assert main(["eval", "vary", "s", "--review", "Ada", "c1~paraphrse-1"]) == 64
    assert "did you mean `c1~paraphrase-1`?" in capsys.readouterr().err
    assert main(["eval", "vary", "s", "--relation", "names"]) == 64
    assert "needs two groups" in capsys.readouterr().err

    suite = load_suite(tmp_path / "evals" / "s.yaml")
    evaluate(suite, repeater(suite, "c2~typo-1"), tmp_path / ".genai" / "runs", Tools())
    assert main(["eval", "behaviour", "s", "--metric", "exact"]) == 0
    said = capsys.readouterr().out
    assert "typo on exact: 1 of 12 cases violate" in said
    assert "paraphrase on exact: 0 of 12 cases violate" in said

    changed = echoes(12)
    changed[0]["expected"] = "zero"
    project(tmp_path, changed, "s.variants.jsonl")
    assert main(["eval", "vary", "s"]) == 64
    assert "`c0` has changed since" in capsys.readouterr().err

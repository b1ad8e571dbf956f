"""Reports say what the exit code says, and what a model wrote stays text in each of them."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from suites import HEAD, judged, nasty, right, run, suite, wrong_below

from genai.errors import CaseError, Unmeasured
from genai.evals import Decision, Report, load_suite
from genai.evals.baseline import accept
from genai.evals.design import write_design
from genai.evals.report.findings import changed, verdict
from genai.evals.report.text import comparison_text, decision_text


def junit(report: Report, decision: Decision | None) -> ET.Element:
    path = report.folder / "out" / "junit.xml"
    report.save(path, "junit", decision)
    return ET.fromstring(path.read_bytes())


def markdown(report: Report, decision: Decision | None) -> str:
    path = report.folder / "out" / "comment.md"
    report.save(path, "markdown", decision)
    return path.read_text(encoding="utf-8")


def cases(root: ET.Element) -> dict[str, ET.Element]:
    return {case.get("name", ""): case for case in root.iter("testcase")}


def properties(root: ET.Element) -> dict[str, str]:
    return {each.get("name", ""): each.get("value", "") for each in root.iter("property")}


def test_a_regression_is_a_failure_with_its_figures_as_properties(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, wrong_below(20))
    root = junit(report, decision)
    found = cases(root)
    assert list(found) == ["exact", "hard_exact [hard]"]  # what is only shown is no test case
    failure = found["exact"].find("failure")
    assert failure is not None
    assert failure.get("type") == "REGRESSION"
    assert "exact: 20 cases worse, 0 better" in failure.get("message", "")
    assert "s0: 1 -> 0" in (failure.text or "")
    assert found["hard_exact [hard]"].find("failure") is None
    figures, each = properties(root), decision.comparisons[0]
    assert figures["verdict"] == "REGRESSION"
    assert [float(figures[f"exact.{key}"]) for key in ("L", "U", "p", "q", "n")] == [
        each.low, each.high, each.p, each.q, 60,
    ]  # fmt: skip
    assert float(figures["exact.coverage"]) == 1
    assert float(figures["exact.MDE"]) == each.detectable
    assert figures["spend"] == "unknown cost"
    counts = root[0].attrib
    assert (counts["tests"], counts["failures"], counts["errors"]) == ("2", "1", "0")


def test_undecided_fails_a_release_and_is_a_pass_with_a_word_on_a_pull_request(
    tmp_path: Path,
) -> None:
    report, decision = judged(tmp_path, wrong_below(5))
    assert (str(decision), report.exit_with(decision)) == ("INCONCLUSIVE", 0)
    case = cases(junit(report, decision))["exact"]
    assert [each.tag for each in case] == ["system-out"]
    assert (case[0].text or "").startswith("INCONCLUSIVE: exact: undecided with 60 cases")
    release = replace(report, stage="release")
    strict = release.judged()
    case = cases(junit(release, strict))["exact"]
    assert case[0].tag == "failure"
    assert case[0].get("type") == "INCONCLUSIVE"


def dead(question: str) -> str:
    raise Unmeasured("no reply is kept for this request")


def test_unmeasured_and_not_comparable_are_errors_and_never_skipped(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, dead)
    root = junit(report, decision)
    exact = cases(root)["exact"]
    assert [each.tag for each in exact] == ["error", "system-out"]
    assert exact[0].get("type") == "UNMEASURED"
    assert "token_f1" in cases(root)  # shown only, but it makes the exit code 4
    assert root.find(".//skipped") is None
    changed_cases = run(suite(tmp_path, name="other"), right)
    decision = changed_cases.judged()
    root = junit(changed_cases, decision)
    assert cases(root)["exact"][0].tag == "error"
    assert cases(root)["exact"][0].get("type") == "CANNOT_COMPARE"
    assert "the dataset changed" in cases(root)["exact"][0].get("message", "")


def test_a_suite_that_gates_nothing_is_an_error_of_the_run(tmp_path: Path) -> None:
    path = suite(tmp_path, "suite: sums\nmetrics:\n  exact: {show: true}\n")
    accept(run(path, right), "the first run")
    report = run(path, right)
    decision = report.judged()
    assert report.exit_with(decision) == 4
    (case,) = cases(junit(report, decision)).values()
    assert (case.get("name"), case[0].tag, case[0].get("type")) == (
        "run",
        "error",
        "CANNOT_COMPARE",
    )


def test_a_broken_limit_names_its_cases_without_any_baseline(tmp_path: Path) -> None:
    report = run(suite(tmp_path, HEAD.replace("0.2", "0.9")), wrong_below(40))
    failure = cases(junit(report, None))["hard_exact [hard]"][0]
    assert (failure.tag, failure.get("type")) == ("failure", "LIMIT_BROKEN")
    assert "s1: 1 + 1" in (failure.text or "")
    assert verdict(report, None)[0] == "LIMIT_BROKEN"


@pytest.mark.parametrize("stage", ["pull_request", "release"])
@pytest.mark.parametrize("most", [0, 1, 5, 20])
def test_a_test_case_is_red_exactly_where_the_exit_code_is_not_0(
    tmp_path: Path, most: int, stage: str
) -> None:
    report, decision = judged(tmp_path, wrong_below(most), stage=stage)
    red = list(junit(report, decision).iter("failure"))
    assert bool(red) == bool(report.exit_with(decision))
    words = {0: ("PASS", "IMPROVED", "INCONCLUSIVE"), 1: ("REGRESSION",), 2: ("INCONCLUSIVE",)}
    assert verdict(report, decision)[0] in words[report.exit_with(decision)]


def test_what_a_model_wrote_leaves_valid_xml(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, nasty)
    root = junit(report, decision)  # parses
    said = "".join(root.itertext())
    assert "<script>alert(1)</script>" in said  # kept as text
    assert "]]>" in said
    assert not {"\x08", "\u202e"} & set(said)


def test_the_comment_has_verdict_table_flips_and_command(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, wrong_below(25))
    text = markdown(report, decision)
    assert text.splitlines()[0] == (
        "## REGRESSION: suite sums against main <!-- genai-evals:sums -->"
    )
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert rendered.count("<table>") == 2
    row = re.search(r"<td>exact</td>(.*?)</tr>", rendered, re.DOTALL)
    assert row is not None
    shown = re.findall(r"<td>(.*?)</td>", row[1])
    each = decision.comparisons[0]
    assert shown[:4] == ["1", "0.5833", "-0.417", f"[{each.low:+.3g}, {each.high:+.3g}]"]
    assert shown[4:] == ["&lt; 0.001", "60", "100 %", "<strong>REGRESSION</strong>"]
    assert "25 worse and 0 better, the first 20 of them" in text
    assert text.count("before: answered: ") == 20
    assert "before: answered: 1\nnow:    answered: no" in text
    assert "genai eval sums --stage pull_request --baseline main" in text
    assert "Spend: unknown cost" in text
    size = f"exact: smallest drop shown {each.detectable:.3f} (power .80), margin 0.05"
    size += f", about {each.needs} cases to decide"
    assert f"Size: 60 cases, each asked once; {size}" in text.replace("\\", "")
    assert "p95: not measured" in text


def test_size_power_and_repeats_stand_in_every_form(tmp_path: Path) -> None:
    path = suite(tmp_path, HEAD.replace("gate: true", "gate: true, margin: 0.1"))
    accept(run(path, right, repeats=2), "the first run")
    moody = iter(range(1000))
    report = run(path, lambda question: right(question) if next(moody) % 3 else "no", repeats=2)
    decision = report.judged()
    assert decision is not None
    each = decision.comparisons[0]
    said = (
        f"exact: smallest drop shown {each.detectable:.3f} (power .80), margin 0.1, about"
        f" {each.needs} cases to decide at the margin, {each.within:.0%} of the variance is"
        " between repeats of a case"
    )
    report.save(report.folder / "page.html", "html", decision)
    page = (report.folder / "page.html").read_text(encoding="utf-8")
    assert "<li>60 cases x 2 repeats</li>" in page
    assert f"<li>{said}</li>" in page
    assert f"Size: 60 cases x 2 repeats; {said}" in markdown(report, decision).replace("\\", "")
    figures = properties(junit(report, decision))
    assert figures["size"].startswith(f"60 cases x 2 repeats; {said}")
    assert float(figures["exact.needs"]) == each.needs
    assert float(figures["exact.within"]) == each.within
    # repeats have an interval too, and slices say how much of them was measured
    assert re.search(
        r"exact: 0\.\d+ \(95 % 0\.\d+ to 0\.\d+\) of 60 cases pass every time, [01]\.\d+ \(95 %",
        report.text(),
    )
    assert '<td class="number" data-label="measured">30 of 30</td>' in page


def test_a_kept_or_broken_design_stands_in_the_reports(tmp_path: Path) -> None:
    path = suite(tmp_path)
    accept(run(path, right), "the first run")
    write_design(
        load_suite(path), "wider", hypothesis="wider passages keep the sums", metric="exact",
        margin=0.05, cases=None,
    )  # fmt: skip
    report = run(path, right)
    text = markdown(report, report.judged())
    assert "design wider was kept: wider passages keep the sums" in text
    fewer = run(path, right, limit=40)
    said = properties(junit(fewer, fewer.judged()))["size"]
    assert "design wider was NOT kept (" in said
    assert "the run has 40 cases, the design 60" in said


@pytest.mark.parametrize(
    ("right_of_10000", "kept", "shown"),
    [(7000, True, "0.7"), (6999.9, False, "0.69999"), (7000.1, True, "0.70001")],
)
def test_a_value_at_its_limit_is_not_rounded_over_it(
    tmp_path: Path, right_of_10000: float, kept: bool, shown: str
) -> None:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "mine.py").write_text(
        f"def score(trial):\n    return {right_of_10000} / 10000\n"
    )
    path = tmp_path / "evals" / "one.yaml"
    path.write_text(
        "suite: one\nmetrics:\n  own: {scorer: 'evals/mine.py:score', min: 0.70}\n"
        "cases: [{id: a, input: '1 + 1'}]\n"
    )
    report = run(path, right)
    assert (report.metric("own").state, report.exit_code) == (("pass", 0) if kept else ("fail", 1))
    row = next(line.split() for line in report.text().splitlines() if line.startswith("own "))
    assert row[1] == shown
    assert f"| own | {shown} |" in markdown(report, None)
    report.save(report.folder / "page.html", "html", None)
    page = (report.folder / "page.html").read_text(encoding="utf-8")
    assert f'<td class="number" data-label="value">{shown}</td>' in page


def test_the_time_of_the_slowest_has_its_bounds_and_n(tmp_path: Path) -> None:
    path = suite(tmp_path, HEAD + "  latency_p95: {max: 9}\n")
    report = run(path, right)
    assert re.search(r"p95: \S+ s \(\S+ to \S+ s, n 60\)", markdown(report, None))


def test_without_a_baseline_the_comment_says_how_to_get_one(tmp_path: Path) -> None:
    text = markdown(run(suite(tmp_path), right), None)
    assert text.startswith("## PASS: suite sums <!-- genai-evals:sums -->")
    assert "genai eval accept sums --reason" in text


@pytest.mark.parametrize("said", ["", "x\n````\n<img src=http://evil.test>\n````\n@team"])
def test_what_a_model_wrote_is_inert_in_markdown(tmp_path: Path, said: str) -> None:
    report, decision = judged(tmp_path, nasty)
    first = decision.comparisons[0]
    flips = [replace(flip, said_before=said or flip.said_before) for flip in first.flips]
    decision = replace(decision, comparisons=(replace(first, flips=tuple(flips)),))
    text = markdown(report, decision)
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    outside = re.sub(r"<pre>.*?</pre>", "", rendered, flags=re.DOTALL)
    for live in ("<script", "<img", "<a ", "@team", "evil.test", "```"):
        assert live not in outside, live
    assert rendered.count("<details>") == rendered.count("</details>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt; ``` @team ]]&gt;" in rendered
    assert not {"\x08", "\u202e"} & set(text)


@pytest.mark.parametrize(
    "said", ["@team", "see http://x.test", "www.x.test", "![a](b)", "[a](b)", "<b>", "`x`", "#12",
             "a|b", "**x**", "mailto:a@b.test"],
)  # fmt: skip
def test_words_outside_a_fence_are_only_text(tmp_path: Path, said: str) -> None:
    report = run(suite(tmp_path), right)
    broken = replace(report.metrics[0], state="unmeasured", reason=said, unmeasured=60, n=0)
    text = markdown(replace(report, metrics=(broken,)), None)
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert not re.search(r"<(a|img|b|code|strong)[ >](?!UNMEASURED)", rendered.split("<pre>")[0])
    assert not re.search(r"[@#]\w|://|www\.|mailto:", re.sub("<[^>]*>", "", rendered))
    assert rendered.count("<td>") == 7  # a bar opens no new cell
    shown = re.sub(r"\s|\u200b|<[^>]*>", "", rendered)
    assert re.sub(r"\s", "", said).replace("<b>", "&lt;b&gt;") in shown


def test_a_comment_stays_below_what_a_platform_takes(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, nasty)
    flips = tuple(
        replace(flip, case="長" * 400, said_before="`" * 600, said_after="長" * 600)
        for flip in decision.comparisons[0].flips
    )
    many = tuple(
        replace(decision.comparisons[0], metric=f"m{n} {'長' * 200}", flips=flips)
        for n in range(200)
    )
    text = markdown(report, replace(decision, comparisons=many))
    assert len(text.encode()) < 60_000
    assert text.startswith("## REGRESSION")


def test_a_case_that_moves_in_two_metrics_is_listed_once(tmp_path: Path) -> None:
    _, decision = judged(tmp_path, wrong_below(20))
    both = replace(decision.comparisons[0], metric="again")
    found = changed(replace(decision, comparisons=(decision.comparisons[0], both)))
    assert len(found) == 20
    assert [each.metric for each in found[0].changes] == ["exact", "again"]


def test_a_report_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    report = run(suite(tmp_path), right)
    (tmp_path / "file").write_text("")
    with pytest.raises(CaseError, match="cannot be written"):
        report.save(tmp_path / "file" / "x.xml", "junit")
    with pytest.raises(CaseError, match="'pdf' is not a form of a report; known: junit"):
        report.save(tmp_path / "x.pdf", "pdf")


def test_suites_of_one_name_in_two_projects_of_a_repository_have_comments_of_their_own(
    tmp_path: Path,
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    heads = []
    for name in ("", "apps/red", "apps/gr\u00fcn"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        heads.append(markdown(run(suite(tmp_path / name, count=2), right), None).partition("\n")[0])
    assert [head.partition("<!-- ")[2] for head in heads] == [
        "genai-evals:sums -->", "genai-evals:apps-red-sums -->", "genai-evals:apps-gr-n-sums -->",
    ]  # fmt: skip


def test_of_repeats_the_answer_that_was_wrong_is_shown(tmp_path: Path) -> None:
    head = "suite: sums\nrepeats: 3\nmetrics:\n  exact: {hard: true, min: 1}\n"
    path = suite(tmp_path, head, count=12)
    accept(run(path, right), "as it is today")
    asked: Counter[str] = Counter()

    def flaky(question: str) -> str:
        asked[question] += 1
        return "wrong" if question.startswith("3 ") and asked[question] == 2 else right(question)

    report = run(path, flaky, concurrency=1)
    assert [(each.case, each.happened) for each in report.metric("exact").lapses] == [
        ("s3", "answered: wrong")
    ]  # its first repeat was right
    (flip,) = report.against().comparisons[0].flips
    assert (flip.said_before, flip.said_after) == ("answered: 4", "answered: wrong")


def test_a_tool_call_is_shown_where_nothing_else_was_said(tmp_path: Path) -> None:
    path = suite(tmp_path, "suite: sums\nmetrics:\n  tool_calls: {min: 1}\n", count=2)
    rows = [json.loads(line) for line in (path.parent / "sums.jsonl").read_text().splitlines()]
    rows = [{**row, "expected_tools": [{"name": "add", "args": {"to": 1}}]} for row in rows]
    (path.parent / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = run(path, lambda question: {"tool_calls": [{"name": "add", "args": {"to": 2}}]})
    assert report.scorecard.rows[0].answer == 'answered: add({"to": 2})'


def test_a_change_that_makes_it_dearer_is_a_regression_in_its_own_figures(tmp_path: Path) -> None:
    head = "suite: sums\nmetrics:\n  cost_per_case: {gate: true}\n  exact: {min: 1}\n"
    path = suite(tmp_path, head)

    def costs(dollars: float) -> Callable[[str], dict[str, object]]:
        return lambda question: {
            "text": right(question), "cost": dollars * (1 + int(question.split()[0]) % 7 / 10)
        }  # fmt: skip

    accept(run(path, costs(0.00002)), "as it is today")
    report = run(path, costs(0.00006))
    decision = report.against()
    assert str(decision) == "REGRESSION"  # by a five-hundredth of a cent
    table = decision_text(decision)
    assert re.search(
        r"cost_per_case +2\.5\de-05 +7\.\d+e-05 +\+5\.\d+e-05 +\+4\.\S+ to \+5\.", table
    )
    said = comparison_text(decision.comparisons[0])
    assert re.match(r"cost_per_case rose from 2\.5\de-05 to 7\.\d+e-05 \(bounds \+", said)
    assert re.search(r"\| \+5\.\d+e-05 \| \[\+4\.\S+, \+5\.", markdown(report, decision))

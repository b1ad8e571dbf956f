"""The page of a run: one file that loads nothing, small at any size, usable by everyone."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
from suites import NASTY, judged, nasty, right, run, suite, wrong_below

from genai.errors import Unmeasured
from genai.evals import Decision, Report
from genai.evals.gate import Flip
from genai.evals.scorecard import Row, Scorecard


def page(report: Report, decision: Decision | None) -> str:
    path = report.folder / "out" / "page.html"
    report.save(path, "html", decision)
    return path.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Every element of a page with its attributes, and the text by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.said: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.said.append((self.found[-1][0] if self.found else "", data))

    def text(self, tag: str) -> str:
        return "".join(data for at, data in self.said if at == tag)


def test_the_page_allows_its_own_style_and_script_and_nothing_else(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, nasty)
    text = page(report, decision)
    tags = Tags(text)
    policy = next(a["content"] for t, a in tags.found if t == "meta" and "http-equiv" in a)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert text.index("Content-Security-Policy") < text.index("<style>")
    live = {"script", "img", "a", "link", "iframe", "object", "form", "base", "b"}
    assert [tag for tag, _ in tags.found if tag in live] == ["script"]
    for _, attributes in tags.found:
        assert not [n for n in attributes if n.startswith("on") or n in ("style", "src", "href")]


def test_what_a_model_wrote_is_text_on_the_page(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, nasty)
    said = Tags(page(report, decision)).text("pre")
    kept = " ".join(NASTY.encode("utf-8", "replace").decode().split())
    assert kept.replace("\x08", "").replace("\u202e", "") in said.replace("answered: ", "")


def test_verdict_figures_slices_and_cost_stand_on_the_page(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, wrong_below(20))
    text = page(report, decision)
    plain = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", text.partition("</style>")[2]))
    each = decision.comparisons[0]
    for words in (
        "REGRESSION suite sums against main", "exact: 20 cases worse, 0 better",
        f"exact 1 0.6667 -0.333 [{each.low:+.3g}, {each.high:+.3g}] &lt; 0.001 60 100 % REGRESSION",
        "20 worse, 0 better.", "s0 0 + 1 exact 1 to 0", "easy exact 0.667", "spend unknown cost",
        "answered 60", "genai eval sums --stage pull_request --baseline main",
    ):  # fmt: skip
        assert words in plain, words
    assert text.count("<article") == 20
    assert text.count('<svg class="bar"') >= 4


def dead_below_10(question: str) -> str:
    if int(question.partition(" ")[0]) < 10:
        raise Unmeasured("no reply is kept for <this> request")
    return right(question)


def test_what_is_unmeasured_has_its_reason(tmp_path: Path) -> None:
    report = run(suite(tmp_path), dead_below_10)
    text = page(report, None)
    assert (
        "UNMEASURED</span> exact: 10 cases; replay_miss: no reply is kept for &lt;this&gt;" in text
    )
    assert "<title>UNMEASURED" in text


def test_200_000_changed_cases_make_a_small_page(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, nasty)
    first, card = decision.comparisons[0], report.scorecard
    count = 200_000
    flips = tuple(Flip(f"c{n}", 1.0, 0.0) for n in range(count))
    rows = [Row(f"c{n}", card.rows[0].values, tags=(f"t{n}",)) for n in range(count)]
    Scorecard(msgspec.structs.replace(card.head, cases=count), rows).write(
        report.folder / "scorecard.jsonl"
    )
    many = replace(first, flips=flips, losses=count, n=count)
    text = page(replace(report, cases=count), replace(decision, comparisons=(many,)))
    assert len(text.encode()) < 5_000_000
    assert text.count("<article") == 500
    assert "200000 worse" in text
    assert f".genai/runs/sums/{report.run}/log-*.jsonl" in text
    assert str(tmp_path) not in text


def test_answers_that_rows_do_not_keep_come_from_the_log(tmp_path: Path) -> None:
    report, decision = judged(tmp_path, wrong_below(20, said="a wrong answer"))
    first = decision.comparisons[0]
    flips = tuple(replace(flip, said_before="", said_after="") for flip in first.flips)
    text = page(report, replace(decision, comparisons=(replace(first, flips=flips),)))
    assert text.count("<pre>answered: a wrong answer</pre>") == 20
    assert text.count("<pre>not kept</pre>") == 20

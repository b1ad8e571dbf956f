"""The month of the chapters: its incident is named, becomes a case, and is worth what they say."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import genai
from genai.cli import main
from genai.evals import load_suite
from genai.ledger import Ledger
from genai.reports.incidents import incidents, text

ROOT = Path(__file__).parents[2]
QUESTION = "How long may a guest return a lamp?"
RIGHT = "Guests may return a lamp within thirty days."
SUITE = """suite: shop
metrics:
  token_f1: {min: 0.9}
cases:
  - {id: open, input: "When do you open?", expected: "When do you open?"}
"""


SEED, FIRST = 1000, 20_728  # of the chapters; 2026-10-02, a day number


def drawn_into(folder: Path, without: Sequence[str] = ()) -> None:
    """Make a project whose ledger holds the month, drawn as the benchmark of incidents draws it."""
    from month import drawn, write

    business = (ROOT / "configs" / "business.yaml").read_text("utf-8")
    business = re.sub(r"^  (cost|escalated): .*$", r"  \1: {measured: true}", business, flags=re.M)
    for name, content in (
        ("configs/genai.yaml", "chain: {model: fake/echo}\nledger: {content: feedback}\n"),
        ("configs/guards.yaml", (ROOT / "configs/guards.yaml").read_text("utf-8")),
        ("configs/business.yaml", business),
        ("configs/loop.yaml", "cases: shop\ndays: 36500\n"),
        ("evals/shop.yaml", SUITE),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / ".genai").mkdir()
    write(drawn(SEED, without=without), folder / ".genai").database.dispose()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The month, and beside it the same one with its prompt mended, in the folder `mended`."""
    found = tmp_path_factory.mktemp("month")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        drawn_into(found)
        (found / "mended").mkdir()
        drawn_into(found / "mended", without=["prompt"])
        yield found
        sys.modules.pop("month", None)


@pytest.fixture
def month(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("GENAI_PROJECT", str(folder))
    monkeypatch.setattr("genai.loop.promote.side", lambda group, share: False)
    return genai.open_ledger()


def shown(chapter: str, beginning: str) -> list[str]:
    """Give the lines of the block of a chapter that begins so."""
    parts = re.split(r"^```.*\n", (ROOT / "docs" / chapter).read_text("utf-8"), flags=re.M)
    (found,) = [each for each in parts[1::2] if each.startswith(beginning)]
    return found.splitlines()


def test_the_chapter_on_monitoring_shows_what_is_found(month: Ledger) -> None:
    said = text(incidents(month, FIRST, FIRST + 29)).splitlines()
    lines = shown("monitoring.md", "2026-10-14 to")
    assert len(lines) == 9
    assert [line for line in said if line in lines] == lines


def test_the_chapter_on_experiments_holds_the_prompts_against_each_other(
    month: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", "ab", "chat/answer@1", "chat/answer@2", "--by", "prompt_id"]
    assert main([*words, "--feature", "chat", "--days", "36500"]) == 4
    said = capsys.readouterr().out.splitlines()
    lines = shown("experiments.md", "CANNOT_COMPARE: chat/answer@2")
    assert said[: len(lines)] == lines
    assert main([*words, "--feature", "chat", "--days", "36500", "--share", "0.4"]) == 1


def test_the_chapter_on_the_business_case_prints_it_before_and_after_the_fix(
    month: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    values = []
    for place, beginning in ((folder, "net present value USD 688"),
                             (folder / "mended", "net present value USD 878")):  # fmt: skip
        monkeypatch.setenv("GENAI_PROJECT", str(place))
        assert main(["report", "business", "--from", "2026-10-14", "--to", "2026-10-31"]) == 0
        said = capsys.readouterr().out
        lines = shown("business-case.md", beginning)
        assert [line for line in said.splitlines() if line in lines] == lines
        assert "period 2026-10-14 to 2026-10-31" in said
        values.append(float(lines[0].split()[4].replace(",", "")))
    assert 100_000 < values[1] - values[0] < 300_000


def test_a_prompt_that_got_worse_becomes_a_case(month: Ledger) -> None:
    found = incidents(month, FIRST, FIRST + 29, reference=10)
    (worse,) = [each for each in found if each.cause[0] == "prompt_id"]
    assert worse.cause == ("prompt_id", "chat/answer@2")
    assert worse.lost > 0
    refused = month.calls(limit=10_000, prompt_id=worse.cause[1], outcome="refusal", kind="chain")
    call = refused[0]
    month.feedback(call.id, False, turn=(QUESTION, "I do not know."), consent=True)

    loop = genai.open_loop()
    loop.refresh()
    (item,) = [each for each in loop.items() if each.question]
    assert (item.question, item.prompt_id) == (QUESTION, worse.cause[1])
    loop.review(item.id, "edit", "Ada", text=RIGHT, label="worse prompt")
    loop.promote(item.id)

    suite = load_suite(genai.find_project().root / "evals" / "shop.yaml")
    (made,) = [each for each in suite.cases if each.id.startswith("loop-")]
    assert (made.input, made.expected) == (QUESTION, RIGHT)
    genai.evaluate("shop", lambda question: question, resume=False)
    assert loop.status().stage("case, fails").count == 1
    genai.evaluate("shop", lambda question: RIGHT if question == QUESTION else question)
    assert loop.status().stage("case, passes").count == 1

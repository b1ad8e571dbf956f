"""From a month's incident to a regression case: named, thumbed, edited, promoted, failing."""

import sys
from pathlib import Path

import pytest

import genai
from genai.evals import load_suite
from genai.ledger import Ledger
from genai.reports.incidents import incidents

ROOT = Path(__file__).parents[2]
QUESTION = "How long may a guest return a lamp?"
RIGHT = "Guests may return a lamp within thirty days."
SUITE = """suite: shop
metrics:
  token_f1: {min: 0.9}
cases:
  - {id: open, input: "When do you open?", expected: "When do you open?"}
"""


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A project whose ledger holds a month, drawn as the benchmark of incidents draws it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name, text in (
        ("configs/genai.yaml", "chain: {model: fake/echo}\nledger: {content: feedback}\n"),
        ("configs/guards.yaml", (ROOT / "configs/guards.yaml").read_text("utf-8")),
        ("configs/loop.yaml", "cases: shop\ndays: 36500\n"),
        ("evals/shop.yaml", SUITE),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("GENAI_PROJECT", str(tmp_path))
    monkeypatch.setattr("genai.loop.promote.side", lambda group, share: False)
    from month import drawn, write

    (tmp_path / ".genai").mkdir()
    write(drawn(1001), tmp_path / ".genai")
    monkeypatch.delitem(sys.modules, "month")
    return genai.open_ledger()


def test_a_prompt_that_got_worse_becomes_a_case(month: Ledger) -> None:
    found = incidents(month, 20_728, 20_728 + 29, reference=10)
    (worse,) = [each for each in found if each.cause[0] == "prompt_id"]
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

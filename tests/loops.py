"""A ledger of production traffic with people's words, for tests of the loop."""

from pathlib import Path
from typing import Any

from makers import call

from genai.ledger import Ledger
from genai.loop import LoopSettings, Queue
from genai.types import Context

NOW = 1_800_000_000.0
SUITE = """suite: shop
metrics:
  exact: {gate: true}
cases:
  - {id: hours, input: "When do you open in the morning?", expected: "At nine."}
"""


def open_queue(folder: Path, content: str = "feedback", **settings: Any) -> Queue:
    ledger = Ledger(folder / ".genai" / "ledger.db", content=content)
    return Queue(ledger, LoopSettings(days=36_500, **settings))


def say(ledger: Ledger, name: str, question: str, answer: str = "No.", **given: Any) -> None:
    """Record a call, and a thumb with its turn where a `value` is given, as the chat does."""
    context = Context(
        user=given.pop("user", ""), session=given.pop("session", ""),
        prompt_id=given.pop("prompt", ""), run=given.pop("run", ""),
    )  # fmt: skip
    value, consent = given.pop("value", None), given.pop("consent", True)
    words = {key: given.pop(key) for key in ("reason", "comment") if key in given}
    failed = {"outcome": given.pop("outcome", "ok"), "reason": given.pop("why", "")}
    row = call(id=name, kind="chain", started_at=NOW + given.pop("at", 0.0), context=context,
               **failed, **given)  # fmt: skip
    ledger.record(row, question=question, answer=answer)
    if value is not None:
        ledger.feedback(name, value, turn=(question, answer), consent=consent, **words)


def suite(folder: Path, text: str = SUITE) -> Path:
    (folder / "evals").mkdir(exist_ok=True)
    (folder / "docs").mkdir(exist_ok=True)
    path = folder / "evals" / "shop.yaml"
    path.write_text(text)
    return path

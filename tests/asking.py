"""A private question put to a model, and what must hold of every row, error and log of it."""

import re
from pathlib import Path
from typing import Any

import pytest

from genai.config import ModelSettings, parse_yaml
from genai.errors import ModelError
from genai.ledger import Ledger, Prices
from genai.models import Hooks, Model, open_model
from genai.types import Call

QUESTION = "my private question"
KEY = "sk-very-secret"
ROOT = Path(__file__).parent.parent
PRICES = Prices.read(parse_yaml((ROOT / "configs/prices.yaml").read_text(), "p"), "p")
_NEXT = re.compile(r"(;|,| or) (check|raise|try|set|wait|add|use|export|change) ")


def model(url: str, ledger: Ledger, **settings: Any) -> Model:
    """Open a priced model at a server; `name` and `client` choose the transport."""
    hooks = Hooks(price=PRICES.cost, record=ledger.record, sent=ledger.sent)
    client, name = settings.pop("client", None), settings.pop("name", "openai/gpt-4o-mini")
    given = ModelSettings(**{"timeout": 30.0, "retries": 2, "base_url": url, **settings})
    return open_model(name, settings=given, hooks=hooks, client=client)


def rows(ledger: Ledger) -> list[Call]:
    """Every row, oldest first; the files hold neither key nor content."""
    found = sorted(ledger.calls(limit=1000), key=lambda row: row.id)
    for path in ledger.path.parent.rglob("*"):
        if path.is_file():
            stored = path.read_bytes()
            assert b"private" not in stored
            assert b"very-secret" not in stored
    return found


def fails(url: str, ledger: Ledger, *, streamed: bool = False, **settings: Any) -> ModelError:
    """Ask, and check that the error names model, attempts and next step, and no secret."""
    before = len(rows(ledger))
    opened = model(url, ledger, **settings)
    ask = (lambda: list(opened.stream(QUESTION))) if streamed else (lambda: opened(QUESTION))
    with pytest.raises(ModelError) as caught:
        ask()
    text = str(caught.value)
    assert opened.name.rpartition("/")[2] in text
    assert opened.route.targets[0][1].kind in text  # the provider
    assert "\n" not in text
    assert "private" not in text
    assert "very-secret" not in text
    assert _NEXT.search(text), text
    said = re.search(r"\((\d+) attempts?\)$", text)
    assert said is not None, text
    assert int(said[1]) == len(rows(ledger)) - before
    return caught.value

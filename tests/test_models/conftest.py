"""What the tests of models share."""

import gc
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import KEY

from genai import bridge
from genai.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between attempts."""
    monkeypatch.setattr("genai.models.attempts._BASE", 0.01)


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Set a key; neither it nor what was asked may stand in any log, at any level."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    # LiteLLM quietens httpx for a whole process, and would hide what it logs without LiteLLM
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpx"):
        yield
    for record in caplog.get_records("call"):
        said = f"{record.getMessage()} {record.exc_text or ''}"
        assert "private" not in said
        assert "very-secret" not in said


@pytest.fixture(scope="module")
def litellm_closed() -> Iterator[None]:
    """Close what LiteLLM keeps open, before its warnings reach another file's tests."""
    yield
    litellm: Any = sys.modules.get("litellm")
    if litellm is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bridge.run(litellm.close_litellm_async_clients())
        litellm.in_memory_llm_clients_cache.flush_cache()
        gc.collect()

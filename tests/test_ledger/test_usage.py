"""Tokens as further sources report them, up to what the call is booked at."""

from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faults import faulty, reply

from genai.config import ModelSettings
from genai.ledger import Ledger
from genai.ledger.prices import Prices
from genai.ledger.prices.snapshot import load_all
from genai.ledger.usage import langchain_usage
from genai.models import Hooks, open_model
from genai.types import Reply

ROOT = Path(__file__).parent.parent.parent
NAME = "configs/prices.yaml"


@pytest.fixture
def listed() -> Prices:
    """The dated snapshot alone."""
    return Prices.read({}, NAME, partial(load_all, ROOT / "configs" / "prices"))


CLAUDE, GPT = "anthropic/claude-sonnet-4-5", "openai/gpt-5-mini"
CACHED = {"input_tokens": 1510, "output_tokens": 20, "total_tokens": 1530}
THOUGHT = {"input_tokens": 10_000, "output_tokens": 2000, "total_tokens": 12_000}


@pytest.mark.parametrize(
    ("model", "counts", "into", "out", "tier", "cost"),
    [
        (CLAUDE, CACHED, {"ephemeral_1h_input_tokens": 1500}, {}, "", "0.00933"),
        (CLAUDE, CACHED, {"ephemeral_5m_input_tokens": 1500}, {}, "", "0.005955"),
        (CLAUDE, CACHED, {"cache_creation": 1500}, {}, "", "0.005955"),
        (CLAUDE, CACHED, {"cache_creation": 1500, "ephemeral_1h_input_tokens": 1500}, {}, "",
         "0.00933"),
        (GPT, THOUGHT, {"flex_cache_read": 8000, "flex": 2000},
         {"flex_reasoning": 1500, "flex": 500}, "flex", "0.00235"),
        (GPT, THOUGHT, {"priority_cache_read": 8000, "priority": 2000},
         {"priority_reasoning": 1500, "priority": 500}, "priority", "0.00846"),
    ],
)  # fmt: skip
def test_details_of_langchain_that_bear_a_lifetime_or_a_tier_are_priced(
    listed: Prices, model: str, counts: dict[str, Any], into: dict[str, int],
    out: dict[str, int], tier: str, cost: str,
) -> None:  # fmt: skip
    into = {"cache_read": 0, "cache_creation": 0, **into}
    found = langchain_usage({**counts, "input_token_details": into, "output_token_details": out})
    assert found.flag == ""
    assert found.reasoning_tokens == sum(v for key, v in out.items() if "reasoning" in key)
    assert listed.cost(model, found, tier=tier).amount == Decimal(cost)


@pytest.mark.parametrize("streamed", [False, True])
def test_thoughts_that_xai_counts_beside_the_completion_are_output(
    tmp_path: Path, streamed: bool
) -> None:
    own = {"openai/grok": {"input": "0.0000003", "output": "0.0000005"}}
    ledger = Ledger(tmp_path / "ledger.db")
    usage = {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 399,
             "completion_tokens_details": {"reasoning_tokens": 386}}  # fmt: skip
    hooks = Hooks(price=Prices.read({"models": own}, NAME).cost, record=ledger.record)
    with faulty(reply(usage=usage)) as (url, _):
        model = open_model("openai/grok", settings=ModelSettings(base_url=url), hooks=hooks)
        said = [*model.stream("hi")][-1] if streamed else model("hi")
    assert isinstance(said, Reply)
    assert said.usage.output_tokens == 387
    (row,) = ledger.calls()
    assert (row.output_tokens, row.usage.reasoning_tokens, row.usage.flag) == (387, 386, "")
    assert (row.cost.amount, row.cost.status) == (Decimal("0.0001971"), "priced")


@pytest.mark.parametrize("streamed", [False, True])
def test_searches_that_a_provider_ran_are_in_the_cost_of_the_call(
    listed: Prices, tmp_path: Path, streamed: bool
) -> None:
    """LiteLLM's proxy tells Anthropic's searches so; each is a cent beside the tokens."""
    ledger = Ledger(tmp_path / "ledger.db")
    usage = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500,
             "server_tool_use": {"web_search_requests": 2}}  # fmt: skip
    price = partial(listed.cost, "anthropic/claude-sonnet-4-5")
    hooks = Hooks(price=lambda _, *given, **more: price(*given, **more), record=ledger.record)
    with faulty(reply(usage=usage)) as (url, _):
        model = open_model("openai/claude", settings=ModelSettings(base_url=url), hooks=hooks)
        assert [*model.stream("hi")] if streamed else model("hi")
    (row,) = ledger.calls()
    assert (row.usage.fees, row.usage.flag) == ((("web_search", 2),), "")
    assert (row.cost.amount, row.cost.fee) == (Decimal("0.0305"), Decimal("0.02"))

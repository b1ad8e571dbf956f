"""Prices: the worked examples to the last digit, and a status for all that is not known."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from faults import faulty, reply
from hypothesis import given
from hypothesis import strategies as st

from genai.config import ModelSettings, parse_yaml
from genai.errors import ConfigError
from genai.ledger import Ledger, Prices
from genai.ledger.prices import load_all, refresh
from genai.ledger.prices.rates import resolve
from genai.ledger.prices.snapshot import Snapshot, digest, load
from genai.ledger.usage import langchain_usage, openai_usage
from genai.models import Hooks, open_model
from genai.types import CostStatus, Usage

ROOT = Path(__file__).parent.parent.parent
NAME = "configs/prices.yaml"


@pytest.fixture(scope="module")
def prices() -> Prices:
    data = parse_yaml((ROOT / NAME).read_text(encoding="utf-8"), NAME)
    return Prices.read(data, NAME, partial(load_all, ROOT / "configs" / "prices"))


@pytest.fixture(scope="module")
def listed() -> Prices:
    """The dated snapshot alone."""
    return Prices.read({}, NAME, partial(load_all, ROOT / "configs" / "prices"))


def openai(prompt: int, said: int, cached: int = 0, reasoning: int = 0) -> Usage:
    return openai_usage(
        {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said,
         "prompt_tokens_details": {"cached_tokens": cached},
         "completion_tokens_details": {"reasoning_tokens": reasoning}}
    )  # fmt: skip


def claude(split: dict[str, int] | None) -> Usage:
    """LiteLLM's `Usage`, in which Anthropic's counts are added up already."""
    return openai_usage(
        {"prompt_tokens": 12000, "completion_tokens": 800, "total_tokens": 12800,
         "prompt_tokens_details": {"cached_tokens": 9000, "cache_creation_tokens": 2000,
                                   "cache_creation_token_details": split}}
    )  # fmt: skip


SPLIT = {"ephemeral_5m_input_tokens": 1500, "ephemeral_1h_input_tokens": 500}
GOLDEN: list[tuple[str, Usage, str, str]] = [
    ("openai/gpt-4o-mini", openai(1000, 500), "", "0.00045"),
    ("openai/gpt-4o", openai(2006, 300, 1920, 100), "", "0.005615"),
    ("anthropic/claude-sonnet-4-5", claude(SPLIT), "", "0.026325"),
    ("anthropic/claude-sonnet-4-5", claude(None), "", "0.0252"),
    ("gemini/gemini-2.5-pro", openai(200000, 1000), "", "0.26"),
    ("gemini/gemini-2.5-pro", openai(200001, 1000, 150000), "", "0.1775025"),
    ("openai/gpt-5-mini", openai(10000, 2000, 8000, 1500), "flex", "0.00235"),
    ("openai/gpt-5-mini", openai(10000, 2000, 8000, 1500), "priority", "0.00846"),
    ("openai/text-embedding-3-small", openai(123457, 0), "", "0.00246914"),
    ("dashscope/qwen-turbo", openai(1000, 1000, 0, 700), "", "0.00046"),
    ("dashscope/qwen-flash", openai(256000, 1000), "", "0.0132"),
    ("dashscope/qwen-flash", openai(300000, 1000), "", "0.077"),
]


@pytest.mark.parametrize(("model", "usage", "tier", "cost"), GOLDEN)
def test_the_worked_examples(
    listed: Prices, model: str, usage: Usage, tier: str, cost: str
) -> None:
    found = listed.cost(model, usage, tier=tier)
    assert found.amount == Decimal(cost)
    assert found.status is CostStatus.PRICED
    assert found.amount not in (Decimal("0.010415"), Decimal("0.008015"), Decimal("0.006615"))
    assert len(found.snapshot) == 16


def test_a_stored_row_bears_the_hash_of_the_snapshot_that_priced_it(
    listed: Prices, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    hooks = Hooks(price=listed.cost, record=ledger.record)
    with faulty(reply()) as (url, _):
        settings = ModelSettings(base_url=url)
        open_model("openai/gpt-5-mini", settings=settings, hooks=hooks)("hi")
    (row,) = ledger.calls()
    (snapshot,) = [each for each in listed.snapshots if each.hash.startswith(row.cost.snapshot)]
    assert (row.cost.key, len(row.cost.snapshot)) == ("gpt-5-mini", 16)
    assert snapshot.hash == digest(snapshot.models)


def test_search_fees_are_part_of_the_cost_and_named(listed: Prices) -> None:
    usage = Usage(1000, 500, source="provider", fees=(("web_search", 2),))
    found = listed.cost("openai/gpt-4o-mini", usage)
    assert (found.amount, found.fee) == (Decimal("0.05045"), Decimal("0.05"))
    strange = Usage(1, 1, source="provider", fees=(("moon_trip", 1),))
    assert listed.cost("openai/gpt-4o-mini", strange).amount is None


def test_a_batch_without_a_cache_rate_is_an_estimate(listed: Prices) -> None:
    found = listed.cost("openai/gpt-4o", openai(2006, 300, 1920), tier="batch")
    assert (found.amount, found.status) == (Decimal("0.0040075"), CostStatus.ESTIMATED)
    assert "in_cache_read" in found.reason


def test_a_split_that_does_not_sum_is_priced_at_the_short_rate_and_flagged(listed: Prices) -> None:
    found = listed.cost("anthropic/claude-sonnet-4-5", claude({"ephemeral_5m_input_tokens": 0}))
    assert (found.amount, found.status) == (Decimal("0.0252"), CostStatus.ESTIMATED)


def test_a_tier_nobody_lists_is_an_estimate_at_the_standard_rate(listed: Prices) -> None:
    found = listed.cost("openai/gpt-4o-mini", openai(1000, 500), tier="scale")
    assert (found.amount, found.status) == (Decimal("0.00045"), CostStatus.ESTIMATED)
    assert "scale" in found.reason
    assert listed.cost("openai/gpt-4o-mini", openai(1, 1), tier="default").status == "priced"


def test_off_peak_hours_start_at_once_and_end_before() -> None:
    entry: dict[str, Any] = {
        "input_cost_per_token": Decimal("2"),
        "off_peak_pricing": {"input_cost_per_token": Decimal("1"), "windows": [
            {"hours_utc": ["10:00-00:00", "00:00-01:00"], "weekdays": [1, 2, 3, 4, 5]},
            {"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]},
    }  # fmt: skip

    def rate(day: int, hour: int, minute: int = 0) -> Decimal:
        found = resolve(entry, prompt=1, at=datetime(2026, 11, day, hour, minute, tzinfo=UTC))
        assert found is not None
        return found.rates["in_text"]

    assert [rate(23, 9, 59), rate(23, 10), rate(23, 23, 59)] == [2, 1, 1]  # a Monday
    assert [rate(24, 0, 59), rate(24, 1), rate(22, 5)] == [1, 2, 1]  # the 22nd is a Sunday
    entry["input_cost_per_token_above_128k_tokens"] = Decimal("3")
    over = resolve(entry, prompt=128_001, at=datetime(2026, 11, 22, 5, tzinfo=UTC))
    assert over is not None
    assert over.rates["in_text"] == 3  # the threshold has no hours


def test_a_tier_without_a_rate_over_the_threshold_costs_what_the_threshold_does() -> None:
    entry = {"input_cost_per_token": "1", "input_cost_per_token_above_128k_tokens": "2",
             "input_cost_per_token_priority": "3"}  # fmt: skip
    found = [resolve(entry, prompt=n, tier="priority") for n in (128_000, 128_001)]
    assert [each.rates["in_text"] for each in found if each] == [3, 2]


def test_a_plain_name_gets_the_provider_that_lists_it(listed: Prices) -> None:
    assert listed.canonical("gpt-4o-mini") == "openai/gpt-4o-mini"
    assert listed.canonical("a-model-of-nobody") == "a-model-of-nobody"


def test_xai_counts_the_threshold_itself() -> None:
    entry = {"input_cost_per_token": "1", "input_cost_per_token_above_128k_tokens": "2"}
    for provider, rate in (("xai", 2), ("openai", 1)):
        found = resolve({**entry, "litellm_provider": provider}, prompt=128_000)
        assert found is not None
        assert found.rates["in_text"] == rate


def test_each_status_is_reached(prices: Prices) -> None:
    used = Usage(10, 10, 0, "provider")
    assert prices.cost("extractive", used).status is CostStatus.DECLARED_FREE
    assert prices.cost("extractive", used).amount == 0
    assert prices.cost("no/such-model", used).status is CostStatus.UNPRICED
    assert prices.cost("no/such-model", used).amount is None
    assert prices.cost("gpt-4o", Usage(10, 10, 0, "counted")).status is CostStatus.ESTIMATED
    assert prices.cost("gpt-4o", Usage(10, 10, 0, "provider", flag="x")).status == "estimated"
    assert prices.cost("gpt-4o", Usage()).status is CostStatus.UNPRICED
    reported = prices.cost("openai/gpt-4o", used, reported="0.5")
    assert (reported.amount, reported.status) == (Decimal("0.5"), "provider_reported")
    assert reported.list_amount == Decimal("0.000125")  # our own figure stands beside it


@pytest.mark.parametrize("reported", ["1e30", "NaN", "-1", "much"])
def test_a_reported_figure_that_nobody_can_believe_is_an_estimate_by_our_rates(
    listed: Prices, reported: str
) -> None:
    found = listed.cost("openai/gpt-4o", Usage(10, 10, 0, "provider"), reported=reported)
    assert (found.amount, found.status) == (Decimal("0.000125"), CostStatus.ESTIMATED)
    assert found.reason == "reported_not_credible"
    usage = openai_usage({"prompt_tokens": 2**52, "completion_tokens": 1, "total_tokens": 2**52})
    assert (usage.input_tokens, usage.flag) == (0, "not_a_count")


def test_rates_of_all_zeros_are_not_a_declaration() -> None:
    own = Prices.read({"models": {"m": {"input": "0", "output": "0"}}}, NAME)
    assert own.cost("m", Usage(1, 1, 0, "provider")).status is CostStatus.UNPRICED
    half = Prices.read({"models": {"m": {"input": "1"}}}, NAME)
    assert half.cost("m", Usage(1, 1, 0, "provider")).amount is None  # no rate for the output
    assert half.cost("m", Usage(1, 0, 0, "provider")).amount == 1


def test_a_price_belongs_to_a_provider_not_to_a_name(listed: Prices) -> None:
    used = Usage(10, 10, 0, "provider")
    assert listed.cost("openai/gpt-4o", used).status == "priced"
    assert listed.cost("vllm/gpt-4o", used).status == "unpriced"
    assert listed.cost("litellm/anthropic/claude-sonnet-4-5", used).status == "priced"


def test_a_plain_name_of_ones_own_is_the_model_of_the_provider_that_lists_it() -> None:
    own = {"models": {name: {"input": "9", "output": "9"} for name in ("m", "mine")}}
    known, used = Prices.read(own, NAME, snapshots), Usage(1, 0, 0, "provider")
    assert [known.cost(name, used).amount for name in ("m", "p/m", "litellm/p/m", "mine")] == [
        9
    ] * 4
    for name in ("azure/m", "vllm/m", "openrouter/p/m", "openai/mine"):
        assert known.cost(name, used).amount is None, name
    assert known.cost("azure/x", used, response_model="m").amount is None
    assert known.cost("p/x", used, response_model="m").key == "m"
    assert "write `openai/mine`" in known.cost("openai/mine", used).reason


def test_the_model_that_answered_is_priced_before_the_one_asked_for() -> None:
    own = {"openai/a": {"input": "1", "output": "1"}, "openai/b": {"input": "2", "output": "2"}}
    found = Prices.read({"models": own}, NAME).cost(
        "openai/a", Usage(1, 1, 0, "provider"), response_model="b"
    )
    assert (found.amount, found.key) == (4, "openai/b")


def test_an_entry_of_ones_own_keeps_what_the_snapshot_says_beside_rates(prices: Prices) -> None:
    entry = prices.entry("openai/gpt-4o-mini")
    assert entry is not None
    assert entry["max_input_tokens"] == 128000
    assert "input_cost_per_token_batches" not in entry
    assert entry["effective_from"] == date(2026, 11, 1)


def test_ten_thousand_unknown_names_are_unpriced(listed: Prices) -> None:
    for _ in range(10_000):
        name = f"{uuid.uuid4().hex[:6]}/{uuid.uuid4().hex}"
        cost = listed.cost(name, Usage(5, 5, 0, "provider"))
        assert (cost.status, cost.amount) == (CostStatus.UNPRICED, None)


def snapshots() -> list[Snapshot]:
    def made(day: int, rate: str) -> Snapshot:
        models = {"m": {"litellm_provider": "p", "input_cost_per_token": rate,
                        "output_cost_per_token": "0"}}  # fmt: skip
        return Snapshot(digest(models), "test", date(2026, 11, day), models)

    return [made(20, "2"), made(10, "1")]


@pytest.mark.parametrize(
    ("day", "amount", "status"), [(25, 2, "priced"), (15, 1, "priced"), (5, 1, "estimated")]
)
def test_the_price_is_that_of_the_day_of_the_call(day: int, amount: int, status: str) -> None:
    prices = Prices.read({}, NAME, snapshots)
    at = datetime(2026, 11, day, 12, tzinfo=UTC)
    found = prices.cost("p/m", Usage(1, 0, 0, "provider"), at=at)
    assert (found.amount, found.status) == (amount, status)
    assert (found.reason == "price_after_call") == (status == "estimated")


def test_pricing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; from functools import partial\n"
        "from genai.ledger.prices import Prices, load_all; from genai.types import Usage\n"
        "prices = Prices.read({}, 'x', partial(load_all, Path(sys.argv[1])))\n"
        "cost = prices.cost('openai/gpt-5-mini', Usage(10**6, 0, 0, 'provider'))\n"
        "assert cost.amount > 0 and cost.status == 'priced', cost\n"
        "assert not {'litellm', 'pydantic', 'sqlalchemy', 'yaml'} & set(sys.modules)"
    )
    line = [sys.executable, "-c", code, ROOT / "configs" / "prices"]
    subprocess.run(line, check=True, timeout=60)


def test_refresh_writes_a_dated_file_and_says_what_changed(tmp_path: Path) -> None:
    path, first = refresh(tmp_path, date(2026, 11, 1))
    assert {change.what for change in first} == {"added"}
    models: dict[str, Any] = {name: dict(entry) for name, entry in load(path).models.items()}
    path.unlink()
    models["gpt-4o"]["input_cost_per_token"] = Decimal("0.000009")
    del models["gpt-4o-mini"]
    body = {"source": "x", "imported_at": "2026-10-01", "sha256": digest(models), "models": models}
    text = msgspec.json.Encoder(decimal_format="number").encode(body)
    (tmp_path / "older.json").write_bytes(text)
    _, changes = refresh(tmp_path, date(2026, 11, 1))
    repriced, added = changes
    assert [(c.model, c.what) for c in changes] == [
        ("gpt-4o", "repriced"), ("gpt-4o-mini", "added"),
    ]  # fmt: skip
    assert (repriced.old[0], repriced.new[0]) == (Decimal("9"), Decimal("2.5"))
    assert added.old == (None, None)
    days = [each.imported_at for each in load_all(tmp_path)]
    assert days == [date(2026, 11, 1), date(2026, 10, 1)]  # the older file stays


def test_a_snapshot_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path, _ = refresh(tmp_path, date(2026, 11, 1))
    path.write_text(path.read_text().replace("0.0000025", "0.0000001", 1))
    with pytest.raises(ConfigError, match="was changed by hand"):
        load_all(tmp_path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="not a price snapshot"):
        load_all(tmp_path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"models": {"x": {"input": 0.1}}}, "must be a quoted decimal"),
        ({"models": {"x": {"input": "-1"}}}, "must be a quoted decimal"),
        ({"models": {"x": {"input": "NaN"}}}, "must be a quoted decimal"),
        ({"models": {"x": {"inputs": "1"}}}, "`inputs` is not a rate; use input"),
        ({"models": {"x": {"effective_from": "soon"}}}, "must be a date"),
        ({"models": {"x": 7}}, "must be a mapping"),
        ({"model": {}}, "`model` is not a setting"),
    ],
)
def test_a_wrong_price_names_the_model(data: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Prices.read(data, NAME)


# -- tokens: disjoint buckets from every source --------------------------------------------------

count = st.integers(0, 10**6)
loose = st.one_of(st.none(), count, st.integers(), st.floats(), st.text(max_size=3), st.just({}))


def sums(usage: Usage) -> None:
    assert all(tokens >= 0 for tokens in usage.buckets)
    assert sum(usage.buckets[:6]) == usage.input_tokens
    assert sum(usage.buckets[6:]) == usage.output_tokens


@given(prompt=loose, said=loose, total=loose, parts=st.lists(loose, min_size=6, max_size=6))
def test_buckets_sum_to_the_totals_whatever_comes(
    prompt: Any, said: Any, total: Any, parts: list[Any]
) -> None:
    into = dict(zip(("cached_tokens", "cache_write_tokens", "audio_tokens"), parts, strict=False))
    out = dict(zip(("reasoning_tokens", "audio_tokens"), parts[3:], strict=False))
    raws: Iterator[Usage] = iter(
        (
            openai_usage({"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": total,
                          "prompt_tokens_details": into, "completion_tokens_details": out}),
            openai_usage({"input_tokens": prompt, "output_tokens": said, "total_tokens": total,
                          "input_tokens_details": into, "output_tokens_details": out}),
            langchain_usage({"input_tokens": prompt, "output_tokens": said, "total_tokens": total,
                             "input_token_details": {"cache_read": parts[0], "audio": parts[1]},
                             "output_token_details": {"reasoning": parts[2]}}),
            openai_usage(prompt),
        )
    )  # fmt: skip
    for usage in raws:
        sums(usage)


def test_sound_counts_carry_no_flag() -> None:
    assert openai(100, 50, 40, 20).flag == ""
    assert openai(100, 50, 40, 20).buckets == (60, 40, 0, 0, 0, 0, 30, 20, 0, 0)
    assert claude(SPLIT).buckets == (1000, 9000, 1500, 500, 0, 0, 800, 0, 0, 0)


@given(a=count, b=count, more=count)
def test_more_tokens_never_cost_less_and_money_is_exact(a: int, b: int, more: int) -> None:
    own = {"m": {"input": "0.00000015", "output": "0.0000006", "cached_input": "0.000000075"}}
    prices = Prices.read({"models": own}, NAME)
    less = prices.cost("m", Usage(a, b, 0, "provider")).amount
    rest = prices.cost("m", Usage(a + more, b, 0, "provider")).amount
    assert isinstance(less, Decimal)
    assert rest is not None
    assert rest - less == more * Decimal("0.00000015")

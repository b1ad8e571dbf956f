"""What a price file may say of a model, and what a snapshot keeps of the installed one."""

import hashlib
import importlib.metadata
import importlib.util
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from makers import call

from genai.errors import ConfigError
from genai.ledger import Prices
from genai.ledger.prices import Snapshot, refresh
from genai.ledger.prices.rates import Rates, resolve
from genai.ledger.prices.snapshot import FILE, Change, differences, digest, load, load_all, prune
from genai.types import Context, CostStatus, Usage

NAME = "configs/prices.yaml"
USED = Usage(1, 1, 0, "provider")
IN, OUT, READ = "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"


def rates(entry: dict[str, Any], **asked: Any) -> Rates:
    found = resolve(entry, **{"prompt": 1, **asked})
    assert found is not None
    return found


def own(*snapshots: Snapshot, **data: Any) -> Prices:
    return Prices.read(data, NAME, partial(list, snapshots))


def snapshot(day: int, **models: dict[str, Any]) -> Snapshot:
    return Snapshot(digest(models), "test", date(2026, 11, day), models)


# -- the rates of one call ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "rate"), [(0, 1), (10, 1), (11, 2), (20, 2), (21, 3), (30, 3), (31, 3)]
)
def test_a_table_of_ranges_prices_by_the_whole_prompt(prompt: int, rate: int) -> None:
    tiers = [{IN: f"{n}", "range": [n * 10 - 10, n * 10]} for n in (1, 2, 3)]
    found = rates({"tiered_pricing": tiers}, prompt=prompt)
    assert (found.rates["in_text"], found.rates["in_cache_read"]) == (rate, rate)
    # in such a table it is the rule that a cached token costs so
    assert found.stand_ins == {"in_cache_write_1h"}
    assert rates({IN: "1"}).stand_ins == {"in_cache_read", "in_cache_write_5m", "in_cache_write_1h"}


@pytest.mark.parametrize(
    ("prompt", "rate"), [(64_000, 1), (64_001, 2), (128_001, 3), (200_000, 3), (200_001, 4)]
)
def test_the_highest_threshold_that_is_passed_counts(prompt: int, rate: int) -> None:
    over = {f"{IN}_above_{limit}k_tokens": f"{n}" for limit, n in ((200, 4), (64, 2), (128, 3))}
    assert rates({IN: "1", **over}, prompt=prompt).rates["in_text"] == rate


def test_a_batch_has_its_own_rate_or_half_of_the_standard_one() -> None:
    entry = {IN: "2", OUT: "4", f"{IN}_batches": "0.5", READ: "1", f"{READ}_batches": "0.1"}
    found = rates(entry, tier="batch")
    assert [found.rates[each] for each in ("in_text", "out_text", "in_cache_read")] == [
        Decimal("0.5"), 2, Decimal("0.1"),
    ]  # fmt: skip
    assert found.doubt == "no batch rate; half the standard one used"
    assert rates({IN: "2", f"{IN}_batches": "1"}, tier="batch").doubt == ""  # nothing comes out


@pytest.mark.parametrize(
    ("hour", "window", "rate"),
    [
        (9, {"hours_utc": "09:00-17:00"}, 1), (8, {"hours_utc": "09:00-17:00"}, 4),
        (17, {"hours_utc": ["09:00-17:00"]}, 4), (9, {"hours_utc": "17:00-09:00"}, 4),
        (8, {"hours_utc": "17:00-09:00"}, 1), (9, {}, 4),
        (9, {"hours_utc": "09:00-17:00", "weekdays": [7]}, 4),  # it is a Monday
    ],
)  # fmt: skip
def test_a_block_of_hours_without_windows(hour: int, window: dict[str, Any], rate: int) -> None:
    entry = {IN: "4", "off_peak_pricing": {IN: "1", **window}, f"{IN}_priority": "8", OUT: "5"}
    at = datetime(2026, 11, 23, hour, tzinfo=UTC)
    assert rates(entry, at=at).rates["in_text"] == rate
    dear = rates(entry, at=at, tier="fast")  # another name of `priority`
    assert (dear.rates["in_text"], dear.rates["out_text"], dear.doubt) == (8, 5, "")


def test_a_region_may_cost_more() -> None:
    entry = {IN: "2", "regional_processing_uplift_multiplier_eu": "1.1",
             "regional_endpoint_uplift_multiplier": "1.5"}  # fmt: skip
    found = [rates(entry, region=each).rates["in_text"] for each in ("", "eu", "us", "regional")]
    assert found == [2, Decimal("2.2"), 2, 3]
    known = own(snapshot(1, m={"litellm_provider": "p", OUT: "1", **entry}))
    assert [known.cost("p/m", USED, region=each).amount for each in ("", "eu")] == [
        3, Decimal("3.3"),
    ]  # fmt: skip


def test_a_search_without_a_listed_fee_has_no_price() -> None:
    used = Usage(1, 1, source="provider", fees=(("web_search", 1),))
    amount, fee, why = rates({IN: "1", OUT: "1"}).amount(used)
    assert (amount, fee, why) == (None, 0, "no rate for web_search")


# -- the file -------------------------------------------------------------------------------------


def test_an_alias_is_the_model_it_names() -> None:
    known = own(
        models={"acme/open": {"input": "1", "output": "2"}}, aliases={"vllm/x": "acme/open"}
    )
    found = known.cost("vllm/x", USED)
    assert (found.amount, found.key, len(found.snapshot)) == (3, "acme/open", 16)
    assert known.cost("vllm/y", USED).amount is None
    names = ("vllm/x", "litellm/acme/open", "responses/gpt-x", "plain")
    assert [known.canonical(each) for each in names] == [
        "acme/open", "acme/open", "openai/gpt-x", "plain",
    ]  # fmt: skip
    assert known.cost("responses/gpt-x", USED).status is CostStatus.UNPRICED


@pytest.mark.parametrize(
    ("said", "amount", "status"),
    [
        ("0", 0, "provider_reported"),
        ("10000", 10_000, "provider_reported"),
        ("10001", 3, "estimated"),
    ],
)
def test_a_reported_figure_from_nothing_to_ten_thousand_dollars_counts(
    said: str, amount: int, status: str
) -> None:
    known = own(models={"m": {"input": "1", "output": "2"}})
    found = known.cost("m", USED, reported=said)
    assert (found.amount, found.status) == (amount, status)
    assert known.cost("n", USED, reported="much").status == "unpriced"


def test_a_price_of_the_day_it_is_known_from_is_no_estimate() -> None:
    listed = {"litellm_provider": "p", IN: "2", OUT: "0"}
    known = own(snapshot(20, m=listed), snapshot(10, m={**listed, IN: "1"}))
    for day, amount in ((20, 2), (19, 1), (10, 1)):
        found = known.cost("p/m", USED, at=datetime(2026, 11, day, tzinfo=UTC))
        assert (found.amount, found.status) == (amount, "priced")
    dated = {"input": "1", "output": "1", "effective_from": datetime(2026, 11, 2, 1, tzinfo=UTC)}
    mine = own(models={"m": dated})
    statuses = [mine.cost("m", USED, at=datetime(2026, 11, n, tzinfo=UTC)).status for n in (1, 2)]
    assert statuses == ["estimated", "priced"]


def test_a_price_of_ones_own_counts_from_its_day_on() -> None:
    soon = datetime.now(UTC).date() + timedelta(days=30)
    mine = {"input": "9", "output": "9", "effective_from": soon}
    listed = snapshot(1, m={"litellm_provider": "p", IN: "1", OUT: "1"})
    known = own(listed, models={"p/m": mine, "p/new": mine})
    at = datetime.now(UTC) + timedelta(days=30)
    now, then = known.cost("p/m", USED), known.cost("p/m", USED, at=at)
    assert (now.amount, now.status, now.snapshot) == (2, "priced", listed.hash[:16])
    assert (then.amount, then.status) == (18, "priced")
    for day in (None, datetime.now(UTC)):  # nobody knew an earlier one
        only = known.cost("p/new", USED, at=day)
        assert (only.amount, only.status, only.reason) == (18, "estimated", "price_after_call")


def test_the_rates_of_a_stored_call_are_those_of_its_day_and_tier() -> None:
    listed = {"litellm_provider": "p", IN: "2", OUT: "0", f"{IN}_priority": "5"}
    known = own(snapshot(20, m=listed), snapshot(10, m={**listed, IN: "1"}))
    day = datetime(2026, 11, 15, tzinfo=UTC).timestamp()

    def rate(**said: Any) -> Decimal | None:
        found = known.rates(call(model="p/m", usage=USED, started_at=day, **said))
        return None if found is None else found["in_text"]

    assert (rate(), rate(requested_tier="priority")) == (1, 5)
    assert rate(requested_tier="priority", served_tier="default") == 1
    assert known.rates(call(model="p/other", usage=USED, context=Context())) is None


def test_what_is_known_of_a_model_and_when_it_ends() -> None:
    listed = {"litellm_provider": "p", IN: "1", "max_input_tokens": 9}
    known = own(
        snapshot(20, m={**listed, "deprecation_date": "2026-12-24"}, n=listed),
        models={
            "p/m": {"licence": "MIT"},  # no rate: those of the snapshot hold
            "q/o": {"input": "1", "end_of_life": "2026-12-01 00:00:00"},
            "q/late": {"input": "1", "end_of_life": "2027-01-01"},
        },
    )  # fmt: skip
    assert known.names() == ["q/o", "q/late", "p/m", "p/n"]
    assert known.entry("p/m") == {**listed, "deprecation_date": "2026-12-24", "licence": "MIT"}
    assert known.entry("q/o") == {IN: 1, "end_of_life": "2026-12-01 00:00:00"}
    assert known.entry("q/none") is None
    assert known.ending(date(2026, 12, 24)) == [
        (date(2026, 12, 1), "q/o"), (date(2026, 12, 24), "p/m"),
    ]  # fmt: skip
    assert known.ending(date(2026, 12, 23)) == [(date(2026, 12, 1), "q/o")]
    facts = own(models={"x/y": {"licence": "MIT"}})
    assert (facts.entry("x/y"), facts.cost("x/y", USED).amount) == ({"licence": "MIT"}, None)


# -- snapshots ------------------------------------------------------------------------------------


def test_a_snapshot_keeps_what_prices_and_describes_a_call() -> None:
    entry = {"mode": "chat", "litellm_provider": "openai", IN: "1", "max_tokens": 5,
             "output_cost_per_second": "1", "comment": "x"}  # fmt: skip
    listed = {
        "z": entry,
        "image": {**entry, "mode": "image_generation"},
        "resold": {**entry, "litellm_provider": "nobody"},
        "a": {"mode": "embedding", "litellm_provider": "voyage"},
    }
    kept = prune(listed)
    assert list(kept) == ["a", "z"]
    assert set(kept["z"]) == {"mode", "litellm_provider", IN, "max_tokens"}


def test_what_is_added_removed_and_repriced_is_told_per_million() -> None:
    old = {"gone": {IN: "0.000001"}, "same": {IN: "1"}, "new rate": {IN: "1", OUT: "2"}}
    new = {"same": {IN: "1"}, "new rate": {IN: "1", OUT: "3"}, "more": {OUT: "0.000002"}}
    assert differences(old, new) == [
        Change("gone", "removed", old=(Decimal(1), None)),
        Change("more", "added", new=(None, Decimal(2))),
        Change("new rate", "repriced", (Decimal(10**6), Decimal(2 * 10**6)),
               (Decimal(10**6), Decimal(3 * 10**6))),
    ]  # fmt: skip


def test_a_refresh_makes_its_folder_and_writes_the_same_prices_once(tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "prices"
    path, _ = refresh(folder)
    assert load(path).imported_at == datetime.now(UTC).date()
    assert load(path).source == f"litellm {importlib.metadata.version('litellm')}"
    written = path.read_bytes()
    said = json.loads(written)["source_revision"]  # as git names the file
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    raw = (Path(str(spec.origin)).parent / FILE).read_bytes()
    assert said == hashlib.sha1(f"blob {len(raw)}\0".encode() + raw).hexdigest()
    again, changes = refresh(folder, date(2030, 1, 1))
    assert (again, changes, path.read_bytes()) == (path, [], written)
    path.write_text("[]")
    with pytest.raises(ConfigError, match=rf"^configs/prices/{path.name}: is not a price snapshot"):
        load(path)


def test_of_two_refreshes_of_one_day_the_later_release_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "litellm" / FILE
    source.parent.mkdir()
    found = ModuleSpec("litellm", None, origin=str(source.parent / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    for version, rate in (("1.99.10", "2"), ("1.100.0", "3"), ("1.100.1", "4")):
        entry = {"mode": "chat", "litellm_provider": "openai", IN: float(rate), OUT: 1.0}
        source.write_text(json.dumps({"m": entry}))
        monkeypatch.setattr(importlib.metadata, "version", lambda name, given=version: given)
        _, (change,) = refresh(tmp_path / "prices", date(2026, 11, 27))
        prices = Prices.read({}, NAME, partial(load_all, tmp_path / "prices"))
        assert prices.cost("openai/m", Usage(1, 0, 0, "provider")).amount == Decimal(rate)
        assert change.new[0] == 10**6 * Decimal(rate)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (None, "litellm is not installed; run: pip install"),
        (ModuleSpec("litellm", None), "litellm is not installed; run: pip install"),
        (ModuleSpec("litellm", None, origin="/nowhere/__init__.py"), "is not in the installed"),
    ],
)
def test_a_refresh_needs_the_price_file_of_litellm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None, said: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ConfigError, match=said):
        refresh(tmp_path)
    assert list(tmp_path.iterdir()) == []

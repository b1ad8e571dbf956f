"""What one call costs by the rates of one model: exact Decimal, in the order LiteLLM prices it.

The fields are those of LiteLLM's price file; the order of rules is that of its
`generic_cost_per_token` and batch calculator (1.106.2), with one difference: where a split of cache
writes does not sum to their total, the rest is priced at the five-minute rate.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Context, Decimal
from typing import Any

from genai.types import BUCKETS, Usage

_IN, _OUT = "input_cost_per_token", "output_cost_per_token"
_ABOVE = re.compile(rf"{_IN}_above_(\d+)k_tokens")
_READ = "cache_read_input_token_cost"
_WRITE, _WRITE_1H = "cache_creation_input_token_cost", "cache_creation_input_token_cost_above_1hr"
# bucket -> its own rate; where that is missing, the bucket whose rate stands in
_FIELDS = {
    "in_text": (_IN, ""),
    "in_cache_read": (_READ, "in_text"),
    "in_cache_write_5m": (_WRITE, "in_text"),
    "in_cache_write_1h": (_WRITE_1H, "in_cache_write_5m"),
    "in_audio": ("input_cost_per_audio_token", "in_text"),
    "in_image": ("input_cost_per_image_token", "in_text"),
    "out_text": (_OUT, ""),
    "out_reasoning": ("output_cost_per_reasoning_token", "out_text"),
    "out_audio": ("output_cost_per_audio_token", "out_text"),
    "out_image": ("output_cost_per_image_token", "out_text"),
}
_PLAIN_TIERS = {"", "auto", "default", "on_demand", "standard", "standard_only"}
_TIERS = {"fast": "priority"}
_PICO = Decimal("1e-12")
_ZERO = Decimal(0)
_EXACT = Context(prec=50)  # more digits than any product of tokens and rates has


@dataclass(slots=True)
class Rates:
    """Dollars a token for each bucket, and the buckets whose rate is another one's."""

    rates: dict[str, Decimal] = field(default_factory=dict)
    stand_ins: set[str] = field(default_factory=set)
    doubt: str = ""
    fee: Decimal | None = None

    def amount(self, usage: Usage) -> tuple[Decimal | None, Decimal, str]:
        """Give dollars, the fees in them, and why the figure is a guess; None where no rate is."""
        doubt, fees, total = self.doubt, _ZERO, _ZERO
        for bucket, tokens in zip(BUCKETS, usage.buckets, strict=True):
            if tokens:
                rate = self.rates.get(bucket)
                if rate is None:
                    return None, _ZERO, f"no rate for {bucket}"
                if bucket in self.stand_ins:
                    doubt = doubt or f"no rate for {bucket}; another one used"
                total = _EXACT.fma(tokens, rate, total)
        for meter, count in usage.fees:
            if self.fee is None or meter != "web_search":
                return None, _ZERO, f"no rate for {meter}"
            fees = _EXACT.fma(count, self.fee, fees)
        whole = _EXACT.add(total, fees)
        return _EXACT.quantize(whole, _PICO), _EXACT.quantize(fees, _PICO), doubt


def resolve(
    entry: Mapping[str, Any], *, prompt: int, tier: str = "", region: str = "",
    at: datetime | None = None,
) -> Rates | None:  # fmt: skip
    """Find the rates of one call; None where the entry holds no rate that is not 0.

    `prompt` is the whole input, cached tokens included; `tier` the service tier, `batch` too.
    """
    if not _has_price(entry):
        return None
    found = Rates(fee=_search_fee(entry))
    if entry.get("tiered_pricing"):
        chosen: Mapping[str, Any] = _range(entry["tiered_pricing"], prompt)
        _fill(found, lambda name: chosen.get(name), expected={_READ, _WRITE})
    elif tier == "batch":
        _batch(found, entry)
    else:
        suffix = _suffix(entry, tier, found)
        above = _above(entry, prompt)
        peak = _off_peak(entry, at)
        _fill(found, lambda name: _pick(entry, peak, name, above, suffix))
    _uplift(found, entry, region)
    return found


def _has_price(entry: Mapping[str, Any]) -> bool:
    if entry.get("tiered_pricing"):
        return True
    return any(entry.get(name) for name, _ in _FIELDS.values())


def _fill(found: Rates, rate: Any, expected: frozenset[str] | set[str] = frozenset()) -> None:
    for bucket, (name, stand_in) in _FIELDS.items():
        value = rate(name)
        if value is not None:
            found.rates[bucket] = Decimal(value)
        elif stand_in in found.rates:
            found.rates[bucket] = found.rates[stand_in]
            # that reasoning costs as output does is a rule of the file, not a guess
            if bucket.startswith("in_cache") and name not in expected:
                found.stand_ins.add(bucket)


def _pick(
    entry: Mapping[str, Any], peak: Mapping[str, Any], name: str, above: str, suffix: str
) -> Any:
    for key in (f"{name}{above}{suffix}", f"{name}{above}", f"{name}{suffix}"):
        if key != name and entry.get(key) is not None:
            return entry[key]  # it has no hours
    return peak.get(name, entry.get(name))


def _suffix(entry: Mapping[str, Any], tier: str, found: Rates) -> str:
    if tier in _PLAIN_TIERS:
        return ""
    suffix = f"_{_TIERS.get(tier, tier)}"
    if entry.get(_IN + suffix) is None:
        found.doubt = f"no rates for tier {tier}; standard used"
        return ""
    return suffix


def _above(entry: Mapping[str, Any], prompt: int) -> str:
    """Give the suffix of the highest threshold the prompt passes."""
    least = prompt + (entry.get("litellm_provider") == "xai")  # which counts the threshold itself
    limits = [int(each[1]) for key in entry if (each := _ABOVE.fullmatch(key))]
    passed = [limit for limit in limits if limit * 1000 < least]
    return f"_above_{max(passed)}k_tokens" if passed else ""


def _range(tiers: list[Mapping[str, Any]], prompt: int) -> Mapping[str, Any]:
    return next((tier for tier in tiers if prompt <= tier["range"][1]), tiers[-1])


def _batch(found: Rates, entry: Mapping[str, Any]) -> None:
    half = {}
    for name in (_IN, _OUT):
        given, standard = entry.get(f"{name}_batches"), entry.get(name)
        if given is None and standard is not None:
            found.doubt = "no batch rate; half the standard one used"
        half[name] = given if given is not None or standard is None else Decimal(standard) / 2
    rates = {**half, _READ: entry.get(f"{_READ}_batches"), _WRITE: entry.get(f"{_WRITE}_batches")}
    _fill(found, rates.get)


def _off_peak(entry: Mapping[str, Any], at: datetime | None) -> Mapping[str, Any]:
    """Give the rates of the open window; start inclusive, end exclusive, may pass midnight."""
    block = entry.get("off_peak_pricing")
    if not block:
        return {}
    now = at or datetime.now(UTC)
    windows = block.get("windows") or [block]
    return block if any(_open(window, now) for window in windows) else {}


def _open(window: Mapping[str, Any], now: datetime) -> bool:
    days = window.get("weekdays")
    if days and now.isoweekday() not in days:
        return False
    hours = window.get("hours_utc") or []
    for span in [hours] if isinstance(hours, str) else hours:
        start, end = (time.fromisoformat(part) for part in span.split("-"))
        within = now.time() >= start, now.time() < end
        if all(within) or (start >= end and any(within)):
            return True
    return False


def _search_fee(entry: Mapping[str, Any]) -> Decimal | None:
    sizes = entry.get("search_context_cost_per_query") or {}
    fee = sizes.get("search_context_size_medium")
    return None if fee is None else Decimal(fee)


def _uplift(found: Rates, entry: Mapping[str, Any], region: str) -> None:
    factor = entry.get(f"regional_processing_uplift_multiplier_{region}") if region else None
    if region == "regional":
        factor = entry.get("regional_endpoint_uplift_multiplier")
    if factor is not None:
        found.rates = {name: rate * Decimal(factor) for name, rate in found.rates.items()}

"""What a call costs: exact Decimal rates from a dated file, or a status that says nobody knows.

Order: the project's `configs/prices.yaml`, then the price file inside an installed litellm, which
is read without importing litellm. Lookups are exact; nothing is guessed from a prefix.
"""

import importlib.util
import json
from collections.abc import Mapping
from decimal import Decimal, localcontext
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from genai.errors import ConfigError
from genai.types import Cost, CostStatus, Usage

_QUANTUM = Decimal("1e-12")  # one picodollar: what a row stores
_BUCKETS = ("input", "output", "cached_input")


class Prices:
    """Rates in dollars a token, by exact model name, and patterns of what is declared free."""

    def __init__(
        self,
        rates: Mapping[str, Mapping[str, Decimal]],
        free: tuple[str, ...],
        litellm: bool = True,
    ) -> None:
        self._rates = rates
        self._free = free
        self._litellm = litellm

    @classmethod
    def read(cls, data: Any, name: str) -> "Prices":
        """Take the parsed content of a price file; rates must be strings.

        Raises:
            ConfigError: names file, model, key and cure.
        """
        data = data or {}
        unknown = set(data) - {"version", "free", "models"}
        if unknown:
            raise ConfigError(f"{name}: `{min(unknown)}` is not a setting; use free or models")
        rates: dict[str, dict[str, Decimal]] = {}
        for model, entry in (data.get("models") or {}).items():
            rates[model] = {}
            for key, value in entry.items():
                if key in ("effective_from", "source"):
                    continue
                if key not in _BUCKETS:
                    raise ConfigError(
                        f"{name}: `{key}` of `{model}` is not a rate; use {', '.join(_BUCKETS)}"
                    )
                rates[model][key] = _decimal(value, f"{name}: `{key}` of `{model}`")
        return cls(rates, tuple(data.get("free") or ()))

    def cost(
        self, model: str, usage: Usage, *, tier: str = "", response_model: str = "",
        reported: str = "",
    ) -> Cost:  # fmt: skip
        """Price one call. Cached tokens are part of the input tokens and priced apart.

        Returns:
            `declared_free` with 0, `priced`, `estimated` where tokens or a rate are a guess, or
            `unpriced` with no amount.
        """
        if any(fnmatchcase(model, pattern) for pattern in self._free):
            return Cost(Decimal(0), CostStatus.DECLARED_FREE, "configs/prices.yaml: free")
        rates = self._find(model)
        if not rates or not any(rates.values()):
            return Cost(None, CostStatus.UNPRICED, f"no price for {model}")
        if usage.source == "none":
            return Cost(None, CostStatus.UNPRICED, "no usage reported")
        fallback = usage.cached_tokens > 0 and "cached_input" not in rates
        with localcontext() as context:
            context.prec = 50
            fresh = max(usage.input_tokens - usage.cached_tokens, 0)
            amount = fresh * rates.get("input", Decimal(0))
            amount += usage.cached_tokens * rates.get(
                "cached_input", rates.get("input", Decimal(0))
            )
            amount += usage.output_tokens * rates.get("output", Decimal(0))
            amount = amount.quantize(_QUANTUM)
        if usage.source == "counted":
            return Cost(amount, CostStatus.ESTIMATED, "tokens counted here")
        if fallback:
            return Cost(amount, CostStatus.ESTIMATED, "no cached rate; input rate used")
        return Cost(amount, CostStatus.PRICED)

    def _find(self, model: str) -> Mapping[str, Decimal]:
        names = [model, model.partition("/")[2]]
        for name in names:
            if name in self._rates:
                return self._rates[name]
        if self._litellm:
            for name in names:
                found = _litellm_rates(name) if name else {}
                if found:
                    return found
        return {}


def _decimal(value: object, where: str) -> Decimal:
    try:
        amount = Decimal(value) if isinstance(value, str) else None
    except ArithmeticError:
        amount = None
    if amount is None or not amount.is_finite() or amount < 0:
        raise ConfigError(f'{where}: must be a quoted decimal such as "0.00000015", got {value!r}')
    return amount


@lru_cache(maxsize=1)
def _litellm_file() -> dict[str, Any]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).parent / "model_prices_and_context_window_backup.json"
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text("utf-8"), parse_float=Decimal)
    return found


@lru_cache(maxsize=256)
def _litellm_rates(model: str) -> dict[str, Decimal]:
    entry = _litellm_file().get(model, {})
    keys = {
        "input": "input_cost_per_token",
        "output": "output_cost_per_token",
        "cached_input": "cache_read_input_token_cost",
    }
    return {
        bucket: Decimal(entry[key]) for bucket, key in keys.items() if entry.get(key) is not None
    }

"""The project's prices: its own file first, then dated snapshots; every cost says what it rests on.

Lookups are exact: the model that answered, the model that was asked for, an alias. Nothing is
guessed from a prefix, and a model without a price is `unpriced`, never 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from genai.errors import ConfigError
from genai.ledger.prices.rates import Rates, resolve
from genai.ledger.prices.snapshot import Snapshot, digest
from genai.types import Call, Cost, CostStatus, Usage

# the short names of prices.yaml for the fields of LiteLLM's file
_SHORT = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "batch_input": "input_cost_per_token_batches",
    "batch_output": "output_cost_per_token_batches",
}
# what else an entry may say of its model, for `genai models`
_FACTS = {"source", "licence", "regions", "context", "max_output", "end_of_life", "modalities"}
_PROVIDERS = {"responses": "openai"}
_CACHE = 2048
_MOST = 10_000  # dollars of one call, by a provider's own word; more is a fault of the source
Known = tuple[Rates | None, str, str, bool]


class Prices:
    """What calls cost. Make one with `read`; `cost` prices a call."""

    def __init__(
        self,
        own: Mapping[str, Mapping[str, Any]],
        free: Sequence[str] = (),
        snapshots: Callable[[], Sequence[Snapshot]] = tuple,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self._own = {name: entry for name, entry in own.items() if _rated(entry)}
        self._facts = {name: entry for name, entry in own.items() if not _rated(entry)}
        self._own_hash = digest({name: dict(entry) for name, entry in self._own.items()})[:16]
        self._free = tuple(free)
        self._aliases = dict(aliases or {})
        self._load = snapshots
        self._snapshots: Sequence[Snapshot] | None = None
        self._is_free: dict[str, bool] = {}
        self._known: dict[tuple[str, ...], Known] = {}

    @classmethod
    def read(
        cls, data: Any, name: str, snapshots: Callable[[], Sequence[Snapshot]] = tuple
    ) -> "Prices":
        """Take the parsed content of a price file; rates must be quoted decimals.

        Raises:
            ConfigError: names file, model, key and cure.
        """
        data = data or {}
        unknown = set(data) - {"version", "free", "models", "aliases"}
        if unknown:
            raise ConfigError(
                f"{name}: `{min(unknown)}` is not a setting; use free, models or aliases"
            )
        own = {
            model: _entry(entry, f"{name}: `{model}`")
            for model, entry in (data.get("models") or {}).items()
        }
        return cls(own, tuple(data.get("free") or ()), snapshots, data.get("aliases"))

    @property
    def snapshots(self) -> Sequence[Snapshot]:
        """The dated snapshots, newest first; read on first use."""
        if self._snapshots is None:
            self._snapshots = self._load()
        return self._snapshots

    @property
    def _newest(self) -> Mapping[str, Mapping[str, Any]]:
        return self.snapshots[0].models if self.snapshots else {}

    def cost(
        self, model: str, usage: Usage, *, tier: str = "", response_model: str = "",
        reported: str = "", region: str = "", at: datetime | None = None,
    ) -> Cost:  # fmt: skip
        """Price one call.

        `tier` is the service tier (`batch` too), `reported` the provider's own figure in dollars,
        `at` the time of the call where it is not now.
        """
        free = self._is_free.get(model)
        if free is None:
            free = any(fnmatchcase(model, pattern) for pattern in self._free)
            if len(self._is_free) < _CACHE:
                self._is_free[model] = free
        if free:
            zero = Decimal(0)
            return Cost(zero, CostStatus.DECLARED_FREE, "configs/prices.yaml: free", key=model)
        cost = self._listed(model, usage, tier, response_model, region, at)
        own = _dollars(reported)
        if own is None:
            if reported and cost.status == CostStatus.PRICED:
                return replace(cost, status=CostStatus.ESTIMATED, reason="reported_not_credible")
            return cost
        return Cost(
            own, CostStatus.PROVIDER_REPORTED, "", cost.currency, cost.amount, None,
            cost.snapshot, cost.key,
        )  # fmt: skip

    def rates(self, call: Call) -> Mapping[str, Decimal] | None:
        """Give the dollars a token by bucket that hold for a call; None where it has no price."""
        tier, at = (
            call.served_tier or call.requested_tier,
            datetime.fromtimestamp(call.started_at, UTC),
        )
        found = self._rates(
            call.model, call.usage.input_tokens, tier, call.response_model, call.region, at
        )[0]
        return None if found is None else found.rates

    def _listed(
        self, model: str, usage: Usage, tier: str, response_model: str, region: str,
        at: datetime | None,
    ) -> Cost:  # fmt: skip
        rates, key, snapshot, late = self._rates(
            model, usage.input_tokens, tier, response_model, region, at
        )
        if rates is None:
            bare = model.partition("/")[2]
            cure = f"; `{bare}` names no provider, write `{model}`" if bare in self._own else ""
            return Cost(None, CostStatus.UNPRICED, f"no price for {model}{cure}")
        if usage.source == "none":
            return Cost(None, CostStatus.UNPRICED, "no usage reported", key=key)
        amount, fee, doubt = rates.amount(usage)
        if amount is None:
            return Cost(None, CostStatus.UNPRICED, doubt, snapshot=snapshot, key=key)
        if usage.source == "counted":
            doubt = "tokens counted here"
        elif usage.flag:
            doubt = f"usage: {usage.flag}"
        elif late:
            doubt = "price_after_call"
        status = CostStatus.ESTIMATED if doubt else CostStatus.PRICED
        return Cost(amount, status, doubt, "USD", None, fee or None, snapshot, key)

    def _rates(
        self, model: str, prompt: int, tier: str, response_model: str, region: str,
        at: datetime | None,
    ) -> Known:  # fmt: skip
        day = "now" if at is None else ""
        day += (at or datetime.now(UTC)).date().isoformat()
        asked = (model, response_model, tier, region, day)
        known = self._known.get(asked)
        if known is not None:
            return known
        entry, key, snapshot, late = self._find(model, response_model, at)
        if entry is None:
            found: Known = (None, "", "", False)
        else:
            rates = resolve(entry, prompt=prompt, tier=tier, region=region, at=at)
            found = (rates, key, snapshot, late)
        if entry is None or not _varies(entry):
            if len(self._known) >= _CACHE:
                self._known.clear()
            self._known[asked] = found
        return found

    def entry(self, model: str) -> Mapping[str, Any] | None:
        """Give all that is known of a model, in LiteLLM's field names.

        What the project's own entry leaves open, rates aside, comes from the newest snapshot; an
        own entry without any rate leaves the rates open too.
        """
        said = self._own_entry(self._facts, model, "")[0]
        own, name, snapshot, _ = self._find(model, "", None)
        if own is None or snapshot != self._own_hash:
            return own if said is None else {**(own or {}), **said}
        listed = self._listed_entry(model, self.snapshots[:1])[0] or {}
        facts = {key: value for key, value in listed.items() if "_cost" not in key}
        return {**facts, **own}

    def canonical(self, model: str) -> str:
        """Give the one name of a model: an alias's own, a plain one's with its provider."""
        name = self._aliases.get(model, model).removeprefix("litellm/")
        prefix, _, bare = name.partition("/")
        if bare:
            return f"{_PROVIDERS.get(prefix, prefix)}/{bare}"
        listed = self._newest
        provider = listed.get(name, {}).get("litellm_provider")
        return f"{provider}/{name}" if provider else name

    def names(self) -> list[str]:
        """Every model with a price, by its one name, the project's own first."""
        listed = self._newest
        return list(
            dict.fromkeys(self.canonical(name) for name in (*self._own, *self._facts, *listed))
        )

    def ending(self, by: date) -> list[tuple[date, str]]:
        """List the models whose provider ends them by a day, the earliest first."""
        found = []
        listed = self._newest
        for name in self.names():
            entry = self.entry(name) or listed.get(name, {})
            text = str(entry.get("end_of_life") or entry.get("deprecation_date") or "")[:10]
            if text and date.fromisoformat(text) <= by:
                found.append((date.fromisoformat(text), name))
        return sorted(found)

    def _find(
        self, model: str, response_model: str, at: datetime | None
    ) -> tuple[Mapping[str, Any] | None, str, str, bool]:
        """Give the entry that holds at a time, and whether it is known from a later day only.

        The project's own counts from its day on; before it, what the snapshots knew by then.
        """
        day = (at or datetime.now(UTC)).date()
        own, own_name = self._own_entry(self._own, model, response_model)
        late = own is not None and own.get("effective_from", day) > day
        if own is None or late:
            listed, name, snapshot, since = self._listed_entry(
                model, self._valid(at), response_model
            )
            after = at is not None and since is not None and since > day
            if own is None or (listed is not None and not after):
                return listed, name, snapshot, after
        return own, own_name, self._own_hash, late

    def _own_entry(
        self, own: Mapping[str, Mapping[str, Any]], model: str, response_model: str
    ) -> tuple[Mapping[str, Any] | None, str]:
        """Find a model in the project's file; a plain name there is of the provider that lists it.

        So a price of `gpt-4o` is not that of another provider's model of this name.
        """
        provider, exact, plain = self._wanted(model, response_model)
        for name in (*exact, *plain):
            if name and name in own:
                if name in exact or _same(provider, self._newest.get(name, {})):
                    return own[name], name
        return None, ""

    def _listed_entry(
        self, model: str, snapshots: Sequence[Snapshot], response_model: str = ""
    ) -> tuple[Mapping[str, Any] | None, str, str, date | None]:
        provider, exact, plain = self._wanted(model, response_model)
        for snapshot in snapshots:
            for name in (*exact, *plain):
                listed = snapshot.models.get(name) if name else None
                if listed and (name in exact or _same(provider, listed)):
                    return listed, name, snapshot.hash[:16], snapshot.imported_at
        return None, "", "", None

    def _wanted(self, model: str, response_model: str) -> tuple[str, list[str], list[str]]:
        """Give the provider, the names that are certainly this model, and those without a provider.

        Both in the order to look them up; what answered comes before what was asked for.
        """
        alias = self._aliases.get(model, "")
        model = model.removeprefix("litellm/")
        prefix, _, bare = model.partition("/")
        provider = _PROVIDERS.get(prefix, prefix)
        own = f"{provider}/{bare}" if bare else ""
        return provider, [f"{provider}/{response_model}", model, own, alias], [response_model, bare]

    def _valid(self, at: datetime | None) -> Sequence[Snapshot]:
        """Give the snapshot known at a time; before the first one, the first one."""
        if at is None:
            return self.snapshots[:1]
        earlier = [each for each in self.snapshots if each.imported_at <= at.date()]
        return earlier[:1] or self.snapshots[-1:]


def _same(provider: str, entry: Mapping[str, Any]) -> bool:
    """Say whether a plain name's entry is this provider's: a price is not a name's alone."""
    return provider != "" and entry.get("litellm_provider") == provider


def _rated(entry: Mapping[str, Any]) -> bool:
    return any("cost" in key for key in entry)


def _varies(entry: Mapping[str, Any]) -> bool:
    """Say whether rates depend on the prompt's length or the hour."""
    if entry.get("tiered_pricing") or entry.get("off_peak_pricing"):
        return True
    return any("_above_" in key and key.endswith("k_tokens") for key in entry)


def _entry(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ConfigError(f"{where} must be a mapping of rates, got {entry!r}")
    found: dict[str, Any] = {}
    for key, value in entry.items():
        key = str(key)
        if key == "effective_from":
            found[key] = _date(value, where)
        elif key in _FACTS:
            found[key] = _fact(key, value, f"{where}: `{key}`")
        elif key in _SHORT or key.startswith(("input_cost_", "output_cost_", "cache_")):
            found[_SHORT.get(key) or key] = _decimal(value, f"{where}: `{key}`")
        else:
            raise ConfigError(f"{where}: `{key}` is not a rate; use {', '.join(_SHORT)}")
    return found


def _fact(key: str, value: Any, where: str) -> Any:
    """Hold what an entry says of its model to the kind that readers expect."""
    if key in ("regions", "modalities"):
        fits = isinstance(value, list) and all(isinstance(each, str) for each in value)
        wanted = "a list of names, such as [eu]" if key == "regions" else "a list, such as [image]"
    elif key in ("context", "max_output"):
        fits, wanted = type(value) is int and value > 0, "tokens, such as 128000"
    elif key == "end_of_life":
        fits, wanted = _is_day(value), "a date such as 2027-01-31"
    else:
        fits, wanted = isinstance(value, str), "a text"
    if not fits:
        raise ConfigError(f"{where} must be {wanted}, got {value!r}")
    return value


def _is_day(value: object) -> bool:
    try:
        return isinstance(value, date) or bool(date.fromisoformat(str(value)[:10]))
    except ValueError:
        return False


def _date(value: Any, where: str) -> date:
    if isinstance(value, datetime):
        return value.astimezone(UTC).date()
    if isinstance(value, date):
        return value
    raise ConfigError(f"{where}: `effective_from` must be a date such as 2026-11-01, got {value!r}")


def _decimal(value: object, where: str) -> Decimal:
    amount = _dollars(value) if isinstance(value, str) else None
    if amount is None:
        raise ConfigError(
            f"{where} must be a quoted decimal from 0 to {_MOST} dollars, such as"
            f' "0.00000015", got {value!r}'
        )
    return amount


def _dollars(value: object) -> Decimal | None:
    try:
        amount = Decimal(str(value)) if value else None
    except InvalidOperation:
        return None
    if amount is None or not amount.is_finite() or not 0 <= amount <= _MOST:
        return None
    return amount

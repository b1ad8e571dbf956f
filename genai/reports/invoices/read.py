"""Read a provider's bill, CSV or JSON, by the columns that `configs/invoices.yaml` names."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from genai.config import Currency, Settings, read_settings
from genai.errors import ConfigError, InputError
from genai.types import Usage

Kind = Literal["usage", "fee", "tax", "credit"]
_MILLISECONDS = 1e11  # a Unix time above this is in milliseconds
_SNIFF = 65_536


class Columns(Settings):
    """Names of the columns; several names are added up."""

    day: str
    model: str = ""
    item: str = ""
    amount: str = ""
    currency: str = ""
    requests: str = ""
    input_tokens: str | list[str] = ""
    output_tokens: str | list[str] = ""
    cached_tokens: str | list[str] = ""
    cache_write_tokens: str | list[str] = ""

    @property
    def needed(self) -> list[str]:
        """The columns without which a file is of another format."""
        found = [self.day, self.amount or _names(self.input_tokens)[0]]
        return [*found, *([self.model] if self.model else [])]


class Format(Settings):
    """How one provider's file is read."""

    provider: str
    columns: Columns
    unit: Decimal = Field(default=Decimal(1), gt=0, description='"0.01" where amounts are cents')
    currency: Currency = "USD"
    timezone: str = "UTC"
    decimal: Literal[".", ","] = "."
    model_before: str = Field(default="", description="the model is the item up to this")
    fees: list[str] = Field(default_factory=list)
    taxes: list[str] = Field(default_factory=list)
    credits: list[str] = Field(default_factory=list)

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is not a time zone such as Europe/Berlin") from error
        return name

    @field_validator("columns")
    @classmethod
    def _says_something(cls, given: Columns) -> Columns:
        if not given.amount and not given.input_tokens:
            raise ValueError("name `amount`, or `input_tokens` of a file without money")
        return given


class Tolerance(Settings):
    """How far off a line may be: the larger of a sum and a share of the bill."""

    money: Decimal = Field(default=Decimal("0.01"), ge=0)
    share: Decimal = Field(default=Decimal("0.005"), ge=0)


class InvoiceSettings(Settings):
    """The whole of `configs/invoices.yaml`."""

    version: Literal[1] = 1
    tolerance: Tolerance = Tolerance()
    rates: dict[Currency, Decimal] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    formats: dict[str, Format]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill. `day` is that of the provider; `amount` dollars, None where not said."""

    day: date
    model: str
    kind: Kind
    item: str
    amount: Decimal | None
    requests: int | None = None
    usage: Usage | None = None


def load_formats(path: Path) -> InvoiceSettings:
    """Read the mapping. Raises `ConfigError` with file, key and cure."""
    return read_settings(InvoiceSettings, path)


def read_invoice(
    path: Path, settings: InvoiceSettings, name: str = ""
) -> tuple[Format, list[Line]]:
    """Read one file; `name` is its format, found by its columns where not given.

    Raises:
        InputError: not readable, other columns than any format names, a value that is no number.
        ConfigError: no such format.
    """
    rows = _rows(path)
    columns = list(dict.fromkeys(key for row in rows[:200] for key in row))
    form = _format(path, columns, settings, name)
    zone = ZoneInfo(form.timezone)
    found = []
    for number, row in enumerate(rows, 1):
        where = f"{path.name}: row {number}"
        line = _line(row, form, zone, settings, where)
        if line is not None:
            found.append(line)
    if not found:
        raise InputError(f"{path.name}: holds no line with money or tokens; export another period")
    return form, found


# -- files ---------------------------------------------------------------------------------------


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a CSV or JSON export") from error
    if text.lstrip()[:1] in ("{", "["):
        return list(_flat_rows(_parsed(path, text)))
    lines = text.splitlines()
    if len(lines) < 2:
        raise InputError(f"{path.name}: holds no rows; give a CSV or JSON export")
    try:
        dialect: Any = csv.Sniffer().sniff(text[:_SNIFF].splitlines()[0], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    return [
        {str(key).strip(): value for key, value in row.items() if key is not None}
        for row in csv.DictReader(io.StringIO(text), dialect=dialect)
    ]


def _parsed(path: Path, text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        pass
    try:  # pages of an API, one a line
        return [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise InputError(f"{path.name}: is not JSON ({error}); export it again") from error


def _flat_rows(data: Any) -> Iterator[dict[str, Any]]:
    """Give one flat row an innermost record; a record takes over what its bucket says."""
    if isinstance(data, list):
        for each in data:
            yield from _flat_rows(each)
    elif isinstance(data, dict):
        inner = next((data[key] for key in ("data", "results") if key in data), None)
        own = _flat({key: each for key, each in data.items() if key not in ("data", "results")})
        if inner is None:
            yield own
        for row in () if inner is None else _flat_rows(inner):
            yield {**own, **row}


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}_")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _format(path: Path, columns: Sequence[str], settings: InvoiceSettings, name: str) -> Format:
    if name and name not in settings.formats:
        raise ConfigError(
            f"configs/invoices.yaml: no format {name!r}; known: {', '.join(settings.formats)}"
        )
    tried = {name: settings.formats[name]} if name else settings.formats
    for form in tried.values():
        if set(form.columns.needed) <= set(columns):
            return form
    wanted = "; ".join(f"{key} needs {', '.join(f.columns.needed)}" for key, f in tried.items())
    raise InputError(
        f"{path.name}: has the columns {', '.join(columns[:12]) or 'none'}, and no format fits"
        f" ({wanted}); name these columns in a format of configs/invoices.yaml"
    )


# -- rows ----------------------------------------------------------------------------------------


def _line(
    row: Mapping[str, Any], form: Format, zone: ZoneInfo, settings: InvoiceSettings, where: str
) -> Line | None:
    columns = form.columns
    item = str(row.get(columns.item) or "").strip()
    model = str(row.get(columns.model) or "").strip()
    amount = _number(row.get(columns.amount), form, f"{where}: `{columns.amount}`")
    usage = _usage(row, form, where)
    requests = _number(row.get(columns.requests), form, f"{where}: `{columns.requests}`")
    if amount is None and usage is None:
        return None  # a day on which nothing happened
    kind = _kind(item or model, form)
    if not model and form.model_before and kind == "usage":
        model = item.partition(form.model_before)[0].strip()
    if amount is not None:
        unit = str(row.get(columns.currency) or form.currency).upper()
        amount = amount * form.unit * rate_of(unit, settings, where)
    day = _day(row.get(columns.day), zone, f"{where}: `{columns.day}`")
    model = settings.models.get(model, model)
    return Line(day, model, kind, item, amount, None if requests is None else int(requests), usage)


def _kind(text: str, form: Format) -> Kind:
    kinds: tuple[tuple[Kind, list[str]], ...] = (
        ("fee", form.fees), ("tax", form.taxes), ("credit", form.credits),
    )  # fmt: skip
    for kind, patterns in kinds:
        if any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns):
            return kind
    return "usage"


def rate_of(unit: str, settings: InvoiceSettings, where: str) -> Decimal:
    """Give dollars for one unit of a currency. Raises `InputError` where nobody has said."""
    if unit == "USD":
        return Decimal(1)
    if unit not in settings.rates:
        raise InputError(
            f"{where}: is in {unit}, and figures are in USD; give dollars for one {unit}"
            " under `rates` in configs/invoices.yaml"
        )
    return settings.rates[unit]


def _names(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def _usage(row: Mapping[str, Any], form: Format, where: str) -> Usage | None:
    columns = form.columns
    counts = []
    for given in (
        columns.input_tokens, columns.output_tokens, columns.cached_tokens,
        columns.cache_write_tokens,
    ):  # fmt: skip
        values = [_number(row.get(name), form, f"{where}: `{name}`") for name in _names(given)]
        known = [value for value in values if value is not None]
        counts.append(int(sum(known)) if known else None)
    inward, outward, cached, written = counts
    if inward is None and outward is None:
        return None
    return Usage(
        inward or 0, outward or 0, cached or 0, "provider", cache_write_5m_tokens=written or 0
    )


def _number(value: Any, form: Format, where: str) -> Decimal | None:
    if value is None or isinstance(value, bool) or str(value).strip() in ("", "-"):
        return None
    text = str(value).strip().lstrip("$€£").replace(" ", "").replace("\u00a0", "")
    text = text.replace(".", "").replace(",", ".") if form.decimal == "," else text.replace(",", "")
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"{where} is {value!r}, not a number; mend the row or the mapping"
                         ) from error  # fmt: skip
    if not found.is_finite():
        raise InputError(f"{where} is {value!r}, not a number; mend the row or the mapping")
    return found


def _day(value: Any, zone: ZoneInfo, where: str) -> date:
    """Give the provider's day: a date as it stands, a time in the format's zone."""
    text = str(value).strip()
    try:
        if text.replace(".", "", 1).isdigit():
            seconds = float(text) / (1000 if float(text) > _MILLISECONDS else 1)
            return datetime.fromtimestamp(seconds, UTC).astimezone(zone).date()
        if len(text) == 10:
            return date.fromisoformat(text)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"{where} is {value!r}, not a day such as 2026-11-01; mend the row or the mapping"
        ) from error
    return at.date() if at.tzinfo is None else at.astimezone(zone).date()

"""Who stands for each number of a case, and which of them nobody does or has not for a year."""

from collections.abc import Iterator, Mapping
from datetime import date

from genai.reports.business.inputs import DEFAULT, Basis, BusinessSettings, Input

HEADS = ("input", "value", "range", "unit", "source", "owner", "date", "n")
_YEAR = 365  # days after which an assumption is old


def register(settings: BusinessSettings, inputs: Mapping[str, Input]) -> list[dict[str, str]]:
    """Give a row a number, by `HEADS`: every input, then the plan's other numbers."""
    rows = [
        (name, f"{i.central:,.10g}", f"{i.a:g} to {i.c:g}" if i.kind == "pert" else i.kind,
         i.unit(settings.currency), i.source, i.owner, i.date, "" if i.n is None else str(i.n))
        for name, i in inputs.items()
    ]  # fmt: skip
    for name, value, unit in _others(settings):
        by = settings.basis.get(name, Basis())
        when = by.date.isoformat() if by.date else ""
        rows.append((name, value, "fixed", unit, by.source, by.owner, when, ""))
    return [dict(zip(HEADS, row, strict=True)) for row in rows]


def remarks(settings: BusinessSettings, inputs: Mapping[str, Input], today: date) -> list[str]:
    """Name the assumptions without source, owner or date, and those that are over a year old."""
    found = []
    for row in register(settings, inputs):
        name, when = row["input"], row["date"]
        if row["n"] or (name in inputs and row["source"] == DEFAULT):
            continue  # the ledger stands for it, or nobody stated it
        missing = [key for key in ("source", "owner", "date") if not row[key]]
        if missing:
            found.append(f"`{name}` has no {' and no '.join(missing)}")
        elif (today - date.fromisoformat(when)).days > _YEAR:
            found.append(f"`{name}` is of {when}, more than a year ago; look at it again")
    return found


def _others(settings: BusinessSettings) -> Iterator[tuple[str, str, str]]:
    """Give name, value and unit of the numbers that are in use and are no inputs."""
    yield "discount", f"{settings.discount:g}", "a year"
    if settings.ramp != [1.0]:
        yield "ramp", ", ".join(f"{share:g}" for share in settings.ramp), "share, month by month"
    for name in ("volume_growth", "price_decline"):
        if getattr(settings, name):
            yield name, f"{getattr(settings, name):g}", "a year"
    if settings.hosting is not None:
        values = settings.hosting.model_dump()
        yield "hosting", ", ".join(f"{key} {value:g}" for key, value in values.items()), ""

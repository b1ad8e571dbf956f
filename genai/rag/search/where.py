"""Which passages a search may find: filters over what the index knows of them, with types."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from genai.errors import InputError
from genai.rag.metadata import Value, column

Condition = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Between:
    """A range of numbers, dates or texts, both ends included; None leaves an end open."""

    low: Value | None = None
    high: Value | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """What a passage must be to be found; whatever is given must hold, all of it.

    `documents` are paths; `path` is how they begin, such as `guides/`; `heading` is one of the
    headings above the passage; `pages` the first and last page; `kinds` are such as `pdf`.
    `metadata` maps a key to a value, to several of which one must be held, or to a `Between`.
    `quarantined` looks among the passages that the scan holds back, and among no others.
    """

    documents: Sequence[str] = ()
    path: str = ""
    heading: str = ""
    pages: tuple[int, int] | None = None
    kinds: Sequence[str] = ()
    metadata: Mapping[str, Value | Sequence[Value] | Between] = field(default_factory=dict)
    quarantined: bool = False

    @property
    def key(self) -> str:
        """Name this filter, the same for equal ones."""
        return repr((
            *map(tuple, (self.documents, self.kinds)), self.path, self.heading, self.pages,
            sorted((key, repr(value)) for key, value in self.metadata.items()), self.quarantined,
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conditions:
    """A filter as SQL: what documents (`d`) must be, and what their passages (`p`) must be."""

    document: Condition
    passage: Condition


def conditions(
    where: Where | None, tenant: str | None, kinds: Mapping[str, Set[str]]
) -> Conditions:
    """Write a filter as SQL, values apart from the text; an empty text is no condition.

    Raises:
        InputError: a metadata key that no document has, or a value of another type than it has.
    """
    parts: list[Condition] = [] if tenant is None else [("d.tenant = ?", [tenant])]
    inside: list[Condition] = []
    if where is not None:
        parts += _of_document(where)
        parts += [_metadata(key, value, kinds) for key, value in where.metadata.items()]
        inside = _of_passage(where)
    return Conditions(_all(parts), _all(inside))


def _all(parts: Sequence[Condition]) -> Condition:
    return " AND ".join(sql for sql, _ in parts), [v for _, values in parts for v in values]


def _of_document(where: Where) -> list[Condition]:
    parts: list[Condition] = []
    for name, values in (("d.path", where.documents), ("d.kind", where.kinds)):
        if isinstance(values, str):
            raise InputError(f"filter: {name[2:]}s must be a list of texts, got {values!r}")
        if values:
            parts.append((f"{name} IN ({','.join('?' * len(values))})", [*values]))
    if where.path:
        parts.append(("substr(d.path, 1, ?) = ?", [len(where.path), where.path]))
    return parts


def _of_passage(where: Where) -> list[Condition]:
    parts: list[Condition] = []
    if where.heading:
        # whole headings of the trail `A > B > C`, without regard to case
        wanted = f"%> {_like(where.heading)} >%"
        parts.append((r"'> ' || p.heading || ' >' LIKE ? ESCAPE '\'", [wanted]))
    if where.pages is not None:
        first, last = where.pages
        if not (isinstance(first, int) and isinstance(last, int) and first <= last):
            raise InputError(f"filter: pages must be (first, last), got {where.pages!r}")
        parts.append(("p.page BETWEEN ? AND ?", [first, last]))
    return parts


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _metadata(
    key: str, wanted: Value | Sequence[Value] | Between, kinds: Mapping[str, Set[str]]
) -> Condition:
    if key not in kinds:
        known = ", ".join(sorted(kinds)) or "none: give documents front matter"
        raise InputError(f"filter: no document has metadata `{key}`; known: {known}")
    if isinstance(wanted, Between):
        ends = [(end, mark) for end, mark in ((wanted.low, ">="), (wanted.high, "<=")) if
                end is not None]  # fmt: skip
        if not ends:
            raise InputError(f"filter: Between of `{key}` has no end; give low, high or both")
        typed = _all_typed(key, [end for end, _ in ends], kinds[key])
        test = " AND ".join(f"m.{name} {mark} ?" for (name, _), (_, mark) in
                            zip(typed, ends, strict=True))  # fmt: skip
    else:
        several = isinstance(wanted, (list, tuple, set, frozenset))
        each: Sequence[Any] = list(wanted) if several else [wanted]  # type: ignore[arg-type]  # by the line above
        if not each:
            raise InputError(f"filter: `{key}` is given no value; leave it out or give one")
        typed = _all_typed(key, each, kinds[key])
        test = f"m.{typed[0][0]} IN ({','.join('?' * len(typed))})"
    kind = _kind(kinds[key], wanted)
    sql = f"d.path IN (SELECT document FROM metadata m WHERE m.key = ? AND m.kind = ? AND {test})"
    return sql, [key, kind, *(value for _, value in typed)]


def _kind(kinds: Set[str], wanted: Any) -> str:
    """Say which kind of value is compared: that of the first one given."""
    if isinstance(wanted, Between):
        wanted = wanted.low if wanted.low is not None else wanted.high
    elif isinstance(wanted, (list, tuple, set, frozenset)):
        wanted = next(iter(wanted))
    return column(wanted)[0]


def _all_typed(key: str, values: Sequence[Any], kinds: Set[str]) -> list[tuple[str, Any]]:
    """Give the stored forms of values that are all of one type, as only that one is looked for."""
    typed = [_typed(key, value, kinds) for value in values]
    if len(given := {column(value)[0] for value in values}) > 1:
        raise InputError(f"filter: `{key}` is given {' and '.join(sorted(given))}; give one type")
    return typed


def _typed(key: str, value: Any, kinds: Set[str]) -> tuple[str, Any]:
    """Give the column and the stored form of a value that fits the key's type."""
    if not isinstance(value, (str, bool, int, float, date)):
        raise InputError(f"filter: `{key}` is compared with {value!r}; give text, number or date")
    kind, number, text = column(value)
    if kind not in kinds:
        raise InputError(
            f"filter: `{key}` holds {' and '.join(sorted(kinds))}, not {kind} (got {value!r})"
        )
    return ("number", number) if text is None else ("text", text)

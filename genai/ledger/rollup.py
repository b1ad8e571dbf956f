"""Sums of calls by day, so that millions of them open at once; derived, and rebuilt at will.

On SQLite only rows that are new since the last time are added, in the order of their storing. On
PostgreSQL, where storing has no order, the days that have new rows are summed anew. Times are
counted in logarithmic buckets, each 2 % wide, which add up over days and give percentiles that are
at most 1 % off; they are kept for each dimension by itself, so that their number stays small.
Money is dollars: a cost in another currency counts as not known, never as dollars.

What eval runs ask stands apart, under `of_runs(kind)`, so that production figures never hold it.
The runs of guards stand under `GUARDS`, a kind a place, by the model that was to answer.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from math import log
from typing import TYPE_CHECKING, Any, get_args

from genai.ledger.database import Database
from genai.ledger.query import SURE, TOKENS, Money
from genai.ledger.row import from_pico
from genai.types import Place

if TYPE_CHECKING:
    import sqlalchemy as sa
GROWTH = 1.02  # of a bucket
_PER_LOG = 1 / math.log(GROWTH)
DIMENSIONS = (
    "model", "prompt_id", "index_revision", "config_hash", "feature", "tenant", "release",
)  # fmt: skip
_CHUNK = 200_000  # rows of one transaction
EARLIEST = 18_262  # 2020-01-01, a day number; a row from before has a clock that was never set
TIMES = ("seconds", "ttft", "itl_mean")
_VERSION = 4  # of the tables
_TIME_KEY = "kind, dimension, day, value, name, bucket"
PAID = ("model", "embedding")  # the kinds of calls that cost; a chain only sums up its own
GUARDS = tuple(f"guards/{place}" for place in get_args(Place))
_RUNS = "run "  # before the kind of a call that an eval run made
_KEY = ("day", "kind", *DIMENSIONS, "outcome", "reason")
_KIND = (
    f"CASE WHEN run = '' THEN '' ELSE '{_RUNS}' END ||"
    " CASE WHEN kind = 'guard' THEN model ELSE kind END"
)
_COLUMNS = {name: f'"{name}"' for name in _KEY} | {
    "kind": _KIND,
    "model": "CASE WHEN kind = 'guard' THEN response_model ELSE model END",
}
_FROM = ", ".join(_COLUMNS.values())
_DOLLARS = "cost IS NOT NULL AND currency = 'USD'"
_SURE = f"currency = 'USD' AND cost_status IN {SURE}"
_SUMS = {
    "calls": "count(*)",
    "known": f"sum(CASE WHEN {_DOLLARS} THEN 1 ELSE 0 END)",
    "sure": f"sum(CASE WHEN {_SURE} THEN 1 ELSE 0 END)",
    "cost": f"sum(CASE WHEN {_DOLLARS} THEN cost ELSE 0 END)",
    "input_tokens": "sum(coalesce(input_tokens, 0))",
    "output_tokens": "sum(coalesce(output_tokens, 0))",
    "tokens_sure": f"sum(CASE WHEN {_SURE} THEN {TOKENS} ELSE 0 END)",
    "tokens_unpriced": f"sum(CASE WHEN {_DOLLARS} THEN 0 ELSE {TOKENS} END)",
    "cached": "sum(coalesce(in_cache_read, 0))",
    "replayed": "sum(CASE WHEN cache_source <> '' THEN 1 ELSE 0 END)",
    "retries": "sum(CASE WHEN retry_of <> '' THEN 1 ELSE 0 END)",
}


@dataclass(slots=True)
class Sums:
    """What calls add up to. `times` holds bucket counts by time: `seconds`, `ttft`, `itl_mean`."""

    calls: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    money: Money = Money(Decimal(0), 0, 0)
    input_tokens: int = 0
    output_tokens: int = 0
    cached: int = 0
    replayed: int = 0
    retries: int = 0
    times: dict[str, dict[int, int]] = field(default_factory=dict)

    def percentile(self, share: float, time: str = "seconds") -> float | None:
        """Give a percentile of a time in seconds, at most 1 % off; None of nothing."""
        return percentile(self.times.get(time, {}), share)


def percentile(buckets: Mapping[int, int], share: float) -> float | None:
    """Give a percentile from bucket counts: the middle of the bucket that holds it."""
    total = sum(buckets.values())
    if not total:
        return None
    rank, seen = max(math.ceil(share * total), 1), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return float(GROWTH ** (bucket + 0.5))
    raise AssertionError("unreachable: the counts add up to the total")


def roll_up(database: Database) -> int:
    """Add what is new; give how many rows that were. Raises `LedgerUnusable`.

    On SQLite many rows are added in several transactions, so that writers need not wait long.
    """
    total = 0
    while True:
        with database.begin() as db:
            if not database.is_sqlite:
                _one_at_a_time(db)
            _create(db)
            if not database.is_sqlite:
                return _new_days(db)
            new = _new_rows(db)
        total += new
        if new < _CHUNK:
            return total


def sums(
    database: Database, by: Iterable[str] = (), *, kind: str | Sequence[str] = "chain",
    since: float = 0.0,
    until: float = math.inf, where: Mapping[str, str] | None = None,
    times: Sequence[str] = TIMES,
) -> dict[tuple[object, ...], Sums]:  # fmt: skip
    """Give the sums of calls of one kind or several, by dimensions and `day`, in UTC days.

    Only the `times` named are read; none where `by` and `where` name more than one dimension.

    Raises:
        ValueError: a name that is not a dimension.
    """
    groups, where = list(by), where or {}
    for name in (*groups, *where):
        if name not in (*DIMENSIONS, "day"):
            raise ValueError(f"{name!r} is not a dimension; use {', '.join(DIMENSIONS)} or day")
    found: dict[tuple[object, ...], Sums] = {}
    import sqlalchemy as sa

    used = {*groups, *where} - {"day"}
    kinds = [kind] if isinstance(kind, str) else kind
    named = {f"kind{n}": each for n, each in enumerate(kinds)}
    within = [f"kind IN (:{', :'.join(named)})", "day >= :since", "day <= :until"]
    last = 10**9 if math.isinf(until) else int(until // 86_400)
    values = {**named, "since": int(since // 86_400), "until": last, **where}
    columns = "".join(f'"{name}", ' for name in groups)
    totals = ", ".join(f"sum({name}) AS {name}" for name in _SUMS)
    filters = " AND ".join([*within, *(f'"{name}" = :{name}' for name in where)])
    with database.begin() as db:
        _create(db)
        query = f"SELECT {columns}outcome, reason, {totals} FROM rollup WHERE {filters}"
        for row in db.execute(sa.text(f"{query} GROUP BY {columns}outcome, reason"), values):
            _add(found.setdefault(tuple(row[: len(groups)]), Sums()), row)
        if len(used) > 1 or not times:
            return found
        values["dimension"] = only = next(iter(used), "")
        columns = columns.replace(f'"{only}"', "value") if only else columns
        names = ", ".join(f"'{name}'" for name in TIMES if name in times)
        filters = " AND ".join([*within, "dimension = :dimension", f"name IN ({names})"])
        if only in where:
            filters += f" AND value = :{only}"
        query = f"SELECT {columns}name, bucket, sum(calls) FROM rollup_time WHERE {filters}"
        rows = db.execute(sa.text(f"{query} GROUP BY {columns}name, bucket"), values)
        for row in rows.cursor.fetchall():  # the driver's own rows: there may be many
            name, bucket, calls = row[len(groups) :]
            into = found.setdefault(tuple(row[: len(groups)]), Sums()).times
            into.setdefault(name, {})[int(bucket)] = int(calls)
    return found


def of_runs(kind: str) -> str:
    """Give the name under which the calls of a kind stand that eval runs made."""
    return _RUNS + kind


def misdated(database: Database, *, now: float) -> int:
    """Count the questions that are dated before 2020 or after today, by a clock that is wrong.

    No period holds them, so whoever gives figures of one says how many there are.
    """
    import sqlalchemy as sa

    query = (
        "SELECT coalesce(sum(calls), 0) FROM rollup WHERE kind = 'chain'"
        " AND (day < :earliest OR day > :today)"
    )
    values = {"earliest": EARLIEST, "today": int(now // 86_400)}
    with database.begin() as db:
        _create(db)
        return int(db.execute(sa.text(query), values).scalar_one())


def day_name(day: int) -> str:
    """Give the ISO date of a day number."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def _add(into: Sums, row: "sa.Row[tuple[object, ...]]") -> None:
    calls = int(row.calls)
    into.calls += calls
    into.outcomes[row.outcome] = into.outcomes.get(row.outcome, 0) + calls
    if row.reason:
        into.reasons[row.reason] = into.reasons.get(row.reason, 0) + calls
    into.input_tokens += int(row.input_tokens)
    into.output_tokens += int(row.output_tokens)
    into.cached += int(row.cached)
    into.replayed += int(row.replayed)
    into.retries += int(row.retries)
    held, tokens = into.money, int(row.input_tokens) + int(row.output_tokens)
    into.money = Money(
        held.total + (from_pico(row.cost) or Decimal(0)), held.known + int(row.known),
        held.calls + calls, held.sure + int(row.sure), held.tokens + tokens,
        held.tokens_sure + int(row.tokens_sure), held.unpriced_tokens + int(row.tokens_unpriced),
    )  # fmt: skip


def _create(db: "sa.Connection") -> None:
    """Make the tables; those of another version are dropped, since they can be made again."""
    postgres = db.dialect.name == "postgresql"
    if _is_made(db):
        return
    if postgres:
        _one_at_a_time(db)
        if _is_made(db):  # by another program meanwhile
            return
    db.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS rollup_state (key TEXT PRIMARY KEY, value BIGINT NOT NULL)"
    )
    for table in ("rollup", "rollup_time"):
        db.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
    db.exec_driver_sql("DELETE FROM rollup_state")
    texts = "".join(f'"{name}" TEXT NOT NULL, ' for name in _KEY if name != "day")
    big = "NUMERIC(38, 0)" if postgres else "BIGINT"
    counts = ", ".join(f"{name} {big if name == 'cost' else 'BIGINT'} NOT NULL" for name in _SUMS)
    key = ", ".join(f'"{name}"' for name in _KEY)
    db.exec_driver_sql(
        f"CREATE TABLE rollup (day INTEGER NOT NULL, {texts}{counts}, PRIMARY KEY ({key}))"
    )
    db.exec_driver_sql(
        "CREATE TABLE rollup_time (kind TEXT NOT NULL, dimension TEXT NOT NULL, day INTEGER NOT"
        " NULL, value TEXT NOT NULL, name TEXT NOT NULL, bucket INTEGER NOT NULL, calls BIGINT NOT"
        f" NULL, PRIMARY KEY ({_TIME_KEY})){'' if postgres else ' WITHOUT ROWID'}"
    )
    db.exec_driver_sql(f"INSERT INTO rollup_state VALUES ('version', {_VERSION})")


def _is_made(db: "sa.Connection") -> bool:
    import sqlalchemy as sa

    if not sa.inspect(db).has_table("rollup_state"):
        return False
    query = "SELECT coalesce(max(value), 0) FROM rollup_state WHERE key = 'version'"
    return bool(db.exec_driver_sql(query).scalar_one() == _VERSION)


def _one_at_a_time(db: "sa.Connection") -> None:
    """Let PostgreSQL's other programs wait until this transaction ends; SQLite has one writer."""
    db.exec_driver_sql("SELECT pg_advisory_xact_lock(4712)")


def _new_rows(db: "sa.Connection") -> int:
    query = "SELECT coalesce(max(value), 0) FROM rollup_state WHERE key = 'rowid'"
    last = int(db.exec_driver_sql(query).scalar_one())
    newest = db.exec_driver_sql('SELECT coalesce(max(rowid), 0) FROM "call"').scalar_one()
    if newest < last:  # rows were taken away: begin again
        for table in ("rollup", "rollup_time"):
            db.exec_driver_sql(f"DELETE FROM {table}")
        db.exec_driver_sql("DELETE FROM rollup_state WHERE key = 'rowid'")
        last = 0
    if newest == last:
        return 0
    newest = min(newest, last + _CHUNK)
    _add_rows(db, last, newest)
    db.exec_driver_sql(
        "INSERT INTO rollup_state VALUES ('rowid', ?) ON CONFLICT (key) DO UPDATE"
        " SET value = excluded.value",
        (newest,),
    )
    return int(newest - last)


class _Buckets:
    """An aggregate for SQLite: counts the three times of each row in one pass."""

    def __init__(self) -> None:
        self._seconds: dict[float, int] = defaultdict(int)
        self._ttft: dict[float, int] = defaultdict(int)
        self._itl_mean: dict[float, int] = defaultdict(int)

    def step(self, seconds: float | None, ttft: float | None, itl_mean: float | None) -> None:
        """Count one row. It runs once a row, so it is written out."""
        if seconds is not None and seconds > 0:
            self._seconds[log(seconds) * _PER_LOG // 1] += 1
        if ttft is not None and ttft > 0:
            self._ttft[log(ttft) * _PER_LOG // 1] += 1
        if itl_mean is not None and itl_mean > 0:
            self._itl_mean[log(itl_mean) * _PER_LOG // 1] += 1

    def finalize(self) -> str:
        """Give the counts as JSON, in the order of `TIMES`."""
        counts = (self._seconds, self._ttft, self._itl_mean)
        return json.dumps([[(int(b), n) for b, n in each.items()] for each in counts])


def _add_rows(db: "sa.Connection", last: int, newest: int) -> None:
    """Add some rows of SQLite's table. One pass sorts and counts them, with every time."""
    raw: Any = db.connection.driver_connection
    raw.create_aggregate("genai_buckets", len(TIMES), _Buckets)
    key = ", ".join(f'"{name}"' for name in _KEY)
    rows = raw.execute(
        f"SELECT {_FROM}, {', '.join(_SUMS.values())}, genai_buckets({', '.join(TIMES)})"
        f' FROM "call" WHERE rowid > ? AND rowid <= ? GROUP BY {_FROM}',
        (last, newest),
    ).fetchall()
    more = ", ".join(f"{name} = rollup.{name} + excluded.{name}" for name in _SUMS)
    marks = ", ".join("?" * (len(_KEY) + len(_SUMS)))
    raw.executemany(
        f"INSERT INTO rollup ({key}, {', '.join(_SUMS)}) VALUES ({marks})"
        f" ON CONFLICT ({key}) DO UPDATE SET {more}",
        [row[:-1] for row in rows],
    )
    raw.executemany(
        f"INSERT INTO rollup_time ({_TIME_KEY}, calls) VALUES (?, ?, ?, ?, ?, ?, ?)"
        f" ON CONFLICT ({_TIME_KEY}) DO UPDATE SET calls = rollup_time.calls + excluded.calls",
        _times(rows),
    )


def _times(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[object, ...]]:
    """Give the bucket counts of every value of each dimension, and of all calls together."""
    counts: dict[tuple[object, ...], dict[int, int]] = {}
    for row in rows:
        day, kind, *values = row[: 2 + len(DIMENSIONS)]
        for name, found in zip(TIMES, json.loads(row[-1]), strict=True):
            if not found:
                continue
            for dimension, value in (("", ""), *zip(DIMENSIONS, values, strict=True)):
                into = counts.setdefault((kind, dimension, day, value, name), {})
                for bucket, calls in found:
                    into[bucket] = into.get(bucket, 0) + calls
    for key, buckets in counts.items():
        for bucket, calls in buckets.items():
            yield *key, bucket, calls


def _new_days(db: "sa.Connection") -> int:
    counted = (
        "SELECT c.day, c.calls - coalesce(r.calls, 0) FROM"
        ' (SELECT day, count(*) AS calls FROM "call" GROUP BY day) c LEFT JOIN'
        " (SELECT day, sum(calls) AS calls FROM rollup GROUP BY day) r"
        " ON r.day = c.day WHERE c.calls <> coalesce(r.calls, 0)"
    )
    stale = [(int(day), int(more)) for day, more in db.exec_driver_sql(counted).all()]
    for day, _ in stale:
        for table in ("rollup", "rollup_time"):
            db.exec_driver_sql(f"DELETE FROM {table} WHERE day = {day}")
        _insert(db, f"day = {day}")
    return sum(more for _, more in stale)


def _insert(db: "sa.Connection", rows: str) -> None:
    key = ", ".join(f'"{name}"' for name in _KEY)
    names = ", ".join(_SUMS)
    values = ", ".join(_SUMS.values())
    db.exec_driver_sql(
        f'INSERT INTO rollup ({key}, {names}) SELECT {_FROM}, {values} FROM "call" WHERE {rows}'
        f" GROUP BY {_FROM}"
    )
    for dimension in ("", *DIMENSIONS):
        value = _COLUMNS[dimension] if dimension else "''"
        each = f", {value}" if dimension else ""
        for time in TIMES:
            bucket = f"CAST(floor(ln({time}) / ln({GROWTH})) AS INTEGER)"
            db.exec_driver_sql(
                f"INSERT INTO rollup_time ({_TIME_KEY}, calls)"
                f" SELECT {_KIND}, '{dimension}', day, {value}, '{time}', {bucket}, count(*)"
                f' FROM "call" WHERE {rows} AND {time} > 0 GROUP BY {_KIND}, day{each}, {bucket}'
            )

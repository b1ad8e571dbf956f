"""The ledger: rows a second into its tables, and totals over a million rows.

    python benchmarks/ledger.py [--rows 1000000] [--rounds 5]

Rows are full (tokens, money, times, names, tags) and every index is kept. PostgreSQL is Debian's,
started on a loopback port for this run; without it that line says so. Beside the
summary stand the same percentiles by window functions over the same file. Prints Markdown and
writes it to `benchmarks/results/ledger.md`.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Figure, table_of

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
_WINDOW = """
SELECT day, model, max(seconds) FILTER (WHERE place <= 0.5 * n + 1),
  max(seconds) FILTER (WHERE place <= 0.95 * n + 1),
  max(seconds) FILTER (WHERE place <= 0.99 * n + 1)
FROM (SELECT day, model, seconds, row_number() OVER (PARTITION BY day, model ORDER BY seconds)
  AS place, count(*) OVER (PARTITION BY day, model) AS n FROM call) GROUP BY day, model
"""


def fill(folder: Path, rows: int, days: int = 30) -> None:
    """Write rows to a spool, as a process that has just ended left them."""
    from genai.ledger.row import flatten
    from genai.ledger.spool import Spool
    from genai.types import Call, Context, Cost, CostStatus, Usage

    spool = Spool(folder / "spool")
    cost = Cost(Decimal("0.00012"), CostStatus.PRICED, snapshot="a" * 16, key="gpt-4o-mini")
    for n in range(rows):
        context = Context(
            f"{n // 2:028x}", "rag/answer@ba286c04d1f7", "c0ffee123456", "r1", "chat",
            session=f"s{n % 997}", environment="prod", release="r1", trace_id="t" * 32,
            span_id="s" * 16,
        )  # fmt: skip
        call = Call(
            f"{n:028x}", "model", 1_790_000_000 + n * days * 86_400 / rows,
            0.2 + (n * 7919 % 10_007) / 10_007, "ok", f"openai/model-{n % 3}", context,
            Usage(900 + n % 50, 120, 300, "provider", reasoning_tokens=20), cost, "chat",
            "openai", "gpt-4o-mini", "127.0.0.1:8000", stream=True, ttft=0.1, itl_mean=0.01,
            itl_p95=0.02, chunks=40, http_status=200, request_id=f"req-{n}",
            finish_reason="stop", served_tier="default", tags={"case": n % 100},
        )  # fmt: skip
        spool.append({"t": "call", **flatten(call, "u" * 24)})


def drained(rows: int, url: str = "") -> float:
    """Give rows a second from the spool into the tables, indexes kept."""
    from genai.ledger import Ledger

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, rows)
        ledger = Ledger(folder / "ledger.db", url=url)
        with ledger.database.begin():
            pass  # tables are made
        started = time.perf_counter()
        ledger.drain()
        took = time.perf_counter() - started
        ledger.database.dispose()
        return rows / took


def totals(folder: Path) -> dict[str, float]:
    """Run `genai calls --summary --days` in a fresh process; seconds and megabytes."""
    env = {**os.environ, "GENAI_PROJECT": str(folder)}
    line = [sys.executable, "-m", "genai", "calls", "--summary", "--days"]
    started = time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, env=env, cwd=folder, check=True)
    took = time.perf_counter() - started
    assert "2026-" in done.stdout
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": took, "MB": peak}


def by_window(path: Path) -> float:
    """Give the seconds of the same percentiles by window functions."""
    import sqlite3

    started = time.perf_counter()
    with sqlite3.connect(path) as db:
        assert len(db.execute(_WINDOW).fetchall()) >= 90
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--drain", metavar="URL")
    options = parser.parse_args()
    if options.drain is not None:
        print(json.dumps(drained(60_000, options.drain)))
        return
    text = table(options.rows, options.rounds, **measure(options.rows, options.rounds))
    print(text)
    (HERE / "results" / "ledger.md").write_text(text, encoding="utf-8")


def measure(rows: int, rounds: int) -> dict[str, Any]:
    """Give every round's figures."""
    from postgres import binaries, new_database, postgres

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = ""
        if binaries():
            (folder / "postgres").mkdir()
            server = stack.enter_context(postgres(folder / "postgres", fsync="on"))
        sqlite, remote, seconds, megabytes, window = [], [], [], [], []
        for _ in range(rounds):
            sqlite.append(_apart(""))
            if server:
                remote.append(_apart(new_database(server)))
        project = folder / "project"
        subprocess.run([sys.executable, "-m", "genai", "init", project], check=True,
                       capture_output=True)  # fmt: skip
        fill(project / ".genai", rows)
        from genai.ledger import Ledger

        Ledger(project / ".genai" / "ledger.db").drain()
        size = (project / ".genai" / "ledger.db").stat().st_size
        for _ in range(rounds):
            found = totals(project)
            seconds.append(found["seconds"])
            megabytes.append(found["MB"])
            window.append(by_window(project / ".genai" / "ledger.db"))
    return {"sqlite": sqlite, "remote": remote, "seconds": seconds, "megabytes": megabytes,
            "window": window, "size": size}  # fmt: skip


def table(count: int, rounds: int, **found: Any) -> str:
    """Write the medians as Markdown."""
    middle = statistics.median
    other = f"{middle(found['remote']):,.0f}" if found["remote"] else "no server here"
    into = "full rows a second into"
    took, window = f"{middle(found['seconds']):.2f}", f"{middle(found['window']):.2f}"
    rows = [
        Figure(f"{into} SQLite, indexes kept", f"{middle(found['sqlite']):,.0f}", ">= 15,000"),
        Figure(f"{into} PostgreSQL, indexes kept", other, ">= 10,000"),
        Figure(f"`genai calls --summary --days` over {count:,} rows, s", took, "<= 1.5",
               f"window functions {window}"),
        Figure("memory of that summary, MB", f"{max(found['megabytes']):.0f}", "<= 300"),
    ]  # fmt: skip
    return "\n".join(
        [
            "# The ledger",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, SQLAlchemy"
            f" {version('SQLAlchemy')}, {os.cpu_count()} cores. Medians of {rounds}."
            " Command: `python benchmarks/ledger.py`.",
            "",
            *table_of(rows),
            "",
            f"The file has {found['size'] / count:.0f} bytes a row. The summary is a whole process,"
            " start and imports included; its percentiles are exact, by day and model and over"
            " all.",
            "",
        ]
    )


def _apart(url: str) -> float:
    line = [sys.executable, __file__, "--drain", url]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


if __name__ == "__main__":
    main()

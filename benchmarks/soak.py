"""Soak: mixed faults at a steady rate; it ends with every row stored and memory flat, or fails.

    python benchmarks/soak.py [--minutes 60] [--rate 200] [--write]

The server, a process of its own, answers most calls and spoils the rest: 429, 500, resets before
and in the stream, cut streams, malformed replies, wrong usage, stalls before and in the stream,
closed connections. Half of the calls are streams, one in fifty is cancelled. Every call is priced
and reserved with two budgets, and one user's is soon used up. Prints the figures and exits with 1
where a row is missing, doubled or late, a budget is passed or differs from the ledger, a
reservation is left open, or memory grows by more than 20 MB after the first tenth. `--write` puts
them into `benchmarks/results/soak.md`.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from figures import Figure, table_of

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))


def serve() -> None:
    """Answer by a fixed dice until the standard input ends."""
    from faults import (
        Fault,
        answer_and_close,
        faulty,
        hang_up,
        reply,
        reset,
        stall,
        stream,
    )

    usage = {"prompt_tokens": -1, "completion_tokens": "x"}
    spoilt: list[Fault] = [
        reply(429), reply(429, "retry-after-ms: 20\r\n"), reply(500), reply(503), reset, hang_up,
        reply(body=b"{"), reply(body=b"\xff\xfe"), reply(usage=usage), reply(usage=None),
        stream(after=2), stream(after=1, then="reset"), answer_and_close,
    ]  # fmt: skip
    spoilt = spoilt * 2 + [stall, stream(after=2, then="stall")]
    dice = random.Random(7)

    def any_fault(connection: Any, request: bytes) -> bool:
        fault = dice.choice(spoilt) if dice.random() < 0.1 else reply()
        return fault(connection, request)

    with faulty(any_fault) as (url, server):
        server.keep = False
        print(url, flush=True)
        sys.stdin.readline()
        print(server.count, flush=True)


def memory() -> float:
    """Give the megabytes this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


async def call(model: Any, number: int, ended: Counter[str]) -> None:
    from genai.errors import BudgetExceeded, ModelError
    from genai.types import Context

    context = Context(user="capped" if number % 40 == 1 else "", feature="soak")
    try:
        if number % 50 == 0:
            task = asyncio.create_task(model.acall("hi", context=context))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            ended["cancelled"] += 1
            return
        if number % 2:
            async for _ in model.astream("hi", context=context):
                pass
        else:
            await model.acall("hi", context=context)
        ended["answered"] += 1
    except ModelError as error:
        ended[error.kind] += 1
    except BudgetExceeded:
        ended["over_budget"] += 1
    except Exception as error:  # counted, and the soak fails by it
        ended["unexpected"] += 1
        print(f"unexpected: {error!r}", file=sys.stderr)


async def drive(model: Any, seconds: float, rate: int) -> tuple[Counter[str], list[float]]:
    """Start calls at a steady rate; give how they ended, and the memory over time.

    A machine that does not keep up starts them later: no more than `_OPEN` are unanswered.
    """
    ended: Counter[str] = Counter()
    running: set[asyncio.Task[None]] = set()
    held, started, number, most = [], time.monotonic(), 0, round(seconds * rate)
    while number < most:
        now = time.monotonic() - started
        while number < min(now * rate, most) and len(running) < _OPEN:
            number += 1
            task = asyncio.create_task(call(model, number, ended))
            running.add(task)
            task.add_done_callback(running.discard)
        if len(held) < number / most * min(100, seconds * 5):
            held.append(memory())
        await asyncio.sleep(0.005)
    await asyncio.gather(*running)
    ended["calls"], ended["calls/s"] = number, round(number / (time.monotonic() - started))
    return ended, held


def soak(url: str, folder: Path, seconds: float, rate: int) -> dict[str, Any]:
    """Run against the server; give what came of the calls, the rows, the money and the memory."""
    from genai.config import ModelSettings, parse_yaml
    from genai.ledger import Budgets, Ledger, Limit, Prices
    from genai.models import Hooks, open_model, worst_case

    ledger = Ledger(folder / "ledger.db")
    text = (HERE.parent / "configs" / "prices.yaml").read_text(encoding="utf-8")
    prices = Prices.read(parse_yaml(text, "prices"), "prices")
    limits = [
        Limit("total", Decimal(1000), period="total"),
        Limit("user", Decimal("0.0002"), match="capped", period="total"),
    ]
    budgets = Budgets(ledger.database, limits, ledger.user_key)
    hooks = Hooks(
        prices.cost, ledger.record, ledger.sent, partial(worst_case, prices.cost, prices.entry),
        budgets, limits=folder / "limits",
    )  # fmt: skip
    # a whole reply has no first token to wait for: only its total ends what a stalled one holds
    settings = ModelSettings(
        base_url=url, timeout=1.0, total_timeout=2.0, params={"max_tokens": 64}
    )
    model = open_model("openai/gpt-4o-mini", settings=settings, hooks=hooks)
    ended, held = asyncio.run(drive(model, seconds, rate))
    delivery, cost = ledger.flush(), ledger.summary().cost
    budgets.flush()
    for _ in range(50):  # the last one may still be settled in its thread
        rows = budgets.status()
        if not any(row.reserved for row in rows):
            break
        time.sleep(0.1)
    early = held[len(held) // 10 : len(held) // 5 + 1]
    return {
        **ended, "issued": delivery.issued, "stored": delivery.stored,
        "rows": sum(row.calls for row in ledger.summary().models),
        "dollars": str(cost.total), "dollars booked": str(max(row.spent for row in rows)),
        "rows without a price": cost.calls - cost.known,
        "dollars still reserved": str(sum(row.reserved for row in rows)),
        "budgets passed": sum(row.spent > row.limit + row.overshoot for row in rows),
        "overshoot": str(sum(row.overshoot for row in rows)),
        "memory MB": round(held[-1]), "grew MB": round(max(held[-5:]) - max(early), 1),
    }  # fmt: skip


def sound(found: dict[str, Any]) -> bool:
    """Say whether nothing was lost, doubled, passed, left open or grown."""
    rows = found["issued"] == found["stored"] == found["rows"] >= found["requests at the server"]
    money = found["dollars"] == found["dollars booked"] and not found["budgets passed"]
    closed = Decimal(found["dollars still reserved"]) == 0 and "unexpected" not in found
    return rows and money and closed and found["grew MB"] <= 20 and threading.active_count() < 50


def table(found: dict[str, Any], minutes: float, rate: int) -> str:
    """Write the figures as Markdown."""
    kinds = sorted(set(found) & set(_KINDS), key=lambda kind: -found[kind])
    words = " / ".join(kind.replace("_", " ") for kind in kinds)
    counts = " / ".join(f"{found[kind]:,}" for kind in kinds)
    lines = [
        ("calls", f"{found['calls']:,}", f">= {round(minutes * 60 * rate):,}"),
        ("calls a second", f"{found['calls/s']}"),
        (words, counts),
        ("requests at the server, retries included", f"{found['requests at the server']:,}"),
        (
            "rows issued = stored = in the ledger",
            f"{found['issued']:,} = {found['stored']:,} = {found['rows']:,}",
            "equal",
        ),
        (
            "dollars in the ledger = booked by the budget",
            f"{found['dollars']} = {found['dollars booked']}",
            "equal",
        ),
        ("dollars still reserved", found["dollars still reserved"], "<= 0"),
        ("memory at the end, MB", str(found["memory MB"])),
        ("memory grown after the first tenth, MB", str(found["grew MB"]), "<= 20"),
    ]
    return "\n".join(
        [
            "# Soak",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()}"
            f" cores. Command: `python benchmarks/soak.py --minutes {minutes:g} --write` ({rate}"
            " calls a second, half of them streams, mixed faults, stalls of the server included;"
            " every call is priced and reserved with two budgets).",
            "",
            *table_of(Figure(*line) for line in lines),
            "",
        ]
    )


_OPEN = 1000
# how a call may end
_KINDS = (
    "answered", "bad_reply", "cancelled", "network", "over_budget", "rate_limited", "server",
    "timeout", "unexpected",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as folder:
        found = soak(url, Path(folder), options.minutes * 60, options.rate)
    requests = int(server.communicate("\n", timeout=60)[0])
    found = {"minutes": options.minutes, **found, "requests at the server": requests}
    print(json.dumps(found, indent=1))
    if options.write:
        text = table(found, options.minutes, options.rate)
        (HERE / "results" / "soak.md").write_text(text, encoding="utf-8")
    return 0 if sound(found) else 1


if __name__ == "__main__":
    sys.exit(main())

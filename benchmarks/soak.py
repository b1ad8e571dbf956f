"""Soak: mixed faults at a steady rate; it ends with every row stored and memory flat, or fails.

    python benchmarks/soak.py [--minutes 60] [--rate 200]

The server, a process of its own, answers most calls and spoils the rest: 429, 500, resets before
and in the stream, cut streams, malformed replies, wrong usage, stalls, closed connections. Half of
the calls are streams, one in fifty is cancelled. Prints a table and exits with 1 where a row is
missing, doubled or late, or memory grows by more than 20 MB after the first tenth.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

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
        stream,
    )

    usage = {"prompt_tokens": -1, "completion_tokens": "x"}
    spoilt: list[Fault] = [
        reply(429), reply(429, "retry-after-ms: 20\r\n"), reply(500), reply(503), reset, hang_up,
        reply(body=b"{"), reply(body=b"\xff\xfe"), reply(usage=usage), reply(usage=None),
        stream(after=2), stream(after=1, then="reset"), answer_and_close,
    ]  # fmt: skip
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
    from genai.errors import ModelError

    try:
        if number % 50 == 0:
            task = asyncio.create_task(model.acall("hi"))
            await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            ended["cancelled"] += 1
            return
        if number % 2:
            async for _ in model.astream("hi"):
                pass
        else:
            await model.acall("hi")
        ended["answered"] += 1
    except ModelError as error:
        ended[error.kind] += 1


async def drive(model: Any, seconds: float, rate: int) -> tuple[Counter[str], list[float]]:
    """Start calls at a steady rate; give how they ended, and the memory over time."""
    ended: Counter[str] = Counter()
    running: set[asyncio.Task[None]] = set()
    held, started, number = [], time.monotonic(), 0
    while (now := time.monotonic() - started) < seconds:
        while number < now * rate:
            number += 1
            task = asyncio.create_task(call(model, number, ended))
            running.add(task)
            task.add_done_callback(running.discard)
        if len(held) < now / max(seconds / 100, 0.2):
            held.append(memory())
        await asyncio.sleep(0.005)
    await asyncio.gather(*running)
    ended["calls"] = number
    return ended, held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    from genai.config import ModelSettings
    from genai.ledger import Ledger
    from genai.models import Hooks, open_model

    server = subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.db")
        hooks = Hooks(record=ledger.record, sent=ledger.sent, limits=Path(folder) / "limits")
        model = open_model(f"openai/m@{url}", settings=ModelSettings(retries=2), hooks=hooks)
        ended, held = asyncio.run(drive(model, options.minutes * 60, options.rate))
        delivery = ledger.flush()
        rows = sum(row.calls for row in ledger.summary().models)
    requests = int(server.communicate("\n", timeout=60)[0])
    early = held[len(held) // 10 : len(held) // 5 + 1]
    growth = max(held[-5:]) - max(early)
    print(json.dumps({
        "minutes": options.minutes, **ended, "requests at the server": requests,
        "issued": delivery.issued, "stored": delivery.stored, "rows": rows,
        "memory MB": round(held[-1]), "grew MB": round(growth, 1),
    }, indent=1))  # fmt: skip
    sound = delivery.issued == delivery.stored == rows >= requests
    return 0 if sound and growth <= 20 and threading.active_count() < 50 else 1


if __name__ == "__main__":
    sys.exit(main())

"""Killed in the middle of 10,000 calls through the door: none that returned is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from loopback import seen, serve

from genai.ledger import Ledger

CALLS = """
import asyncio, os, sys
from pathlib import Path
from genai.config import ModelSettings
from genai.ledger import Ledger
from genai.models import Hooks, open_model

folder, store, server = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
ledger = Ledger(folder / "ledger.db", url=store)
hooks = Hooks(record=ledger.record, sent=ledger.sent, limits=folder / "limits")
model = open_model(f"openai/m@{server}", settings=ModelSettings(max_connections=64), hooks=hooks)
left = iter(range(10_000))

async def worker():
    for _ in left:
        reply = await model.acall("hi")
        os.write(1, f"{reply.call_id}\\n".encode())

async def main():
    await asyncio.gather(*(worker() for _ in range(64)))

asyncio.run(main())
"""


def test_kill_9_in_the_middle_of_10000_calls_loses_none_that_returned(
    tmp_path: Path, url: str
) -> None:
    returned = set()
    with serve() as server:
        line = [sys.executable, "-c", CALLS, tmp_path, url, server]
        with subprocess.Popen(
            line, stdout=subprocess.PIPE, text=True, env={**os.environ, "OPENAI_API_KEY": "k"}
        ) as process:
            assert process.stdout is not None
            for name in process.stdout:
                returned.add(name.strip())
                if len(returned) == 5000:
                    process.send_signal(signal.SIGKILL)
        requests = seen(server)["requests"]
    assert 5000 <= len(returned) < 10_000
    ledger = Ledger(tmp_path / "ledger.db", url=url)
    rows = ledger.calls(limit=20_000)
    outcome = {row.id: row.outcome for row in rows}
    assert len(outcome) == len(rows) >= requests  # each request has one row
    assert {outcome.get(name) for name in returned} == {"ok"}
    assert set(outcome.values()) <= {"ok", "lost"}
    delivery = ledger.flush()
    assert (delivery.issued, delivery.pending, delivery.dropped) == (delivery.stored, 0, 0)
    with ledger.database.begin() as db:
        if not url:
            assert db.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    ledger.database.dispose()

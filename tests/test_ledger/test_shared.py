"""Two processes of 16 threads each on one ledger, through the door: a row for each request."""

import os
import subprocess
import sys
from pathlib import Path

from loopback import seen, serve

from genai.ledger import Ledger

CALLS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from genai.config import ModelSettings
from genai.ledger import Ledger
from genai.models import Hooks, open_model

folder, store, server = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
ledger = Ledger(folder / "ledger.db", url=store)
hooks = Hooks(record=ledger.record, sent=ledger.sent, limits=folder / "limits")
model = open_model(f"openai/m@{server}", settings=ModelSettings(max_connections=32), hooks=hooks)
with ThreadPoolExecutor(16) as pool:
    print(*pool.map(lambda n: model(f"say {n}").call_id, range(400)))
"""


def test_two_processes_and_16_threads_share_one_ledger(tmp_path: Path, url: str) -> None:
    with serve() as server:
        line = [sys.executable, "-c", CALLS, tmp_path, url, server]
        both = [
            subprocess.Popen(
                line, stdout=subprocess.PIPE, text=True, env={**os.environ, "OPENAI_API_KEY": "k"}
            )
            for _ in range(2)
        ]
        returned = [name for each in both for name in each.communicate(timeout=60)[0].split()]
        requests = seen(server)["requests"]
    assert [each.returncode for each in both] == [0, 0]
    ledger = Ledger(tmp_path / "ledger.db", url=url)
    rows = ledger.calls(limit=2000)
    assert len(returned) == len(rows) == requests == 800
    assert {row.id for row in rows if row.outcome == "ok"} == set(returned)
    delivery = ledger.flush()
    assert (delivery.issued, delivery.stored) == (800, 800)
    assert (delivery.pending, delivery.waiting, delivery.failed, delivery.dropped) == (0, 0, 0, 0)
    ledger.database.dispose()

"""Importing the face and asking for help stay light: a list of what may be loaded."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import faulty, reply

import genai
from genai import project

# standard library aside, this is all that may be loaded
FACE = {"genai"}
HELP = {"genai", "genai.cli", "genai.errors", "genai.__main__"}
PLUGIN = {"genai", "genai.pytest_plugin", "pytest", "_pytest", "pluggy", "iniconfig", "packaging"}


def loaded(code: str) -> tuple[set[str], float]:
    program = (
        "import sys, json, time\n"
        "before = set(sys.modules)\n"
        "start = time.perf_counter()\n"
        f"{code}\n"
        "took = time.perf_counter() - start\n"
        "names = set(sys.modules) - before\n"
        "outside = [n for n in names if n.partition('.')[0] not in sys.stdlib_module_names]\n"
        "print('\\n' + json.dumps([outside, took]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    outside, took = json.loads(done.stdout.strip().splitlines()[-1])
    return set(outside), took


def test_the_face_loads_nothing_but_itself() -> None:
    assert loaded("import genai")[0] == FACE


def test_help_loads_no_room() -> None:
    outside, _ = loaded(
        "import contextlib\n"
        "from genai.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])"
    )
    assert outside <= HELP


def test_help_loads_no_asyncio_and_no_slow_part_of_the_standard_library() -> None:
    code = (
        "import sys\nfrom genai.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "slow = {'asyncio', 'sqlite3', 'ssl', 'http', 'email', 'unittest', 'multiprocessing'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("room", ["genai.ledger", "genai.models", "genai.rag", "genai.guards"])
def test_a_room_loads_no_heavy_package(room: str) -> None:
    heavy = {
        "chromadb", "openai", "litellm", "model2vec", "numpy", "streamlit", "guardrails", "torch",
        "transformers", "pandas", "phonenumbers", "stdnum", "detect_secrets", "langchain",
        "sqlalchemy",
    }  # fmt: skip
    assert not {name.partition(".")[0] for name in loaded(f"import {room}")[0]} & heavy


CALLS = """
import sys, genai
reply = genai.model("openai/m@" + sys.argv[1])("hi")
assert "sqlalchemy" not in sys.modules, "loaded before the caller had its reply"
assert genai.open_ledger().calls()[0].id == reply.call_id
assert "sqlalchemy" in sys.modules
"""


def test_the_first_call_returns_before_the_ledgers_store_is_loaded(tmp_path: Path) -> None:
    project.init(tmp_path / "project")
    with faulty(reply()) as (url, _):
        line = [sys.executable, "-c", CALLS, url]
        done = subprocess.run(
            line, cwd=tmp_path / "project", env={**os.environ, "OPENAI_API_KEY": "k"},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr


TOGETHER = """
import sys, threading
from decimal import Decimal
from pathlib import Path
from genai.ledger import Budgets, Ledger, Limit
from genai.types import Context, Cost, CostStatus

ledger = Ledger(Path(sys.argv[1]) / "ledger.db")
budgets = Budgets(ledger.database, [Limit("total", Decimal(1))])
cost = Cost(Decimal("0.01"), CostStatus.PRICED)
start = threading.Barrier(12)

def one(number):
    start.wait()
    ledger.drain() if number % 2 else budgets.reserve(f"{number}", Context(), "m", cost)

threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(budgets.status()[0].reserved)
"""


def test_threads_that_come_first_together_load_the_store_whole(tmp_path: Path) -> None:
    line = [sys.executable, "-c", TOGETHER, tmp_path]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0.060000000000\n", "")
    # two threads that enter one package at two places may each see half of it
    late = re.compile(r"^ +(?:import|from) sqlalchemy\.", re.MULTILINE)
    assert not [
        each for each in Path(genai.__path__[0]).rglob("*.py") if late.search(each.read_text())
    ]


def test_starting_a_command_is_not_a_wait() -> None:
    # a ceiling against blunders, far above the figure that the module lists guard
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "genai", "--help"], check=True, capture_output=True)
    assert time.perf_counter() - start < 5

"""What processes share of a limit: who is alive, who is not, and a file that cannot be used."""

import asyncio
import logging
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import faulty, reply

from genai.config import ModelSettings
from genai.models import Hooks, open_model
from genai.models.board import Board, Law
from genai.models.limits import Gate


def test_what_was_written_before_a_boot_holds_nobody_up(tmp_path: Path) -> None:
    ahead = time.monotonic() + 86_400
    board = Board(tmp_path / "limit", Law(limit=10, cooldown_until=ahead))
    assert board.enter(10)
    board._cells[board._mine + 1] = ahead
    found = Board(tmp_path / "limit", Law())
    assert found.limit == Law().limit
    assert found.enter(1)


def use(folder: Path, log: Path, seconds: float, rounds: int) -> None:
    async def one(gate: Gate) -> None:
        for _ in range(rounds):
            await gate.acquire()
            with log.open("a") as file:
                file.write("+\n")
            await asyncio.sleep(seconds)
            with log.open("a") as file:
                file.write("-\n")
            gate.release()

    async def run() -> None:
        gate = Gate("shared", folder, fixed=6)
        await asyncio.gather(*(one(gate) for _ in range(8)))

    asyncio.run(run())


def test_processes_share_the_limit_and_a_dead_one_frees_its_slots(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    log.touch()
    stuck = context.Process(target=use, args=(tmp_path, tmp_path / "other", 60.0, 1))
    stuck.start()
    while not (tmp_path / "other").exists() or (tmp_path / "other").read_text().count("+") < 6:
        time.sleep(0.02)
    stuck.kill()
    stuck.join(10)
    workers = [context.Process(target=use, args=(tmp_path, log, 0.005, 10)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    now = peak = 0
    for line in log.read_text().split():
        now += 1 if line == "+" else -1
        peak = max(peak, now)
    assert now == 0
    assert 4 <= peak <= 6


TAKES_THREE = """
import asyncio, os, sys
from pathlib import Path
from genai.models.limits import Gate

async def run():
    gate = Gate("shared", Path(sys.argv[1]), fixed=3)
    try:
        for _ in range(3):
            await asyncio.wait_for(gate.acquire(), 0.5)
        print("taken", flush=True)
    except TimeoutError:
        print("none free", flush=True)
    os._exit(9)  # as one that is killed

asyncio.run(run())
"""


def in_a_container(folder: Path) -> str:
    """Take three slots where processes are counted from 1 again, and die."""
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", TAKES_THREE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "unshare failed" in done.stderr:
        pytest.skip("processes can be counted anew by root only")
    return done.stdout.strip()


def test_who_starts_again_under_the_number_of_a_dead_process_finds_its_slots(
    tmp_path: Path,
) -> None:
    assert [in_a_container(tmp_path), in_a_container(tmp_path)] == ["taken", "taken"]


def test_a_process_whose_number_nobody_knows_keeps_its_slots(tmp_path: Path) -> None:
    gate = Gate("shared", tmp_path, fixed=3)
    for _ in range(3):
        asyncio.run(gate.acquire())
    assert in_a_container(tmp_path) == "none free"
    for _ in range(3):
        gate.release()
    assert in_a_container(tmp_path) == "taken"


@pytest.mark.parametrize("what", ["the folder", "the file"])
def test_limits_that_cannot_be_shared_stop_no_call_and_are_said_once(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "limits"
    with faulty(reply()) as (url, _):
        model = open_model(f"openai/a@{url}", hooks=Hooks(limits=folder), settings=ModelSettings())
        if what == "the folder":
            folder.write_text("a file where the folder should be")
        else:
            gate = model.route.targets[0][1].gate
            assert gate is not None
            (folder / f"{gate._name}.limit").mkdir(parents=True)
        with caplog.at_level(logging.WARNING, "genai.models"):
            assert [model("hi").text, model("hi").text] == ["Hello from the loopback."] * 2
    (said,) = [record.getMessage() for record in caplog.records]
    assert "limited in this process alone; check the folder's permissions" in said

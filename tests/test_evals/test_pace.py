"""A run finds the pace that a provider bears, and its memory does not grow with the answers."""

import json
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from faults import faulty, reply

import genai

BEARS = 16  # requests at once; a run begins with 20


class Limited:
    """A provider that refuses what is more than it bears."""

    def __init__(self) -> None:
        self.in_flight: list[int] = []
        self.refused: list[int] = []
        self._now = 0
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket, request: bytes) -> bool:
        with self._lock:
            self._now += 1
            self.in_flight.append(self._now)
            too_many = self._now > BEARS
            if too_many:
                self.refused.append(len(self.in_flight))
        time.sleep(0 if too_many else 0.2)  # long beside what a busy machine adds
        with self._lock:  # before its reply, for the next request may come with that
            self._now -= 1
        return reply(429 if too_many else 200)(connection, request)


def test_a_run_slows_down_to_what_the_provider_bears_and_measures_every_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    (tmp_path / "evals").mkdir()
    rows = [{"id": f"c{n}", "input": f"Say {n}"} for n in range(150)]
    (tmp_path / "evals" / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "evals" / "says.yaml").write_text(
        "suite: says\ntask: model\nmetrics: {one_line: {show: true}}\nfiles: c.jsonl\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    provider = Limited()
    with faulty(provider) as (url, _):
        report = genai.evaluate("says", genai.model(f"openai/x@{url}"))
    assert report.states == {"answered": 150}
    assert 1 <= len(provider.refused) <= 20  # those of the first round, and none again
    after = provider.in_flight[provider.refused[-1] :]
    assert len(after) > 100
    assert max(after) <= BEARS
    ledger = genai.open_ledger()
    ledger.flush()
    found = ledger.calls(kind="model", outcome="error", limit=500)
    assert {call.http_status for call in found} == {429}
    assert len(found) == len(provider.refused)


@pytest.mark.slow
def test_memory_does_not_grow_with_what_is_said(tmp_path: Path) -> None:
    def most(name: str, cases: int, characters: int) -> float:
        """Give the MB that a run of so many cases took at the most."""
        folder = tmp_path / name
        (folder / "evals").mkdir(parents=True)
        rows = (json.dumps({"id": f"c{n}", "input": f"q {n}"}) for n in range(cases))
        (folder / "evals" / "c.jsonl").write_text("\n".join(rows))
        suite = folder / "evals" / "s.yaml"
        suite.write_text("suite: s\nmetrics: {one_line: {show: true}}\nfiles: c.jsonl\n")
        program = textwrap.dedent(f"""
            import resource
            from pathlib import Path
            from genai.evals import Tools, evaluate

            async def task(question):
                return question[0] * {characters}

            evaluate(Path({str(suite)!r}), task, Path({str(folder / "runs")!r}), Tools())
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        """)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        return float(done.stdout)

    small, large = most("small", 6000, 10), most("large", 6000, 20_000)
    assert large - small < 15, (small, large)  # of 120 MB of answers
    many = most("many", 60_000, 10)
    assert (many - small) / 54_000 * 1024 < 2.5, (small, many)  # kB a case: ids, values, states

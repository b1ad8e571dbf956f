"""A run shared by processes or a Ray cluster gives the same verdict file as a local one."""

import json
import os
import secrets
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from servers import openai_server

from genai.evals import read_report
from genai.evals.shard import deal

TASK = """
import os, signal
from pathlib import Path

here = Path(__file__).parent

async def add(question):
    import asyncio
    with (here / "asked.log").open("a") as file:
        file.write(question + "\\n")
    await asyncio.sleep(0.01)
    left, _, right = question.partition(" + ")
    if left == "77" and not (here / "died").exists():
        (here / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"text": str(int(left) + int(right) + (int(left) % 9 == 0)), "cost": "0.001"}
"""
COUNT = 230


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    (tmp_path / "evals").mkdir()
    (tmp_path / "slow.py").write_text(TASK)
    rows = [{"id": f"s{n}", "input": f"{n} + 1", "expected": str(n + 1)} for n in range(COUNT)]
    (tmp_path / "evals" / "sums.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "evals" / "sums.yaml").write_text(
        "suite: sums\ntask: slow:add\nfiles: sums.jsonl\n"
        "metrics:\n  exact: {min: 0.5, gate: true}\n"
    )
    return tmp_path


def evaluate(folder: Path, words: str, *, resume: bool = False) -> Path:
    """Run the suite in a process of its own; give the folder of the run."""
    program = textwrap.dedent(f"""
        import genai
        if __name__ == "__main__":
            report = genai.evaluate("sums", resume={resume}, {words})
            print(report.folder)
    """)
    path = folder / "evals" / "program.py"  # its own words are no text of the task's project
    path.write_text(program)
    environment = {**os.environ, "RAY_raylet_start_wait_time_s": "120"}
    done = subprocess.run(
        [sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=240,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split()[-1])


def verdict(run: Path) -> bytes:
    """The scorecard without its first line, which names the run."""
    return (run / "scorecard.jsonl").read_bytes().partition(b"\n")[2]


@pytest.mark.parametrize("where", ["workers=2", 'ray="", workers=2'])
def test_a_worker_killed_in_the_middle_loses_only_what_was_in_flight(
    folder: Path, where: str
) -> None:
    run = evaluate(folder, where)
    assert (folder / "died").exists()
    asked = Counter((folder / "asked.log").read_text().split("\n")[:-1])
    assert len(asked) == COUNT
    assert sum(asked.values()) <= COUNT + 2 * 105
    report = read_report(run)
    assert report.states == {"answered": COUNT}
    assert report.metric("exact").value == pytest.approx(1 - 26 / COUNT)
    assert len(list(run.glob("log-*.jsonl"))) >= 2
    (folder / "asked.log").unlink()
    local = evaluate(folder, "")
    assert verdict(run) == verdict(local)
    assert report.cost == read_report(local).cost


def test_workers_record_and_replay_one_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    monkeypatch.delenv("CI", raising=False)  # there nothing is recorded
    path = folder / "evals" / "sums.yaml"
    path.write_text(path.read_text().replace("slow:add", "model"))
    with openai_server(answer=lambda body: f"{body['messages'][-1]['content'].split()[0]}") as (
        url, server,
    ):  # fmt: skip
        (folder / "configs" / "genai.yaml").write_text(
            f"version: 1\nchain: {{model: openai/x@{url}}}\n"
        )
        monkeypatch.setenv("GENAI_REPLAY_MODE", "record")
        first = evaluate(folder, "workers=2")
        assert len(server.requests) == COUNT
    monkeypatch.setenv("GENAI_REPLAY_MODE", "replay")
    monkeypatch.delenv("OPENAI_API_KEY")
    again = evaluate(folder, "workers=2")
    assert verdict(first) == verdict(again)
    assert read_report(again).states == {"answered": COUNT}
    assert read_report(again).cost == 0


CLUSTER = """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print(ray.get_runtime_context().gcs_address, flush=True)
input()
"""


@contextmanager
def cluster(environment: Mapping[str, str]) -> Iterator[str]:
    """Give the address of a Ray cluster that another process holds."""
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], text=True, env=dict(environment),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("\n", timeout=60)


@pytest.mark.slow
@pytest.mark.timeout(900)  # Ray starts twice
def test_the_command_shares_a_run_on_ray_and_on_a_cluster_that_runs(folder: Path) -> None:
    (folder / "died").touch()
    environment = {
        **os.environ, "RAY_raylet_start_wait_time_s": "120", "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }  # fmt: skip

    def shared(*words: str) -> Path:
        done = subprocess.run(
            [sys.executable, "-m", "genai", "eval", "sums", "--fresh", *words], cwd=folder,
            capture_output=True, text=True, timeout=250, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        newest = max((folder / ".genai" / "runs" / "sums").iterdir(), key=lambda p: p.name)
        assert len(list(newest.glob("log-*.jsonl"))) >= 2  # other processes wrote it
        return newest

    own = shared("--ray", "--workers", "2")
    with cluster(environment) as address:
        there = shared("--ray", address)
    local = evaluate(folder, "")
    assert verdict(own) == verdict(there) == verdict(local)


def test_parts_depend_on_the_cases_alone() -> None:
    cases = [f"case-{n}" for n in range(1000)]
    for workers in (1, 4, 16):
        parts = deal(cases, workers)
        assert sorted(case for part in parts for case in part) == sorted(cases)
        assert deal(cases[::-1], workers) == parts
        assert all(part for part in parts)
    assert len(deal(cases[:10], 4)) == 1
    assert deal([], 4) == []


def test_workers_share_the_cap(folder: Path) -> None:
    (folder / "died").touch()
    run = evaluate(folder, 'workers=2, concurrency=2, spend="0.10"')
    report = read_report(run)
    assert (report.stopped, report.exit_code) == ("budget_stop", 3)
    asked = (folder / "asked.log").read_text().split("\n")[:-1]
    # five parts of 46 cases: each stops at its share, and the rest is spent on what they left
    assert len(asked) == 100
    assert report.cost == Decimal("0.10")
    more = evaluate(folder, 'workers=2, concurrency=2, spend="0.15"', resume=True)
    assert more == run
    # a share is of what is left, not of the whole, so going on passes nothing either
    assert read_report(run).cost == Decimal("0.15")
    assert len((folder / "asked.log").read_text().split("\n")[:-1]) == 150

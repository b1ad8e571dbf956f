"""Evals: what 1,000 exact-match cases cost through `genai eval`, beside other harnesses.

    python benchmarks/peers/install.py
    python benchmarks/evals.py [--repeats 5] [--peer-repeats 3] [--only NAME ...] [--write]

The server is `loopback.py` in a process of its own: it waits 50 ms, gives each case its own answer
and counts, so that a harness that asks too little, or from its cache where it should not, fails.
Harnesses alternate round by round, each run a fresh process; medians. `--only` takes harnesses and
`big` (200,000 cases) and `tax` (an unrelated pytest run). `--write` keeps the table in
`benchmarks/results/evals.md`.
"""

import argparse
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from figures import Figure, table_of
from loopback import seen, serve
from peers.commands import HARNESSES, Job, write_cases
from peers.install import PINS

HERE = Path(__file__).parent
CASES, MANY, DELAY = 1000, 200_000, 0.05
WIDTHS = (10, 64, 200)
IDEAL = {width: CASES / width * DELAY for width in WIDTHS}
# what is run: name -> (cases, in flight, from the cache)
RUNS = {
    "@10": (CASES, 10, False), "@64": (CASES, 64, False), "@200": (CASES, 200, False),
    "warm": (CASES, 64, True), "one": (1, 64, False),
}  # fmt: skip
Found = dict[str, dict[str, float]]  # run -> figure -> value


class Unfit(Exception):
    """A harness could not do the job; says why."""


@dataclass(frozen=True)
class Process:
    """What one whole process took, its children included."""

    wall: float
    cpu: float
    megabytes: float
    code: int
    output: str


def environment(more: Mapping[str, str]) -> dict[str, str]:
    env = {name: text for name, text in os.environ.items() if not name.startswith("GENAI_")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # else every import is compiled again
    fixed = {"OPENAI_API_KEY": "k", "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": ""}
    return env | fixed | dict(more)


def spawn(line: Sequence[str], folder: Path, env: Mapping[str, str]) -> Process:
    """Run a command to its end; give its time, its processor time and its largest memory."""
    with tempfile.TemporaryFile() as out:
        started = time.perf_counter()
        child = subprocess.Popen(
            line, cwd=folder, env=environment(env), stdout=out, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    cpu = used.ru_utime + used.ru_stime
    return Process(wall, cpu, used.ru_maxrss / 1024, child.returncode, text)


def once(name: str, run: str, root: Path, url: str) -> dict[str, float]:
    """Do one run and check that it asked for what it should and got it right."""
    harness, (count, width, warm) = HARNESSES[name], RUNS[run]
    folder = root / re.sub(r"\W+", "-", name) / ("warm" if warm else str(count))
    if not folder.exists():
        write_cases(folder, count)
    if harness.ours and not warm:
        shutil.rmtree(folder / ".genai", ignore_errors=True)
    line, env = harness.command(Job(folder, url, width, warm))
    seen(url)
    done = spawn(line, folder, env)
    asked = seen(url)
    if done.code or not re.search(harness.proof, done.output, re.MULTILINE):
        raise Unfit(f"{run}: exit status {done.code}: {' '.join(done.output.split())[-300:]}")
    expected = {0, count} if warm else {count}
    if asked["requests"] not in expected:
        raise Unfit(f"{run}: asked {asked['requests']} times for {count} cases")
    return {"wall": done.wall, "cpu": done.cpu, "MB": done.megabytes, **asked}


def prepare(names: Sequence[str], root: Path, url: str) -> dict[str, str]:
    """Run each harness once, uncounted: compiles, fills caches; give why some cannot."""
    absent = {}
    for name in names:
        harness = HARNESSES[name]
        if harness.home and not (harness.python.parent.parent / "pins.json").is_file():
            absent[name] = "not installed: python benchmarks/peers/install.py"
            continue
        try:
            once(name, "one", root, url)
            if harness.caches:
                once(name, "warm", root, url)
        except Unfit as error:
            absent[name] = str(error)
    return absent


def measure(
    names: Sequence[str], repeats: int, peer_repeats: int, root: Path
) -> tuple[dict[str, Found], dict[str, str]]:
    """Give medians by harness and run, and why some harnesses have none."""
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    with serve(DELAY, echo=True) as url:
        absent = prepare(names, root, url)
        for number in range(repeats):
            here = [
                name for name in names
                if name not in absent and (HARNESSES[name].ours or number < peer_repeats)
            ]  # fmt: skip
            for run, (_, _, warm) in RUNS.items():
                for name in here if number % 2 == 0 else here[::-1]:
                    if name in absent or (warm and not HARNESSES[name].caches):
                        continue
                    try:
                        figures = once(name, run, root, url)
                        if warm and figures["requests"]:
                            raise Unfit(f"{run}: its cache was not used")
                    except Unfit as error:
                        absent[name] = str(error)
                        values.pop(name, None)
                        continue
                    own = values.setdefault(name, {}).setdefault(run, {})
                    for figure, value in figures.items():
                        own.setdefault(figure, []).append(value)
            print(f"round {number + 1} of {repeats}", file=sys.stderr)
    return {
        name: {
            run: {figure: statistics.median(each) for figure, each in figures.items()}
            for run, figures in runs.items()
        }
        for name, runs in values.items()
    }, absent


def log_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / ".genai" / "runs").rglob("*.jsonl"))


def big(root: Path) -> dict[str, float]:
    """Record 200,000 answers, replay them, kill a replay at nine tenths, and go on with it."""
    folder, harness = root / "big", HARNESSES["genai eval"]
    write_cases(folder, MANY)
    with serve(echo=True) as url:
        line, env = harness.command(Job(folder, url, 200, warm=True))
        first = spawn(line, folder, env)
        asked = seen(url)
        if first.code or asked["requests"] != MANY:
            raise Unfit(f"recording: {asked}: {' '.join(first.output.split())[-300:]}")
        replay = {**env, "GENAI_REPLAY_MODE": "replay"}
        shutil.rmtree(folder / ".genai" / "runs", ignore_errors=True)
        whole = spawn(line, folder, replay)
        size = log_bytes(folder)
        shutil.rmtree(folder / ".genai" / "runs", ignore_errors=True)
        child = subprocess.Popen(
            line, cwd=folder, env=environment(replay), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while child.poll() is None and log_bytes(folder) < size * 0.9:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        if child.wait() != -signal.SIGKILL:
            raise Unfit("the log was not written while the run went on")
        before = log_bytes(folder)
        resumed = spawn(line, folder, replay)
        again = seen(url)["requests"]
    if whole.code or resumed.code or again:
        raise Unfit(f"replay: exit {whole.code}, {resumed.code}, asked again {again} times")
    return {
        "recorded s": first.wall, "replayed s": whole.wall, "MB": whole.megabytes,
        "replayed cpu": whole.cpu, "resumed cpu": resumed.cpu,
        "resumed s": resumed.wall, "resumed MB": resumed.megabytes, "log MB": size / 2**20,
        "written again": (log_bytes(folder) - before) / size,
    }  # fmt: skip


def tax(root: Path, repeats: int) -> dict[str, float]:
    """Run one unrelated test with our entry point and without, in turn; give medians.

    The other plugins of this environment are loaded in both, and are no part of the difference.
    """
    folders = {which: root / "tax" / which for which in ("with", "without")}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / "test_unrelated.py").write_text("def test_one():\n    assert True\n")
    bare = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    walls: dict[str, list[Process]] = {"with": [], "without": []}
    for number in range(repeats + 1):
        for which in list(walls)[:: 1 if number % 2 else -1]:
            line = bare if which == "with" else [*bare, "-p", "no:genai"]
            walls[which].append(spawn(line, folders[which], {}))
    texts = {
        re.sub(r"[\d.]+s", "", done.output) for runs in walls.values() for done in runs
    }  # fmt: skip
    files = [{path.name for path in folder.iterdir()} for folder in folders.values()]
    if len(texts) > 1 or files[0] != files[1]:
        raise Unfit(f"an unrelated run left traces: {texts} {files}")
    return {  # the first run of each compiles
        f"{which} {figure} ms": statistics.median(getattr(done, figure) for done in runs[1:]) * 1e3
        for which, runs in walls.items()
        for figure in ("wall", "cpu")
    }


def rows(found: Mapping[str, Found]) -> list[str]:
    lines = [
        "| harness | wall s @10 | @64 | @200 | efficiency of the run @10 / @64 / @200 |"
        " CPU s @64 | MB | warm re-run s | one case, s / CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        walls = " | ".join(f"{runs[f'@{width}']['wall']:.2f}" for width in WIDTHS)
        gains = " / ".join(f"{IDEAL[width] / runs[f'@{width}']['seconds']:.2f}" for width in WIDTHS)
        warm = f"{runs['warm']['wall']:.2f}" if "warm" in runs else "no cache"
        lines.append(
            f"| {name} | {walls} | {gains} | {runs['@64']['cpu']:.2f} | {runs['@64']['MB']:.0f} |"
            f" {warm} | {runs['one']['wall']:.2f} / {runs['one']['cpu']:.2f} |"
        )
    return lines


def fastest(found: Mapping[str, Found], run: str, aiohttp: bool = True) -> tuple[str, float]:
    """Give the peer with the least wall time; `on aiohttp` ones only where asked for."""
    return min(
        (
            (name, runs[run]["wall"])
            for name, runs in found.items()
            if not HARNESSES[name].ours and run in runs and (aiohttp or "aiohttp" not in name)
        ),
        key=lambda each: each[1],
        default=("no peer", float("inf")),
    )


def goals(found: Mapping[str, Found]) -> list[Figure]:
    lines: list[Figure] = []
    for name in (name for name in found if HARNESSES[name].ours):
        own = found[name]
        compared = (
            (
                "whole process, 64 in flight, s",
                "@64",
                fastest(found, "@64", False),
                "<= 2.0, >= 3x",
            ),
            ("the same beside the fastest peer on aiohttp", "@64", fastest(found, "@64"), ""),
            ("warm re-run, whole process, s", "warm", fastest(found, "warm"), "<= 1.0, >= 4x"),
        )
        for text, run, (peer, wall), goal in compared:
            ours = own[run]["wall"]
            ratio = f"{wall / ours:.2f}x" if wall < float("inf") else ""
            beside = f"{peer} {wall:.2f}" if ratio else peer
            lines.append(Figure(f"{text}: {name}", f"{ours:.2f}", goal, beside, ratio))
        each = (own["@64"]["cpu"] - own["one"]["cpu"]) / (CASES - 1) * 1e3
        gains = " / ".join(f"{IDEAL[w] / own[f'@{w}']['seconds']:.2f}" for w in WIDTHS)
        lines += [
            Figure(
                f"efficiency of the run @10 / 64 / 200: {name}", gains, ">= .93 / >= .75 / >= .35"
            ),
            Figure(
                f"CPU ms a case / one-sample start, CPU s: {name}",
                f"{each:.2f} / {own['one']['cpu']:.2f}",
                "<= 1 / <= .7",
            ),
        ]
    return lines


def more(root: Path, chosen: Sequence[str], repeats: int) -> list[Figure]:
    """Give the figures of what no peer is asked: 200,000 cases, and the tax on other runs."""
    lines = []
    try:
        if "big" in chosen:
            each = big(root)
            lines.append(
                Figure(
                    f"{MANY:,} cases replayed: MB, s, CPU s",
                    f"{each['MB']:.0f}, {each['replayed s']:.1f}, {each['replayed cpu']:.1f}",
                    "<= 400 MB",
                    f"log {each['log MB']:.0f} MB, recorded in {each['recorded s']:.0f} s",
                )
            )
            lines.append(
                Figure(
                    "the same, killed at 90 % and resumed: s, CPU s",
                    f"{each['resumed s']:.1f}, {each['resumed cpu']:.1f}",
                    "<= 10 s",
                    f"{each['resumed MB']:.0f} MB, {each['written again']:.0%} of the log written",
                )
            )
    except Unfit as error:
        lines.append(Figure(f"{MANY:,} cases replayed", f"failed: {error}", "<= 400 MB"))
    try:
        if "tax" in chosen:
            ms = tax(root, 2 * repeats)
            for figure in ("wall", "cpu"):
                own, bare = ms[f"with {figure} ms"], ms[f"without {figure} ms"]
                lines.append(
                    Figure(
                        f"added to an unrelated pytest run, no output, no files: {figure} ms",
                        f"{own - bare:+.0f}, from {bare:.0f} to {own:.0f}",
                        "<= 50",
                    )
                )
    except Unfit as error:
        lines.append(Figure("added to an unrelated pytest run, ms", f"failed: {error}", "<= 50"))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=[*HARNESSES, "big", "tax"])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    chosen = options.only or [*HARNESSES, "big", "tax"]
    names = [name for name in HARNESSES if name in chosen]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found, absent = measure(names, options.repeats, options.peer_repeats, Path(folder))
        extra = more(Path(folder), chosen, options.repeats)
    homes = dict.fromkeys(each.home for each in HARNESSES.values() if not each.ours)
    pins = ", ".join(pin for home in homes for pin in PINS[home])
    lines = [
        "# Evals beside other harnesses",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, genai"
        f" {version('genai-workbench')}, {pins}, {os.cpu_count()} cores, load {load:.1f} at the"
        f" start. Medians of {options.repeats}, peers of {options.peer_repeats}, alternated."
        " Command: `python benchmarks/evals.py --write`.",
        "",
        f"{CASES:,} exact-match cases, answers after {DELAY * 1e3:.0f} ms. Wall and CPU are of the"
        " whole process; the efficiency is the ideal time by that from the first request to the"
        " last answer, as the server saw it; the re-run has 64 in flight.",
        "",
        *rows(found),
        "",
        *table_of([*goals(found), *extra]),
        *([""] if absent else []),
        *(f"- {name} has no figures. {why}" for name, why in absent.items()),
        "",
        "`on aiohttp`: harnesses that leave the client to their user, with `AsyncOpenAI` on its"
        " aiohttp client instead of the stock one. inspect_ai writes its log while it runs"
        " (`log_realtime`) and promptfoo its results to SQLite, as shipped. deepeval caches scores,"
        " not answers. Suites run in pytest with our plugin and no other: those that happen to be"
        " installed beside it add a second; the unrelated run has them on both sides. CPU a case is"
        " that of the run above that of one case.",
        "",
        "Where a ratio is not reached, the start of the process is why: the answers"
        f" alone take {IDEAL[64]:.2f} s with 64 in flight, whoever asks, and the column of one case"
        " shows what a process takes for itself. By `python -m cProfile`, half of a warm re-run"
        " loads modules (pydantic, msgspec, the classes of suites and rows; SQLAlchemy beside them,"
        " in the ledger's thread), and a sixth looks up 1,000 replies.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        (HERE / "results" / "evals.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The log of a run: one folder a run, one append-only file a process.

A line is a trial or its scores. A run that was interrupted goes on where it stopped, by the
content of its cases: a unit is a case, a repeat and a variant of the task; a task whose project
has changed since begins anew. A torn last line is done again. Nothing is ever rewritten.
"""

import os
import shutil
import socket
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from genai.errors import CaseError
from genai.evals.trial import Trial
from genai.project import write_whole
from genai.types import new_id

try:
    import fcntl
except ImportError:  # Windows: a run is then not guarded against a second writer
    fcntl = None  # type: ignore[assignment]
_SYNC = 1.0  # seconds between two fsyncs


class Head(msgspec.Struct, kw_only=True):
    """What a run is of: one with an equal `key` has the answers to the same questions.

    `sources` is what the answers may depend on beside the task: only where that is equal too does
    a run go on with the log. `since` says when a run that is gone on with was begun.
    """

    suite: str
    dataset: str
    task: str
    variant: str
    metrics: dict[str, str]
    repeats: int
    cases: int
    started_at: float
    sources: str = ""
    run: str = ""
    complete: bool = False
    since: float | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What must be equal for answers to be scored again; new metrics only add scores."""
        return (self.suite, self.dataset, self.task, self.variant, self.repeats)


class Scores(msgspec.Struct, tag="scores", array_like=True):
    """What the metrics gave for one unit: by metric id a value, or [code, message].

    `paid` is what asking the judge cost, in dollars.
    """

    unit: str
    values: dict[str, Any]
    paid: Decimal = Decimal(0)


class _Trial(msgspec.Struct, tag="trial", array_like=True):
    trial: Trial


_decoder = msgspec.json.Decoder(_Trial | Scores)
_encoder = msgspec.json.Encoder(decimal_format="string")


class RunLog:
    """The log of one run, held by one process at a time."""

    def __init__(self, folder: Path, head: Head, lock: int) -> None:
        self.folder = folder
        self.head = head
        self._lock = lock
        self._file: Any = None
        self._synced = time.monotonic()

    @property
    def path(self) -> Path:
        """This process's own file."""
        return self.folder / f"log-{socket.gethostname()}-{os.getpid()}.jsonl"

    def trial(self, trial: Trial) -> None:
        """Append a trial."""
        case, trial.case = trial.case, None
        try:
            self._append(_Trial(trial))
        finally:
            trial.case = case

    def scores(self, unit: str, values: Mapping[str, Any], paid: Decimal = Decimal(0)) -> None:
        """Append the scores of a unit, and what they cost."""
        self._append(Scores(unit, dict(values), paid))

    def _append(self, line: _Trial | Scores) -> None:
        if self._file is None:
            self._file = self.path.open("ab", buffering=0)
            if self._file.tell():
                self._file.write(b"\n")  # the line before may be torn
        try:
            self._file.write(_encode(line) + b"\n")
        except OSError as error:
            raise CaseError(f"{self.path}: cannot be written ({error}); free space and run again,"
                            " what is done is kept") from error  # fmt: skip
        now = time.monotonic()
        if now - self._synced > _SYNC:
            self._synced = now
            os.fsync(self._file.fileno())

    def read(self) -> Iterator[Trial | Scores]:
        """Give every whole line of the run; a trial comes before its scores."""
        for path in sorted(self.folder.glob("log-*.jsonl")):
            yield from read_log(path)

    def answers(self, units: Container[str]) -> Iterator[tuple[str, Trial | None, Scores | None]]:
        """Give the answers of some units with the scores beside them.

        An answer has none where a stop came between, and scores are alone where a later start gave
        them; an answer that was not measured is none.
        """
        waiting: dict[str, Trial] = {}
        for line in self.read():
            if line.unit not in units:
                continue
            if isinstance(line, Scores):
                yield line.unit, waiting.pop(line.unit, None), line
            elif line.state != "unmeasured":
                waiting[line.unit] = line
        for unit, trial in waiting.items():
            yield unit, trial, None

    def finish(self, *, complete: bool) -> None:
        """Say that the run has its report; a complete one has nothing left to go on with."""
        self.head.complete = complete
        _write_head(self.folder, self.head)

    def close(self) -> None:
        """End the log and let go of the run."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _encode(line: _Trial | Scores) -> bytes:
    try:
        return _encoder.encode(line)
    except UnicodeEncodeError:  # a lone surrogate: keep the line, show where the text was broken
        plain = msgspec.to_builtins(line)
        return _encoder.encode(_clean(plain))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return value


def read_log(path: Path) -> Iterator[Trial | Scores]:
    """Give the whole lines of one log file; a torn one is left out."""
    with path.open("rb") as file:
        for line in file:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                found = _decoder.decode(line)
                yield found if isinstance(found, Scores) else found.trial


def join_run(folder: Path) -> RunLog:
    """Open a run that another process holds, to write a part of it into a file of one's own.

    Raises:
        CaseError: there is no such run.
    """
    head = _head(folder / "run.json")
    if head is None:
        raise CaseError(f"{folder}: is no run; start it first")
    return RunLog(folder, head, -1)


def open_run(runs: Path, head: Head, *, resume: bool = True, name: str = "") -> RunLog:
    """Open the newest unfinished run with the same key, or begin one.

    A run that another process holds is left to it. `name` gives the run a name of its own, so that
    several processes of one session meet in it: they wait for each other.
    """
    folder = runs / head.suite
    if name:
        held = _hold(folder / name, wait=True)
        return _opened(folder / name, head, held)
    for path, found in _newest_first(folder) if resume else ():
        if found.complete or found.key != head.key or found.sources != head.sources:
            continue
        held = _hold(path.parent)
        now = _head(path)
        if held >= -1 and now is not None and not now.complete:
            return _opened(path.parent, head, held)
        if held >= 0:
            os.close(held)
    started = time.strftime("%Y%m%dT%H%M%S", time.gmtime(head.started_at))
    fresh = folder / f"{started}-{new_id()[-8:]}"
    return _opened(fresh, head, _hold(fresh))


def answers_of(runs: Path, head: Head, name: str = "") -> Path:
    """Find the run whose answers may be scored again for `head`: the newest, or the one named.

    Raises:
        CaseError: there is none of these cases, this task and so many repeats.
    """
    for path, found in _newest_first(runs / head.suite):
        if found.key == head.key and path.parent.name.startswith(name):
            return path.parent
    raise CaseError(
        f"run {name or 'to score again'}: no run of suite {head.suite} has these cases, this task"
        f" and {head.repeats} repeats; see genai eval runs {head.suite}, or run it"
    )


def _newest_first(folder: Path) -> list[tuple[Path, Head]]:
    heads = ((path, _head(path)) for path in folder.glob("*/run.json"))
    found = [(path, head) for path, head in heads if head is not None]
    return sorted(found, key=lambda each: each[1].started_at, reverse=True)


def copy_answers(source: Path, log: RunLog) -> None:
    """Begin a run with what another has logged, so that it is scored again and nobody is asked."""
    for number, path in enumerate(sorted(source.glob("log-*.jsonl"))):
        shutil.copyfile(path, log.folder / f"log-{number}-of-{source.name}.jsonl")


def _opened(folder: Path, head: Head, held: int) -> RunLog:
    path = folder / "run.json"
    found = _head(path)
    if found is not None and found.key == head.key:
        head.started_at, head.run, head.since = found.started_at, found.run, found.started_at
    head.run = head.run or folder.name
    _write_head(folder, head)
    return RunLog(folder, head, held)


def _write_head(folder: Path, head: Head) -> None:
    write_whole(folder / "run.json", msgspec.json.encode(head), CaseError)


def _hold(folder: Path, *, wait: bool = False) -> int:
    """Lock a run; -2 where another process has it, -1 where this system cannot lock."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CaseError(
            f"{folder}: cannot be written ({error}); mend its rights or free space"
        ) from error
    if fcntl is None:
        return -1
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(file)
        return -2
    return file


def _head(path: Path) -> Head | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Head)
    except (OSError, msgspec.DecodeError):
        return None

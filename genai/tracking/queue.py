"""The queue: records on disk, each whole or not there, and the start of a delivery."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import util
from pathlib import Path
from typing import Any, Literal

from genai import extras
from genai.errors import MissingExtra

try:
    import fcntl
except ImportError:  # Windows: two deliveries are then not kept apart
    fcntl = None  # type: ignore[assignment]
Status = Literal["RUNNING", "FINISHED", "FAILED"]
# settled when MLflow is imported: a variable set later, in this process, is ignored
_QUIET = {
    **extras.QUIET,
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "GIT_PYTHON_REFRESH": "quiet",
}
_LARGE = 100 * 2**20  # bytes of a file that is named instead of copied
_children: list["subprocess.Popen[bytes]"] = []


@dataclass(frozen=True, slots=True)
class Store:
    """Where records go: an MLflow server by `url`, or the SQLite file in `folder`.

    The queue is in `folder` too.
    """

    folder: Path
    url: str = ""

    @property
    def uri(self) -> str:
        """The store as MLflow names it."""
        return self.url or f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def queue(self) -> Path:
        """The folder of records that wait, one folder each."""
        return self.folder / "queue"


@dataclass(frozen=True, slots=True)
class Record:
    """A run, or what is new of it: the same `key` is the same run.

    `metrics` are (name, value, step, Unix time); `files` become its artefacts; runs whose keys are
    `children` are shown under it.
    """

    key: str
    experiment: str
    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[tuple[str, float, int, float]] = ()
    files: Sequence[Path] = ()
    children: Sequence[str] = ()
    status: Status = "FINISHED"
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class Version:
    """A prompt (`turns`: role and text) or an adapter (`files` under `root`), by its hash.

    `aliases` are names that point at it now; `run` is the key of the run that made it.
    """

    kind: Literal["prompt", "adapter"]
    name: str
    sha: str
    aliases: Sequence[str] = ()
    turns: Sequence[tuple[str, str]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path()
    files: Sequence[Path] = ()
    run: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many records wait, how many the store refused, and why the last delivery ended early."""

    queued: int
    refused: int
    trouble: str = ""

    def __str__(self) -> str:
        words = f"{self.queued} records wait for MLflow"
        words += f", {self.refused} were refused" if self.refused else ""
        return words + (f": {self.trouble}" if self.trouble else "")


def require() -> None:
    """Refuse to begin where MLflow is not installed. Raises `MissingExtra`."""
    if util.find_spec("mlflow") is None:
        line = "pip install 'genai-workbench[tracking]'"
        raise MissingExtra(f"`mlflow` is not installed, and `tracking.enabled` is on; run: {line}")


def log(store: Store, record: Record) -> bool:
    """Queue a run and set a delivery going; False, with a line on stderr, where the disk refuses.

    The work that is recorded goes on either way.
    """
    return _put(store, "run", asdict(record), record.files, Path())


def mirror(store: Store, version: Version) -> bool:
    """Queue a version for the registry; one that is there already only gets its aliases."""
    return _put(store, version.kind, asdict(version), version.files, version.root)


def _put(store: Store, kind: str, item: dict[str, Any], files: Sequence[Path], root: Path) -> bool:
    name = f"{time.time_ns():020d}-{os.getpid()}"
    draft = store.queue / f".{name}"
    try:
        (draft / "files").mkdir(parents=True)
        kept, left = [], []
        for path in files:
            inside = path.relative_to(root) if root != Path() else Path(path.name)
            if not path.is_file() or path.stat().st_size > _LARGE:
                left.append(inside.as_posix())
                continue
            (draft / "files" / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, draft / "files" / inside)
            kept.append(inside.as_posix())
        item = {**item, "kind": kind, "files": kept, "left": left, "root": "",
                "at": time.time()}  # fmt: skip
        (draft / "item.json").write_text(json.dumps(item, default=str), encoding="utf-8")
        draft.replace(store.queue / name)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        sys.stderr.write(f"genai: {item['name']} is not tracked ({error}); free space in"
                         f" {store.folder}\n")  # fmt: skip
        return False
    _wake(store)
    return True


def waiting(store: Store) -> Waiting:
    """Say what waits, without MLflow."""
    trouble = store.folder / "trouble.txt"
    said = trouble.read_text(encoding="utf-8") if trouble.exists() else ""
    return Waiting(len(items_of(store)), len(list((store.folder / "refused").glob("*"))), said)


def deliver(store: Store, timeout: float = 600.0) -> Waiting:
    """Take what waits to the store now; say what could not be delivered. Raises `MissingExtra`.

    A store that has not taken everything within `timeout` seconds is left; the rest stays queued.
    """
    require()
    if items_of(store):
        process = _start(store, "now")
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            why = f"{store.url or 'the store'} did not take everything within {timeout:g} s"
            (store.folder / "trouble.txt").write_text(why, encoding="utf-8")
    return waiting(store)


def view(store: Store, port: int) -> int:
    """Serve MLflow's pages over the store until they are ended; give their exit code.

    Started plainly and without a network, they hang in LiteLLM's download of prices.

    Raises:
        MissingExtra: MLflow is not installed.
    """
    require()
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store.uri]
    command += ["--port", str(port), "--workers", "1"]
    return subprocess.call(command, env={**os.environ, **_QUIET})


def _wake(store: Store) -> None:
    """Start a delivery unless one is going on."""
    _children[:] = [each for each in _children if each.poll() is None]
    with suppress(OSError), held(store, wait=False) as free:
        if not free:
            return
    with suppress(OSError):  # no process can be had: the record waits
        _children.append(_start(store, "linger"))


def _start(store: Store, mode: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "genai.tracking.delivery", mode, str(store.folder), store.url]
    store.folder.mkdir(parents=True, exist_ok=True)
    with (store.folder / "delivery.log").open("wb") as log_file:
        return subprocess.Popen(
            command, env={**os.environ, **_QUIET}, stdin=subprocess.DEVNULL, stdout=log_file,
            stderr=log_file, start_new_session=True,
        )  # fmt: skip


def items_of(store: Store) -> list[Path]:
    """Give the folders of the records that wait, oldest first."""
    return sorted(path for path in store.queue.glob("[0-9]*") if (path / "item.json").exists())


@contextmanager
def held(store: Store, *, wait: bool) -> Iterator[bool]:
    """Hold the store's delivery; False where another process does."""
    store.folder.mkdir(parents=True, exist_ok=True)
    file = os.open(store.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(file)

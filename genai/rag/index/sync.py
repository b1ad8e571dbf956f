"""One sync: bring a generation's store into step with a folder of documents.

Laws: what is reported is read back from the store; a new version of a document is in before its
old one is out; a document that fails keeps its old version; an unchanged sync embeds nothing.
Every step can be done again, so a sync that was killed is gone on with by the next one.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath

from genai import extras
from genai.config import digest
from genai.errors import DocumentError, InputError, shown
from genai.models import Embedder
from genai.rag.documents import SIDECAR, find_documents, other_kinds, parse, read_source
from genai.rag.index import graph
from genai.rag.index.embed import BATCH, Open, Workers, embed
from genai.rag.index.opened import Opened
from genai.rag.metadata import metadata, sidecar
from genai.rag.split import IdMaker, Splitting, headed, split, splitter_id
from genai.rag.store import Entry, Seen
from genai.types import Passage

_ROUND = 20_000  # passages given to workers at a time; they are started once a round
_MANY = 5  # documents; so many may vanish at once without a word
Scan = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, counted from the store after it. `failed` pairs a document and why.

    `quarantined` passages are kept and never found. `recall` is that of the graph against exact
    search, None where no graph is used; `alarms` are sentences that somebody has to read; `unread`
    counts the folder's files of kinds that are not read, by how their names end.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    passages: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    revision: str = ""
    generation: str = ""
    quarantined: int = 0
    notes: tuple[tuple[str, str], ...] = ()
    recall: float | None = None
    alarms: tuple[str, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class How:
    """What a sync works by: the generation's own parameters, and whom to ask for help."""

    embedder: Embedder
    splitting: Splitting
    tenants: bool
    max_bytes: int
    scan: Scan | None = None
    scan_id: str = ""
    opener: Open | None = None


@dataclass(slots=True)
class _Run:
    """What one sync has done so far."""

    before: dict[str, Seen]
    written: set[str] = field(default_factory=set)
    stamps: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    embedded: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


class Sync:
    """Brings one generation into step, once."""

    def __init__(self, opened: Opened, how: How, workers: Workers) -> None:
        self._opened = opened
        self._store = opened.store
        self._how = how
        self._workers = workers
        self._run = _Run(self._store.seen())

    def run(self, root: Path, files: Sequence[Path], *, progress: bool = False) -> SyncReport:
        """Write what is new or changed, remove what is gone, mend what is missing."""
        run, store = self._run, self._store
        if not run.before and store.get("scan") is None:  # nothing to look at again
            store.put(scan=self._how.scan_id)
        self._write(root, _progress(files, progress))
        store.restamp(run.stamps)
        gone = _gone(run.before, root, files)
        store.remove(gone)
        self._rescan()
        self._mend()
        revision = digest(sorted(store.documents().items()))
        recall, alarms = graph.keep(self._opened, revision)
        if store.get("revision") != revision:
            store.put(revision=revision)
        return SyncReport(
            added=len(run.written - run.before.keys()),
            changed=len(run.written & run.before.keys()),
            unchanged=run.unchanged,
            removed=len(gone),
            embedded=run.embedded,
            passages=store.count(),
            failed=tuple(run.failed),
            revision=revision,
            quarantined=store.count(quarantined=True),
            notes=tuple(run.notes),
            recall=recall,
            alarms=alarms,
            unread=other_kinds(root),
        )

    def _write(self, root: Path, files: Iterable[Path]) -> None:
        run, limit = self._run, _ROUND if self._workers.some else BATCH
        make_id = IdMaker(splitter_id(self._how.splitting))
        batch: list[Entry] = []
        waiting = 0
        for path in files:
            name = path.relative_to(root).as_posix()
            try:
                entry = self._read(path, name, root, make_id)
            except DocumentError as error:
                run.failed.append((name, str(error)))
                continue
            if entry is None:
                run.unchanged += 1
                continue
            run.written.add(name)
            run.notes += [(name, note) for note in entry.document.notes]
            batch.append(entry)
            waiting += len(entry.passages)
            if waiting >= limit:
                self._put(batch)
                batch, waiting = [], 0
        self._put(batch)

    def _read(self, path: Path, name: str, root: Path, make_id: IdMaker) -> Entry | None:
        """Read, parse and cut a file; None if it is as the manifest has it."""
        seen, stamp = self._run.before.get(name), _stamp(path)
        if seen is not None and stamp and seen.stamp == stamp:
            return None
        source, beside = read_source(path, root, self._how.max_bytes), sidecar(path, root)
        found = sha256(source)
        if beside:
            found.update(b"\x1f" + beside)
        if seen is not None and seen.source_hash == found.hexdigest():
            if stamp:
                self._run.stamps[name] = stamp
            return None
        tenant = ""
        if self._how.tenants:
            tenant, slash, _ = name.partition("/")
            if not slash:
                raise DocumentError(f"{name}: is in no tenant's folder; move it into one")
        document = parse(name, source)
        passages = split(document, self._how.splitting, make_id)
        if not passages:
            raise DocumentError(f"{name}: gives no passage; add text")
        said = metadata(name, document.kind, document.text, beside)
        return Entry(
            document, passages, found.hexdigest(), stamp, tenant, said, self._bad(passages)
        )

    def _bad(self, passages: Iterable[Passage]) -> frozenset[str]:
        scan = self._how.scan
        return frozenset(p.id for p in passages if scan(headed(p))) if scan else frozenset()

    def _put(self, batch: list[Entry]) -> None:
        """Vectors of new passages first, then the passages: a reader never lacks a vector."""
        if not batch:
            return
        every = [p for entry in batch for p in entry.passages]
        known = self._store.have_vectors([p.id for p in every])
        self.embed([p for p in every if p.id not in known])
        graph.add(self._opened, [p.id for p in every])
        self._store.replace(batch)

    def embed(self, passages: Sequence[Passage]) -> None:
        """Give passages their vectors, in the store."""
        how = self._how
        opener = how.opener or _no_opener
        for done in embed(passages, how.embedder, self._workers, opener):
            self._opened.check_width(done.dimension, how.embedder)
            self._store.put_vectors(done.rows)
            self._run.embedded += len(done.rows)

    def _rescan(self) -> None:
        """Look at every passage again when the scanner is another one."""
        if (self._store.get("scan") or "") != self._how.scan_id:
            self._store.quarantine(sorted(self._bad(self._store.all_passages())))
            self._store.put(scan=self._how.scan_id)

    def _mend(self) -> None:
        """Make the vectors' ids equal the passages'."""
        missing = self._store.without_vectors()
        for first in range(0, len(missing), _ROUND):
            self.embed(list(self._store.passages(missing[first : first + _ROUND]).values()))
        self._store.drop_vectors(self._store.stray_vectors())


def look(root: Path, known: Iterable[str], *, prune: bool) -> list[Path]:
    """List the folder's documents.

    Raises:
        InputError: no such folder, no document in it, or most of those known are gone.
    """
    name = shown(root)
    if not root.is_dir():
        raise InputError(f"{name}: is not a folder; name the folder of your documents")
    files = find_documents(root)
    before = set(known)
    if not files and not (prune and before):
        hint = "is it mounted? nothing was removed"
        if not before:
            others = kinds_said(other_kinds(root))
            hint = f"{others} are of kinds that are not read" if others else "put some there"
        raise InputError(f"{name}: holds no document that can be read; {hint}")
    gone = _gone(before, root, files)
    if len(gone) > _MANY and 2 * len(gone) > len(before) and not prune:
        raise InputError(
            f"{name}: {len(gone)} of {len(before)} documents are gone at once; is it the right"
            " folder? nothing was removed; if so, run `genai index sync --prune`"
        )
    return files


def kinds_said(others: Mapping[str, int]) -> str:
    """Say how many files there are of each kind, the commonest first: `3 .xlsx, 1 .eml`."""
    said = [f"{count} {ending}" for ending, count in others.items()]
    return ", ".join([*said[:5], *[f"{len(said) - 5} kinds more"] * (len(said) > 5)])


def _gone(known: Iterable[str], root: Path, files: Iterable[Path]) -> set[str]:
    """Give the documents that are no more; of a folder that cannot be read, nobody knows."""
    there = {path.relative_to(root).as_posix() for path in files}
    above = {name: map(str, PurePosixPath(name).parents) for name in {*known} - there}
    return {name for name, folders in above.items() if there.isdisjoint(folders)}


def _stamp(path: Path) -> str:
    """Give what changes on disk whenever a file or the one beside it does; '' if unknown."""
    try:
        found = path.stat()
        parts = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
        beside = path.with_name(path.name + SIDECAR)
        if beside.exists():
            found = beside.stat()
            parts += [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
    except OSError:
        return ""
    newest = max(parts[1::4] + parts[2::4])
    # a file written in the same tick as it is read could change once more without a trace
    return "" if newest > time.time_ns() - 2_000_000_000 else ":".join(map(str, parts))


def _no_opener(name: str) -> Embedder:
    raise InputError(f"embedder {name}: no worker can open it; sync without workers")


def _progress(files: Sequence[Path], show: bool) -> Iterable[Path]:
    if not show:
        return files
    bar: Iterable[Path] = extras.load("tqdm", "rag").tqdm(files, desc="indexing", unit="file")
    return bar

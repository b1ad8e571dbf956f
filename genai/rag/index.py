"""An index of a folder: full text and vectors over the same passages, kept in step.

Laws: a run reports what it reads back from the store; a new version of a document is in before its
old one is out; a failed document keeps its old version; an unchanged sync embeds nothing; one
writer at a time.
"""

import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from genai import extras
from genai.config import digest
from genai.errors import DocumentError, IndexUnusable, InputError
from genai.models import Embedder
from genai.rag.documents import Document, find_documents, parse, read_source, text_hash
from genai.rag.search import fuse
from genai.rag.split import SPLITTER, IdMaker, split
from genai.rag.store import Store
from genai.rag.vectors import Vectors, best_match, pack
from genai.text.sentences import sentences
from genai.types import Citation, Context, Hit, Passage, new_id

CANDIDATES = 50
_BATCH = 512  # passages embedded and written at a time


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, counted from the store after it. `failed` pairs a document and why."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    passages: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    revision: str = ""


@dataclass(slots=True)
class _Run:
    """What one sync has done so far."""

    before: dict[str, str]
    written: set[str] = field(default_factory=set)
    unchanged: int = 0
    embedded: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


class Index:
    """Passages of a folder's documents, to search. Open it by path with an embedder."""

    def __init__(
        self,
        path: Path,
        embedder: Embedder,
        *,
        max_chars: int = 1000,
        dense_weight: float = 0.5,
        max_megabytes: int = 50,
    ) -> None:
        self.name = path.name
        self._path = path
        self._embedder = embedder
        self._max_chars = max_chars
        self.dense_weight = dense_weight
        self._max_bytes = max_megabytes * 1_000_000
        self.generation = digest([SPLITTER, max_chars, embedder.id])
        self._store = Store(path / "index.db")
        self._vectors: Vectors | None = None
        self._vectors_lock = threading.Lock()
        self._seen = ""

    @property
    def revision(self) -> str:
        """Hash of the corpus as it stands; '' before the first sync."""
        return self._store.get("revision") or ""

    def count(self) -> int:
        """Count passages."""
        return self._store.count()

    def idf(self, stem: str) -> float:
        """Give how telling a stem is in this corpus."""
        return self._store.idf(stem)

    # -- writing ---------------------------------------------------------------------------------

    def sync(
        self,
        folder: Path | str,
        *,
        rebuild: bool = False,
        progress: bool = False,
        wait: float = 0.0,
    ) -> SyncReport:
        """Make the index hold exactly the folder's documents; unchanged ones are not touched.

        `wait` is how many seconds to wait for another process that is writing.

        Raises:
            InputError: no such folder, or no document in it.
            IndexUnusable: another process writes it, or it was built by another embedder.
        """
        root = Path(folder)
        if not root.is_dir():
            raise InputError(f"{folder}: is not a folder; name the folder of your documents")
        with self._lock(wait):
            if rebuild:
                return self._rebuild(root, progress)
            self._own_generation()
            files = find_documents(root)
            run = _Run(self._store.documents())
            if not files:
                hint = "is it mounted? nothing was removed" if run.before else "put some there"
                raise InputError(
                    f"{folder}: holds no .md .html .pdf .docx .txt or .csv file; {hint}"
                )
            self._write(root, _progress(files, progress), run)
            gone = run.before.keys() - {path.relative_to(root).as_posix() for path in files}
            self._store.remove(gone)
            run.embedded += self._mend()
            self._store.put(revision=digest(sorted(self._store.documents().items())))
            return SyncReport(
                added=len(run.written - run.before.keys()),
                changed=len(run.written & run.before.keys()),
                unchanged=run.unchanged,
                removed=len(gone),
                embedded=run.embedded,
                passages=self._store.count(),
                failed=tuple(run.failed),
                revision=self.revision,
            )

    def _write(self, root: Path, files: Iterable[Path], run: _Run) -> None:
        make_id = IdMaker(f"{SPLITTER}:{self._max_chars}")
        batch: list[tuple[Document, list[Passage]]] = []
        for path in files:
            name = path.relative_to(root).as_posix()
            try:
                source = read_source(path, root, self._max_bytes)
                if run.before.get(name) == sha256(source).hexdigest():
                    run.unchanged += 1
                    continue
                document = parse(name, source)
            except DocumentError as error:
                run.failed.append((name, str(error)))
                continue
            batch.append((document, split(document, self._max_chars, make_id)))
            run.written.add(name)
            if sum(len(passages) for _, passages in batch) >= _BATCH:
                run.embedded += self._put(batch)
                batch = []
        run.embedded += self._put(batch)

    def _put(self, batch: list[tuple[Document, list[Passage]]]) -> int:
        """Vectors of new passages first, then the passages: a reader never lacks a vector."""
        known = {key for document, _ in batch for key in self._store.ids(document.path)}
        new = [p for _, passages in batch for p in passages if p.id not in known]
        self._embed(new)
        self._store.replace(batch)
        return len(new)

    def _embed(self, passages: Sequence[Passage]) -> None:
        for first in range(0, len(passages), _BATCH):
            part = passages[first : first + _BATCH]
            cut = [_sentences(p.text) for p in part]
            whole = [f"{p.heading}\n{p.text}" for p in part]
            vectors = self._embedder.embed([*whole, *(each for texts in cut for each in texts)])
            packed, row = {}, len(part)
            for passage, texts in zip(part, cut, strict=True):
                packed[passage.id] = pack(vectors[row : row + len(texts)])
                row += len(texts)
            self._store.put_vectors(packed)
            self._open_vectors().upsert([p.id for p in part], vectors[: len(part)])

    def _mend(self) -> int:
        """Make the vectors' ids equal the manifest's; gives how many were missing."""
        wanted, held, cut = self._store.ids(), self._open_vectors().ids(), self._store.vector_ids()
        missing = sorted(wanted - (held & cut))
        for first in range(0, len(missing), _BATCH):
            part = self._store.passages(missing[first : first + _BATCH])
            self._embed(list(part.values()))
        self._open_vectors().delete(sorted(held - wanted))
        self._store.drop_vectors(cut - wanted)
        return len(missing)

    def _own_generation(self) -> None:
        built = self._store.get("generation")
        if built is None:
            self._store.put(
                version="1",
                generation=self.generation,
                vectors=f"chroma-{new_id()}",
                embedder=self._embedder.id,
                max_chars=str(self._max_chars),
            )
        elif built != self.generation:
            raise IndexUnusable(self._mismatch())

    def _mismatch(self) -> str:
        return (
            f"index {self.name}: was built by embedder {self._store.get('embedder')} with passages"
            f" of {self._store.get('max_chars')} characters, the settings say"
            f" {self._embedder.id} and {self._max_chars}; run `genai index sync --rebuild`"
        )

    def _rebuild(self, root: Path, progress: bool) -> SyncReport:
        """Build beside the old index and change over at the end; a failure keeps the old one."""
        beside, aside = (self._path.with_name(self.name + end) for end in (".new", ".old"))
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
        fresh = Index(
            beside,
            self._embedder,
            max_chars=self._max_chars,
            dense_weight=self.dense_weight,
            max_megabytes=self._max_bytes // 1_000_000,
        )
        try:
            report = fresh.sync(root, progress=progress)
        finally:
            fresh.close()
        self.close()
        self._path.rename(aside)
        beside.rename(self._path)
        shutil.rmtree(aside)
        return report

    @contextmanager
    def _lock(self, wait: float = 0.0) -> Iterator[None]:
        filelock = extras.load("filelock", "rag")
        path = self._path / "write.lock"
        owner = self._path / "write.pid"
        lock = filelock.FileLock(path, timeout=wait)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            pid = owner.read_text() if owner.exists() else "unknown"
            raise IndexUnusable(
                f"index {self.name}: process {pid} is writing it; wait until it ends, then sync"
            ) from error
        try:
            owner.write_text(str(os.getpid()))
            yield
        finally:
            owner.unlink(missing_ok=True)
            lock.release()

    # -- reading ---------------------------------------------------------------------------------

    def search(self, question: str, top_k: int = 6, *, context: Context | None = None) -> list[Hit]:
        """Give the best passages, best first, each with the parts of its score.

        Raises:
            IndexUnusable: never synced, damaged, or built by another embedder.
        """
        if not self.revision:
            raise IndexUnusable(f"index {self.name}: is empty; run `genai index sync` first")
        if self._store.get("generation") != self.generation:
            raise IndexUnusable(self._mismatch())
        lexical = self._store.match(question, CANDIDATES)
        dense = self._near(question, lexical, context) if self.dense_weight else {}
        fused = fuse(lexical, dense, self.dense_weight)
        found = self._store.passages([*fused])
        hits = [
            Hit(found[key], score, lexical.get(key), dense.get(key))
            for key, score in fused.items()
            if key in found  # a vector whose passage is gone waits for the next sync
        ]
        return hits[:top_k]

    def _near(
        self, question: str, lexical: dict[str, float], context: Context | None
    ) -> dict[str, float]:
        """Give the cosine of each candidate's nearest sentence, those of the text search too."""
        vector = self._embedder.embed([question], context)[0]
        if not vector.any():
            return {}
        near = self._open_vectors().nearest(vector, CANDIDATES)
        packed = self._store.vectors(list({*lexical, *near}))
        return {key: best_match(vector, data) for key, data in packed.items()}

    def check(self, citation: Citation) -> bool:
        """Say whether a citation still quotes its document, character for character."""
        found = self._store.document(citation.document)
        if found is None:
            return False
        text, stored = found
        return (
            stored == citation.document_hash == text_hash(text)
            and citation.end <= len(text)
            and text[citation.start : citation.end] == citation.quote != ""
        )

    def state(self) -> str:
        """Say in words whether the index fits these settings."""
        if not self.revision:
            return "never synced; run `genai index sync`"
        built = self._store.get("generation")
        return "up to date" if built == self.generation else self._mismatch()

    def document(self, path: str) -> tuple[str, str] | None:
        """Give a document's (text, hash), as indexed."""
        return self._store.document(path)

    def documents(self) -> list[str]:
        """List the documents held."""
        return sorted(self._store.documents())

    def passages(self, document: str | None = None) -> list[Passage]:
        """List the passages, of one document or of all."""
        return list(self._store.all_passages(document))

    def warm(self) -> None:
        """Load what the first search needs, so that no person waits for it."""
        if self.revision and self._store.get("generation") == self.generation:
            self._embedder.encode(["warm"])
            self._open_vectors()

    def _open_vectors(self) -> Vectors:
        # a name of its own for each build: Chroma keeps what it once opened under a path
        folder = self._store.get("vectors") or "chroma"
        seen = f"{folder} {self.revision}"
        with self._vectors_lock:
            if self._vectors is not None and self._seen != seen:
                self._close_vectors()  # Chroma does not see what another process wrote
            if self._vectors is None:
                self._vectors = Vectors(self._path / folder)
                self._seen = seen
            return self._vectors

    def _close_vectors(self) -> None:
        if self._vectors is not None:
            self._vectors.close()
            self._vectors = None

    def close(self) -> None:
        """Let go of every file."""
        self._close_vectors()
        self._store.close()


def _progress(files: Sequence[Path], show: bool) -> Iterable[Path]:
    if not show:
        return files
    bar: Iterable[Path] = extras.load("tqdm", "rag").tqdm(files, desc="indexing", unit="file")
    return bar


def _sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)] or [text]

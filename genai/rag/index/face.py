"""An index of a folder: full text and vectors over the same passages, searched as one."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from genai.config import IndexSettings, digest, text_hash
from genai.errors import IndexUnusable, InputError
from genai.ledger import merged
from genai.models import Embedder, make_embedder
from genai.rag.index.embed import Open, Workers
from genai.rag.index.find import HELD_BACK, find, owner
from genai.rag.index.generations import Current, Generations
from genai.rag.index.opened import Opened
from genai.rag.index.sync import How, Scan, Sync, SyncReport, look
from genai.rag.index.verify import Findings, mend, verify
from genai.rag.search import Where
from genai.rag.split import Splitting, splitter_id
from genai.rag.store import SCHEMA_VERSION, OldIndex
from genai.types import Citation, Context, Hit, Passage


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation that is kept: what it was built by, and whether it is the one that answers."""

    id: str
    folder: str
    current: bool
    passages: int
    embedder: str
    max_chars: int
    splitter: str
    revision: str


class Index:
    """Passages of a folder's documents, to search. Open it by path with an embedder.

    `scan` says of a passage's text whether it must not be found, `scan_id` which scanner that is.
    `open_embedder` opens an embedder by its address: in a worker, and after a rollback.
    """

    def __init__(
        self,
        path: Path,
        embedder: Embedder,
        settings: IndexSettings | None = None,
        *,
        scan: Scan | None = None,
        scan_id: Callable[[], str] = str,
        open_embedder: Open = make_embedder,
    ) -> None:
        self.name = path.name
        self.settings = settings or IndexSettings()
        self.dense_weight = self.settings.dense_weight
        self._home = Generations(path)
        self.embedder = embedder
        self._open_embedder = open_embedder
        self._scan, self._scan_id = scan, scan_id
        self._splitting = Splitting.from_settings(self.settings)
        self._held: Opened | None = None
        self._guard = threading.RLock()

    @property
    def generation(self) -> str:
        """Hash of splitter, embedder and parameters of what answers; '' before the first sync."""
        return self._home.current().folder.rpartition("-")[0]

    @property
    def revision(self) -> str:
        """Hash of the corpus as it stands; '' before the first sync."""
        opened = self._current()
        return (opened.store.get("revision") or "") if opened else ""

    def wanted(self) -> str:
        """Give the generation that the settings ask for."""
        parts = [splitter_id(self._splitting), self.embedder.id, self.settings.tenants]
        return digest([SCHEMA_VERSION, *parts])

    # -- writing ---------------------------------------------------------------------------------

    def sync(
        self,
        folder: Path | str,
        *,
        rebuild: bool = False,
        erase: bool = False,
        prune: bool = False,
        progress: bool = False,
        wait: float = 0.0,
        workers: Workers | int = 0,
    ) -> SyncReport:
        """Make the index hold exactly the folder's documents; unchanged ones are not touched.

        Settings that cut or embed otherwise lead to a new generation, built beside and switched to
        when it is whole. `rebuild` builds one in any case; `erase` does too and keeps no older one,
        so that of a document that is gone no byte stays in the index's folder. `prune` removes
        documents even where most are gone. `wait` is how many seconds to wait for another process
        that is writing. `workers` embed: a number of processes, or `Workers(ray=ADDRESS)`.

        Raises:
            InputError: no such folder, no document in it, or most documents are gone.
            IndexUnusable: another process writes it.
        """
        root = Path(folder)
        who = workers if isinstance(workers, Workers) else Workers(workers)
        with self._home.lock(wait):
            rebuild = rebuild or erase
            now = None if rebuild else self._current()
            files = look(root, now.store.documents() if now else (), prune=prune)
            target, how = self._target(now, rebuild)
            into = now if now and now.folder == target else self._begin(target, how)
            try:
                report = Sync(into, how, who).run(root, files, progress=progress)
                into.settle()
            finally:
                if into is not now:
                    into.close()
            self._switch(target, keep=not erase)
        return replace(report, generation=self.generation)

    def _target(self, now: Opened | None, rebuild: bool) -> tuple[str, How]:
        """Choose the folder to write, and what it is written by."""
        how = How(
            self.embedder, self._splitting, self.settings.tenants,
            self.settings.max_megabytes * 1_000_000, self._scan, self._scan_id(),
            self._open_embedder,
        )  # fmt: skip
        wanted = self.wanted()
        if now and self._home.current().back_from == wanted:  # rolled back, and the settings stay
            embedder = self._own_embedder(now, self._open_embedder)
            return now.folder, replace(how, embedder=embedder, splitting=now.splitting)
        if rebuild:
            return self._home.fresh(wanted), how
        if now and now.generation == wanted:
            return now.folder, how
        return self._home.unfinished(wanted, now.folder if now else "") or self._home.fresh(
            wanted
        ), how

    def _begin(self, folder: str, how: How) -> Opened:
        return Opened.begun(
            self._home.file(folder), self.settings.server, how.embedder, how.splitting, how.tenants
        )

    def _switch(self, folder: str, *, keep: bool) -> None:
        """Make a folder the current one, keep the one before it if asked to, remove the others."""
        try:
            before = self._home.current()
        except IndexUnusable:  # the rebuild that mends it
            before = Current()
        if before.folder == folder:
            after = before if before.back_from == self.wanted() else replace(before, back_from="")
        else:
            kept = keep and before.folder in self._home.folders() and self._opens(before.folder)
            after = Current(folder, before.folder if kept else "")
        if after != before:
            self._home.switch(after)
            self.close()
        for old in set(self._home.folders()) - {after.folder, after.previous}:
            with suppress(IndexUnusable):
                self._open(old).drop_graph()
            self._home.remove(old)

    def rollback(self, generation: str = "") -> Generation:
        """Let the generation before answer again, or the one named.

        A later sync goes on with it until the settings ask for yet another one; a rebuild leaves
        it. To roll back once more goes forward again.

        Raises:
            InputError: there is none to go back to.
            IndexUnusable: it is damaged, or another process writes the index.
        """
        with self._home.lock():
            current = self._home.current()
            found = [
                each for each in self.generations()
                if not each.current and each.revision
                and (each.id.startswith(generation) if generation
                     else each.folder == current.previous)
            ]  # fmt: skip
            if len(found) != 1:
                kept = ", ".join(each.id for each in self.generations() if not each.current)
                raise InputError(
                    f"index {self.name}: no generation {generation or 'before this one'} is kept;"
                    f" kept: {kept or 'none'}"
                )
            opened = self._open(found[0].folder)
            self._own_embedder(opened, self._open_embedder)
            opened.close()
            wanted = self.wanted()
            back_from = "" if found[0].id == wanted else wanted
            self._home.switch(Current(found[0].folder, current.folder, back_from))
            self.close()
        return replace(found[0], current=True)

    def generations(self) -> list[Generation]:
        """List the generations that are kept, the newest last."""
        current = self._home.current().folder
        found = []
        for folder in self._home.folders():
            opened = self._open(folder)
            splitting = opened.splitting
            found.append(
                Generation(
                    opened.generation, folder, folder == current, opened.store.count(),
                    opened.store.get("embedder") or "", splitting.max_chars, splitting.splitter,
                    opened.store.get("revision") or "",
                )
            )  # fmt: skip
            opened.close()
        return found

    def verify(self, *, repair: bool = False) -> Findings:
        """Compare manifest, full text, vectors and graph; with `repair` mend what differs.

        Raises:
            IndexUnusable: never synced, or what is damaged can only be built again.
        """
        with self._home.lock():
            opened = self._answering()
            found = verify(opened)
            if found.sound or not repair:
                return found
            embedder = self._own_embedder(opened, self._open_embedder)
            how = How(embedder, opened.splitting, opened.tenants, 0)
            mend(opened, found, Sync(opened, how, Workers()).embed)
            opened.settle()
            return replace(verify(opened), repaired=True)

    # -- reading ---------------------------------------------------------------------------------

    def search(
        self,
        question: str,
        top_k: int = 6,
        *,
        where: Where | None = None,
        tenant: str = "",
        context: Context | None = None,
    ) -> list[Hit]:
        """Give the best passages, best first, each with the parts of its score.

        `where` says which passages may be found. Once the index has tenants, `tenant` (or that of
        the context) must be given, and only its documents are seen.

        Raises:
            IndexUnusable: never synced, damaged, or built by another embedder.
            InputError: a tenant is missing, or a filter does not fit the metadata.
        """
        opened = self._answering()
        whose = self._owner(opened, tenant, context)
        vector = None
        if self.dense_weight:
            embedder = self._own_embedder(opened, self._reopen())
            vector = embedder.embed([question], context)[0]
            opened.check_width(len(vector), embedder)
        return find(
            opened, question, vector if vector is not None and vector.any() else None,
            weight=self.dense_weight, top_k=top_k, where=where, tenant=whose,
        )  # fmt: skip

    def held_back(
        self, question: str, top_k: int = 6, *, tenant: str = "", context: Context | None = None
    ) -> list[Hit]:
        """Give the quarantined passages that a question's words would find, for a person to see."""
        opened = self._answering()
        if not opened.store.count(quarantined=True):
            return []
        whose = self._owner(opened, tenant, context)
        return find(opened, question, None, weight=0, top_k=top_k, where=HELD_BACK, tenant=whose)

    def _owner(self, opened: Opened, tenant: str, context: Context | None) -> str | None:
        around = merged(context).tenant
        return owner(opened, self.name, self.settings.tenants, tenant, around)

    def idf(self, stem: str) -> float:
        """Give how telling a stem is in this corpus."""
        return self._answering().view().idf(stem)

    def check(self, citation: Citation) -> bool:
        """Say whether a citation still quotes its document, character for character."""
        found = self.document(citation.document)
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
        opened = self._current()
        if opened is None or not opened.store.get("revision"):
            return "never synced; run `genai index sync`"
        if opened.generation == self.wanted():
            return "up to date"
        if self._home.current().back_from == self.wanted():
            return f"rolled back to {opened.generation}; `genai index sync --rebuild` leaves it"
        return (
            f"built by embedder {opened.store.get('embedder')} with passages of"
            f" {opened.splitting.max_chars} characters, the settings ask for another generation;"
            " run `genai index sync`"
        )

    def count(self) -> int:
        """Count passages."""
        opened = self._current()
        return opened.store.count() if opened else 0

    def document(self, path: str) -> tuple[str, str] | None:
        """Give a document's (text, hash), as indexed; whosever it is."""
        opened = self._current()
        return opened.store.document(path) if opened else None

    def documents(self) -> list[str]:
        """List the documents held, of every tenant."""
        opened = self._current()
        return sorted(opened.store.documents()) if opened else []

    def metadata(self, document: str) -> dict[str, list[float | str | None]]:
        """Give a document's own metadata."""
        opened = self._current()
        return opened.store.metadata(document) if opened else {}

    def passages(self, document: str | None = None) -> list[Passage]:
        """List the passages, of one document or of all, the quarantined too."""
        opened = self._current()
        return list(opened.store.all_passages(document)) if opened else []

    def quarantined(self) -> list[Passage]:
        """List the passages that the scan holds back: kept, and never found."""
        opened = self._current()
        return list(opened.store.all_passages(quarantined=True)) if opened else []

    def warm(self) -> None:
        """Load what the first search needs, so that no person waits for it."""
        opened = self._current()
        if opened is not None and opened.store.get("revision"):
            embedder = self._own_embedder(opened, self._reopen())
            opened.view().warm(embedder.dimension)
            if opened.has_graph():
                opened.graph().nearest(embedder.encode(["warm"])[0], 1)

    # -- what is open ----------------------------------------------------------------------------

    def _own_embedder(self, opened: Opened, opener: Open | None) -> Embedder:
        return opened.own_embedder(self.embedder, opener, self.settings.max_chars)

    def _reopen(self) -> Open | None:
        """Give the way to open another embedder, which is right after a roll back alone."""
        return self._open_embedder if self._home.current().back_from else None

    def _open(self, folder: str) -> Opened:
        return Opened(self._home.file(folder), self.settings.server)

    def _opens(self, folder: str) -> bool:
        try:
            self._open(folder).close()
        except IndexUnusable:  # damaged or of an older layout: nobody can go back to it
            return False
        return True

    def _current(self) -> Opened | None:
        """Open the folder that answers now; None before the first sync."""
        folder = self._home.current().folder
        with self._guard:
            if self._held is not None and self._held.folder != folder:
                self._held = None  # another thread may still read it, so it is not closed
            if self._held is None and folder:
                if self._home.file(folder).is_file():
                    with suppress(OldIndex):  # as if there were none; `_answering` says what to do
                        self._held = self._open(folder)
                if self._home.current().folder != folder:  # a sync took it away meanwhile
                    return self._current()
            return self._held

    def _answering(self) -> Opened:
        opened = self._current()
        if opened is not None and opened.store.get("revision"):
            return opened
        old = opened is None and self._home.current().folder
        said = "was written by an older genai; run `genai index sync`" if old else (
            "is empty; run `genai index sync` first"
        )  # fmt: skip
        raise IndexUnusable(f"index {self.name}: {said}")

    def close(self) -> None:
        """Let go of every file."""
        with self._guard:
            if self._held is not None:
                self._held.close()
                self._held = None

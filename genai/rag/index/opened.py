"""One generation, open: its store, what a search needs in memory, and its graph."""

import json
import re
import shutil
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from genai.errors import IndexUnusable, ModelError
from genai.models import Embedder
from genai.rag import vectors
from genai.rag.index.embed import Open
from genai.rag.search import View
from genai.rag.split import Splitting
from genai.rag.store import SCHEMA_VERSION, Store
from genai.types import new_id

BEHIND = "behind"  # what the store says of its graph while vectors go in


class Opened:
    """A generation's folder, its facts read back from its store."""

    def __init__(self, file: Path, server: str) -> None:
        self.folder = file.parent.name
        self.store = Store(file)
        self._path = file.parent
        self._server = server
        self._view: View | None = None
        self._graph: vectors.Graph | None = None
        self._mark = ""
        self._lock = threading.RLock()

    @classmethod
    def begun(
        cls, file: Path, server: str, embedder: Embedder, splitting: Splitting, tenants: bool
    ) -> "Opened":
        """Open a folder to build a generation in; one already begun is gone on with."""
        opened = cls(file, server)
        if opened.store.get("generation") is None:
            opened.store.put(
                version=str(SCHEMA_VERSION),
                generation=opened.generation,
                embedder=embedder.address,
                embedder_id=embedder.id,
                splitting=json.dumps(asdict(splitting), sort_keys=True),
                tenants="1" if tenants else "0",
            )
        return opened

    @property
    def generation(self) -> str:
        """Hash of splitter, embedder and parameters."""
        return self.folder.rpartition("-")[0]

    @property
    def splitting(self) -> Splitting:
        """Say how its documents were cut."""
        return Splitting(**json.loads(self.store.get("splitting") or "{}"))

    @property
    def tenants(self) -> bool:
        """Say whether its documents belong to tenants."""
        return self.store.get("tenants") == "1"

    def own_embedder(self, given: Embedder, opener: Open | None, max_chars: int) -> Embedder:
        """Give the embedder it was built by: the given one, or one opened by its address.

        Raises:
            IndexUnusable: it was built by another one.
        """
        built = self.store.get("embedder_id")
        if built == given.id:
            return given
        if opener is not None:
            with suppress(ModelError):
                embedder = opener(self.store.get("embedder") or "")
                if built == embedder.id:
                    return embedder
        raise IndexUnusable(
            f"index {self._path.parent.name}: was built by embedder {built} with passages of"
            f" {self.splitting.max_chars} characters, the settings say {given.id} and {max_chars};"
            " run `genai index sync`"
        )

    def check_width(self, columns: int, embedder: Embedder) -> None:
        """Hold an embedder to the number of columns it gave first; note them if it is the first.

        Raises:
            IndexUnusable: it gives another number now.
        """
        held = self.store.get("dimension")
        if held is None:
            self.store.put(dimension=str(columns))
        elif int(held) != columns:
            raise IndexUnusable(
                f"embedder {embedder.name}: gave {columns} dimensions, the index has {held}; mend"
                " it, or run `genai index sync --rebuild`"
            )

    def view(self) -> View:
        """Give what a search needs in memory, of the store as it is now."""
        state = self.store.get("writes") or ""
        with self._lock:
            if self._view is None or self._view.state != state:
                self._view = View(self.store, state)
            return self._view

    # -- the graph -------------------------------------------------------------------------------

    def wants_graph(self) -> bool:
        """Say whether a graph is kept: on a server always, else where there is much to search."""
        return bool(self._server) or self.store.count() >= vectors.EXACT_BELOW

    def has_graph(self) -> bool:
        """Say whether there is a graph in step with the store."""
        return self.store.get("graph") not in (None, "", BEHIND) and self.wants_graph()

    def graph(self) -> vectors.Graph:
        """Open the graph, again if it was written since: Chroma does not see what others wrote."""
        mark = f"{self.store.get('graph')} {self.graph_name()}"
        with self._lock:
            if self._graph is not None and mark != self._mark and not self._server:
                self._graph.close()
                self._graph = None
            if self._graph is None:
                name = self.graph_name()
                self._graph = vectors.open_graph(self._server, self._path / name, name)
            self._mark = mark
            return self._graph

    def graph_name(self) -> str:
        """Give the graph's own name, on any server and under any path unlike every other."""
        name = self.store.get("graph_name")
        if name is None:
            short = re.sub(r"[^A-Za-z0-9]+", "-", self._path.parent.name).strip("-")[:40]
            name = f"genai-{short}-{new_id()}"
            self.store.put(graph_name=name)
        return name

    def settle(self) -> None:
        """Leave files that hold what the index holds and nothing else, after the last write."""
        self.store.settle()
        if self._server or self.store.get("graph_name") is None:
            return
        from genai.rag.vectors.chroma import blank

        blank(self._path / self.graph_name())

    def drop_graph(self) -> None:
        """Remove the graph, if there is one; the next has another name."""
        if self.store.get("graph_name") is None:
            return
        with suppress(IndexUnusable):  # what cannot be opened is left behind
            self.graph().drop()
        self._close_graph()
        shutil.rmtree(self._path / self.graph_name(), ignore_errors=True)
        self.store.put(graph="", graph_name=f"{self.graph_name().rpartition('-')[0]}-{new_id()}")

    def _close_graph(self) -> None:
        with self._lock:
            if self._graph is not None:
                self._graph.close()
                self._graph = None

    def close(self) -> None:
        """Let go of every file."""
        self._close_graph()
        self._view = None
        self.store.close()

"""A graph in Chroma: in the generation's own folder, or on a Chroma server.

Chroma would download a model when given no function and would build a stored one when its
configuration is read, so this file passes vectors only and reads `configuration_json` alone. Of
the two servers only the one written in Rust (`chroma run`) is spoken to: the Python one builds
what a client's configuration names, code included, before anyone logs in (CVE-2026-45829).
"""

import ipaddress
import json
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from genai import extras
from genai.errors import IndexUnusable, InputError

if TYPE_CHECKING:
    from genai.models.embed import Vectors as Matrix

# measured at 100,000 passages: recall@10 .995 and more; 16 neighbours and ef 100 give .90
_HNSW = {"space": "cosine", "max_neighbors": 32, "ef_construction": 200, "ef_search": 800}
_RUST = "1.0.0"  # the version the Rust server says of itself; the Python one says chromadb's


class Chroma:
    """One Chroma collection."""

    def __init__(self, place: str, name: str, connect: Callable[[Any], Any]) -> None:
        self._place = place
        self._name = name
        chromadb = extras.load("chromadb", "rag")
        try:
            self._client = connect(chromadb)
            self._collection: Any = self._client.get_or_create_collection(
                name, configuration={"hnsw": _HNSW}, embedding_function=None
            )
            stored = self._collection.configuration_json
        except IndexUnusable:
            raise
        except Exception as error:  # Chroma raises many kinds for a foreign or damaged folder
            said = str(error).splitlines()[0] if str(error) else ""
            raise IndexUnusable(
                f"{place}: Chroma cannot open it ({type(error).__name__}: {said}); nothing was"
                " changed; run `genai index verify --repair`"
            ) from error
        function = stored.get("embedding_function")
        if function not in (None, {"type": "legacy"}):
            raise IndexUnusable(
                f"{place}: names an embedding function, which this project never stores;"
                " do not use an index from an unknown source"
            )
        if stored.get("hnsw", {}).get("space") != "cosine":
            raise IndexUnusable(
                f"{place}: was not built by cosine; run `genai index verify --repair`"
            )

    @classmethod
    def in_folder(cls, folder: Path) -> "Chroma":
        """Open the graph kept in a generation's folder; nobody else may write there."""

        def connect(chromadb: Any) -> Any:
            settings = chromadb.config.Settings(anonymized_telemetry=False)
            return chromadb.PersistentClient(str(folder), settings=settings)

        return cls(str(folder), "passages", connect)

    @classmethod
    def on_server(cls, url: str, name: str) -> "Chroma":
        """Open a collection on a Chroma server (`chroma run`).

        Raises:
            IndexUnusable: no server there, or it is the Python one.
            InputError: not a plain address of this machine or of a proxy with TLS.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise InputError(
                f"`index.server`: {url!r} is no address; use http://127.0.0.1:8000 or postgresql://"
            )
        if parts.scheme == "http" and not _loopback(parts.hostname):
            raise InputError(
                f"`index.server`: {parts.hostname} is another machine, and a Chroma server asks"
                " for no password; put a proxy with TLS before it and use https://"
            )
        _refuse_python_server(f"{parts.scheme}://{parts.netloc}")

        def connect(chromadb: Any) -> Any:
            settings = chromadb.config.Settings(anonymized_telemetry=False)
            return chromadb.HttpClient(
                parts.hostname, parts.port or (443 if parts.scheme == "https" else 80),
                ssl=parts.scheme == "https", settings=settings,
            )  # fmt: skip

        return cls(f"{parts.scheme}://{parts.netloc} {name}", name, connect)

    def upsert(self, ids: Sequence[str], vectors: "Matrix") -> None:
        """Add or replace vectors, in batches that Chroma takes."""
        step = self._client.get_max_batch_size()
        for first in range(0, len(ids), step):
            self._collection.upsert(
                ids=list(ids[first : first + step]), embeddings=vectors[first : first + step]
            )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove vectors; unknown ids are ignored."""
        step = self._client.get_max_batch_size()
        for first in range(0, len(ids), step):
            self._collection.delete(ids=list(ids[first : first + step]))

    def ids(self) -> set[str]:
        """Give every id that has a vector."""
        return set(self._collection.get(include=[])["ids"])

    def count(self) -> int:
        """Count the vectors."""
        return int(self._collection.count())

    def nearest(self, vector: "Matrix", limit: int) -> list[str]:
        """Give the ids of the nearest passages, best first."""
        limit = min(limit, self._collection.count())
        if limit == 0:
            return []
        found = self._collection.query(query_embeddings=[vector], n_results=limit, include=[])
        return list(found["ids"][0])

    def drop(self) -> None:
        """Remove the collection."""
        self._client.delete_collection(self._name)

    def close(self) -> None:
        """Let go of the files; without it a later client may write to a removed folder."""
        self._client.close()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_python_server(base: str) -> None:
    """Ask a server which it is before anything is sent to it."""
    try:
        with urllib.request.urlopen(f"{base}/api/v2/version", timeout=5) as reply:
            version, software = json.loads(reply.read(1000)), reply.headers.get("server", "")
        with urllib.request.urlopen(f"{base}/api/v2/heartbeat", timeout=5) as reply:
            beats = "nanosecond heartbeat" in json.loads(reply.read(1000))
    except (OSError, ValueError) as error:
        raise IndexUnusable(
            f"{base}: no Chroma server answers there ({error}); start one: chroma run --path"
            " FOLDER --host 127.0.0.1"
        ) from error
    if version != _RUST or software.startswith("uvicorn") or not beats:
        raise IndexUnusable(
            f"{base}: is not Chroma's Rust server (it says version {version!r}); the Python server"
            " runs code that a client names (CVE-2026-45829); start the other: chroma run"
        )

"""A graph on a Chroma server, over its HTTP interface.

Of the two servers only the one written in Rust (`chroma run`) is spoken to: the Python one builds
what a client's configuration names, code included, before anyone logs in (CVE-2026-45829). Neither
asks for a password, so plain HTTP stays on this machine.
"""

import http.client
import ipaddress
import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from genai.errors import IndexUnusable, InputError
from genai.rag.vectors.chroma import HNSW, refuse_foreign

if TYPE_CHECKING:
    from genai.models.embed import Vectors as Matrix

_RUST = "1.0.0"  # the version the Rust server says of itself; the Python one says chromadb's
_BASE = "/api/v2/tenants/default_tenant/databases/default_database/collections"
_PAGE = 10_000
_TIMEOUT = 60


class ServedChroma:
    """One collection on a server."""

    def __init__(self, url: str, name: str) -> None:
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
        self._place = f"{parts.scheme}://{parts.hostname}:{parts.port or ''}".rstrip(":")
        self._name = name
        self._lock = threading.Lock()
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT)
        try:
            self._refuse_python_server()
            self._step = int(self._ask("GET", "/api/v2/pre-flight-checks")["max_batch_size"])
            body = {"name": name, "get_or_create": True, "configuration": {"hnsw": HNSW}}
            made = self._ask("POST", _BASE, body)
            refuse_foreign(made["configuration_json"], f"{self._place} {name}")
        except BaseException:
            self.close()
            raise
        self._path = f"{_BASE}/{made['id']}"

    def upsert(self, ids: Sequence[str], vectors: "Matrix") -> None:
        """Add or replace vectors, in batches that the server takes."""
        for first in range(0, len(ids), self._step):
            part = slice(first, first + self._step)
            body = {"ids": list(ids[part]), "embeddings": vectors[part].tolist()}
            self._ask("POST", f"{self._path}/upsert", body)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove vectors; unknown ids are ignored."""
        for first in range(0, len(ids), self._step):
            self._ask(
                "POST", f"{self._path}/delete", {"ids": list(ids[first : first + self._step])}
            )

    def ids(self) -> set[str]:
        """Give every id that has a vector."""
        found: set[str] = set()
        while True:
            body = {"include": [], "limit": _PAGE, "offset": len(found)}
            page = self._ask("POST", f"{self._path}/get", body)["ids"]
            found.update(page)
            if len(page) < _PAGE:
                return found

    def count(self) -> int:
        """Count the vectors."""
        return int(self._ask("GET", f"{self._path}/count"))

    def nearest(self, vector: "Matrix", limit: int) -> list[str]:
        """Give the ids of the nearest passages, best first."""
        body = {"query_embeddings": [vector.tolist()], "n_results": limit, "include": []}
        return list(self._ask("POST", f"{self._path}/query", body)["ids"][0])

    def drop(self) -> None:
        """Remove the collection."""
        self._ask("DELETE", f"{_BASE}/{self._name}")

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _refuse_python_server(self) -> None:
        """Ask a server which it is before anything is sent to it."""
        version = self._ask("GET", "/api/v2/version")
        beats = self._ask("GET", "/api/v2/heartbeat")
        if version != _RUST or self._software.startswith("uvicorn") or not isinstance(beats, dict):
            raise IndexUnusable(
                f"{self._place}: is not Chroma's Rust server (it says version {version!r}); the"
                " Python server runs code that a client names (CVE-2026-45829); start the other:"
                " chroma run"
            )

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        try:
            with self._lock:
                try:
                    self._connection.request(method, path, data, headers)
                    reply = self._connection.getresponse()
                except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                    self._connection.close()  # it was idle for long; every request can be repeated
                    self._connection.request(method, path, data, headers)
                    reply = self._connection.getresponse()
                text, self._software = reply.read(), reply.headers.get("server", "")
            found = json.loads(text or b"null")
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._connection.close()
            raise IndexUnusable(
                f"{self._place}: no Chroma server answers there ({error}); start one: chroma run"
                " --path FOLDER --host 127.0.0.1"
            ) from error
        if reply.status >= 300:
            said = found.get("message", "") if isinstance(found, dict) else ""
            raise IndexUnusable(
                f"{self._place}: Chroma refused ({reply.status} {str(said)[:200]!r}); run"
                " `genai index verify --repair`"
            )
        return found


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""A real MLflow server on loopback, and what stands in a store."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from servers import free_port

from genai.tracking import Record, Store

AT = 1_790_000_000.0
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
RECORD = Record(
    "eval/sums/r1", "sums", "r1", {"prompt_hash": "ba286c04d1f7", "seed": "3"},
    {"genai.kind": "eval"}, [("exact", 0.5, 0, AT), ("exact.low", 0.4, 0, AT)],
)  # fmt: skip


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(store.folder / "mlflow.db") as db:
        return db.execute(query).fetchall()


class Server:
    """A real MLflow server on loopback."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder, self.url = folder, f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port",
            str(self.port), "--workers", "1", "--backend-store-uri",
            f"sqlite:///{self.folder / 'server.db'}", "--artifacts-destination",
            str(self.folder / "artifacts"),
        ]  # fmt: skip
        # its runner of jobs has no part in tracking and takes as long to start as all the rest
        around = {**os.environ, **QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("ab") as said:
            self.process = subprocess.Popen(
                command, env=around, stdout=said, stderr=said, start_new_session=True
            )
        for _ in range(2400):  # imports alone take a minute on a machine that is busy
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "server.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(30)
            self.process = None


@contextmanager
def front(url: str, artefacts: bool = True) -> Iterator[str]:
    """Stand before a server, or be the proxy to it: every request is passed on to `url`.

    Without `artefacts` it refuses them for their size, as web servers before MLflow do.
    """

    class Pass(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path[self.path.index("/", 8) :] if "://" in self.path else self.path
            request = urllib.request.Request(f"{url}{path}", body or None, method=self.command)
            for name in ("Content-Type", "Accept"):
                if name in self.headers:
                    request.add_header(name, self.headers[name])
            refused = not artefacts and "mlflow-artifacts" in path
            try:
                code, said = (413, b"") if refused else _asked(request)
            except OSError:
                code, said = 502, b""
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pass) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _asked(request: urllib.request.Request) -> tuple[int, bytes]:
    plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with plain.open(request, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()

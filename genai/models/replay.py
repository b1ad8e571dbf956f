"""Replay: replies kept by everything that shaped them, so that tests need no network.

SQLite with JSON, no pickle; many processes may read and write one file. The key covers provider,
model, URL or version, every message, every parameter, tools and schema, and which repeat it is.
"""

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genai.errors import InputError, Unmeasured
from genai.ledger.context import occurrence
from genai.models.base import Delta, ToolPiece
from genai.types import Call, Message, Usage

if TYPE_CHECKING:
    from genai.models.attempts import Plan, Target
Mode = Literal["off", "record", "replay", "refresh"]
_TABLE = "CREATE TABLE IF NOT EXISTS reply (key TEXT PRIMARY KEY, at REAL, body TEXT NOT NULL)"
_PATIENCE = 10.0  # seconds to wait for other processes
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str)


class Replay:
    """A store of replies.

    `record` asks and keeps, and gives what it has; `refresh` asks always and keeps; `replay`
    never asks: a reply it does not have raises `Unmeasured`. Repeats of one request in a run get
    their own replies, in order; `begin()` starts a run.
    """

    def __init__(self, path: Path, mode: Mode) -> None:
        self.path = path
        self.mode = mode
        self._lock = threading.Lock()
        self._repeats: Counter[str] = Counter()
        self._db: sqlite3.Connection | None = None
        self._opened_by = 0

    def begin(self) -> None:
        """Count repeats from the start again."""
        with self._lock:
            self._repeats.clear()

    def find(
        self, plan: "Plan", target: "Target", params: Mapping[str, Any]
    ) -> tuple[str, list[Delta] | None]:
        """Give the key of a request and the reply kept for it. Raises `Unmeasured`."""
        key = self._key(plan, target, params)
        if self.mode == "refresh":
            return key, None
        kept = self._read(key)
        if kept is None and self.mode == "replay":
            raise Unmeasured(
                f"model {target.name}: no recorded reply in {self.path.name} for this request;"
                " run once with GENAI_REPLAY_MODE=record and a key"
            )
        return key, kept

    def has(self, plan: "Plan", target: "Target", params: Mapping[str, Any]) -> bool:
        """Say whether this is a replay that has a model's reply to a request."""
        return self.mode == "replay" and self._read(self._key(plan, target, params)) is not None

    def _key(self, plan: "Plan", target: "Target", params: Mapping[str, Any]) -> str:
        if not plan.repeat:  # of a call: a retry and a fallback answer the same one
            plan.repeat = self._repeat(key_of("", "", plan.identity, plan.messages, plan.given))
        base = key_of(target.kind, target.name, target.place, plan.messages, params)
        return f"{base}-{plan.repeat}"

    def _repeat(self, asked: str) -> str:
        repeat = occurrence(asked)
        if repeat is None:
            with self._lock:
                repeat = str(self._repeats[asked])
                self._repeats[asked] += 1
        return repeat

    def keep(self, key: str, reply: Delta, call: Call) -> None:
        """Keep a reply."""
        usage = reply.usage
        body = {
            "text": reply.text,
            "tools": [asdict(piece) for piece in reply.tools],
            "usage": None if usage is None else asdict(usage),
            "finish_reason": call.finish_reason,
            "model": call.response_model,
            "request_id": call.request_id,
            "tier": call.served_tier,
            "refusal": reply.refusal,
            "logprobs": reply.logprobs,
        }
        word = "REPLACE" if self.mode == "refresh" else "INSERT OR IGNORE"  # the first one counts
        with self._lock:
            db = self._open()
            try:
                db.execute(
                    f"{word} INTO reply VALUES (?, ?, ?)", (key, time.time(), json.dumps(body))
                )
            except sqlite3.Error as error:
                raise self._unusable(error) from error

    def _read(self, key: str) -> list[Delta] | None:
        if self._db is None and not self.path.exists():
            return None
        with self._lock:
            db = self._open()
            try:
                row = db.execute("SELECT body FROM reply WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                raise self._unusable(error) from error
        if row is None:
            return None
        try:
            body = json.loads(row[0])
            usage = body.pop("usage")
            if usage is not None:
                usage = Usage(**{**usage, "fees": tuple(map(tuple, usage["fees"]))})
            tools = tuple(ToolPiece(**piece) for piece in body.pop("tools"))
            body["logprobs"] = tuple(body.get("logprobs", ()))
            whole = Delta(usage=usage, tools=tools, **body)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{self.path}: a recorded reply is damaged ({type(error).__name__}); record it"
                " again with GENAI_REPLAY_MODE=refresh"
            ) from error
        return [
            replace(whole, usage=None, finish_reason=""),
            replace(whole, text="", tools=(), refusal="", logprobs=()),
        ]

    def _open(self) -> sqlite3.Connection:
        """Give this process's connection; one that crossed a fork is left alone."""
        if self._db is not None and self._opened_by == os.getpid():
            return self._db
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            _prepare(db)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        self._db, self._opened_by = db, os.getpid()
        return db

    def _unusable(self, error: Exception) -> InputError:
        return InputError(
            f"{self.path}: the replay store cannot be used ({error}); move it away or set"
            " `replay.path`"
        )


def _prepare(db: sqlite3.Connection) -> None:
    """Set a store up. SQLite does not wait by itself where two processes turn a new file to WAL."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(_TABLE)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def key_of(
    provider: str, name: str, url: str, messages: Sequence[Message], params: Mapping[str, Any]
) -> str:
    """Hash everything that shapes a reply; the order of parameters does not."""
    from genai.models.wire import as_dict

    whole = [provider, name, url, [as_dict(message) for message in messages], dict(params)]
    return hashlib.sha256(_CANONICAL.encode(whole).encode()).hexdigest()[:40]

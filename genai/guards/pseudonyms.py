"""Stand-ins for personal data that can be turned back, for the person who may see them.

A stand-in is a keyed hash of scope, kind and value, so the same value has the same stand-in in
every turn, document and stream piece of a scope (a tenant, say), and another in any other scope.
The values are sealed with a key that is not in the table: HMAC-SHA256 as a stream cipher with a
fresh nonce, and a tag over nonce and text. Nobody but those who said a value, and those who were
permitted a scope, gets one back.
"""

import base64
import hashlib
import hmac
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from genai.guards.base import Scope
from genai.types import Place, Span

FORM = re.compile(r"\[[A-Z]{2,12}_[A-Z2-7]{10}\]")
LONGEST = 26  # characters of the longest stand-in
_DAY = 86_400
_TABLES = """
CREATE TABLE IF NOT EXISTS hidden (
  name TEXT NOT NULL, scope TEXT NOT NULL, sealed BLOB NOT NULL, until REAL NOT NULL,
  PRIMARY KEY (name, scope));
CREATE TABLE IF NOT EXISTS said (
  name TEXT NOT NULL, scope TEXT NOT NULL, reader TEXT NOT NULL,
  PRIMARY KEY (name, scope, reader));
CREATE TABLE IF NOT EXISTS permitted (
  scope TEXT NOT NULL, reader TEXT NOT NULL, PRIMARY KEY (scope, reader));
"""


class Pseudonyms:
    """Hides values and gives them back. Thread-safe; in memory, or in a file that stays.

    Raises:
        ValueError: the key is shorter than 32 bytes.
    """

    def __init__(
        self, key: bytes | None = None, path: Path | None = None, *, days: float = 30
    ) -> None:
        """Open the table. Without a key it is a fresh one, and ends with this object."""
        if key is not None and len(key) < 32:
            raise ValueError("a key needs 32 bytes; make one with `secrets.token_bytes(32)`")
        self._key = key or secrets.token_bytes(32)
        self._seconds = days * _DAY
        self._lock = threading.Lock()
        self._table = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30
        )
        self._table.executescript("PRAGMA secure_delete=ON;" + _TABLES)

    def hide(self, value: str, kind: str, scope: str = "", reader: str = "") -> str:
        """Give the stand-in of a value; `reader`, who said it, may have it back."""
        canonical = " ".join(value.split()).casefold() if kind in ("email", "name") else value
        whole = "\x1f".join((scope, kind, canonical))
        name = base64.b32encode(self._mac(b"name", whole.encode("utf-8", "surrogatepass")))[:10]
        label = re.sub("[^A-Z]", "", kind.upper())[:12] or "VALUE"
        stand_in = f"[{label if len(label) > 1 else 'VALUE'}_{name.decode()}]"
        with self._lock:
            known = self._table.execute(
                "SELECT 1 FROM hidden WHERE name = ? AND scope = ? AND until > ?",
                (stand_in, scope, time.time()),
            ).fetchone()
            until = time.time() + self._seconds
            if known:
                self._table.execute(
                    "UPDATE hidden SET until = ? WHERE name = ? AND scope = ?",
                    (until, stand_in, scope),
                )
            else:
                self._table.execute(
                    "REPLACE INTO hidden VALUES (?, ?, ?, ?)",
                    (stand_in, scope, self._seal(value, stand_in), until),
                )
            if reader:
                self._table.execute(
                    "INSERT OR IGNORE INTO said VALUES (?, ?, ?)", (stand_in, scope, reader)
                )
        return stand_in

    def permit(self, reader: str, scope: str) -> None:
        """Let a person have back every value of a scope, such as those of its documents."""
        with self._lock:
            self._table.execute("INSERT OR IGNORE INTO permitted VALUES (?, ?)", (scope, reader))

    def revoke(self, reader: str, scope: str) -> None:
        """Take back every permission of a person in a scope, what they said themselves included."""
        with self._lock:
            for table in ("permitted", "said"):
                self._table.execute(
                    f"DELETE FROM {table} WHERE scope = ? AND reader = ?", (scope, reader)
                )

    def forget(self, scope: str) -> int:
        """Erase a scope, and what is past its time everywhere; give how many values went."""
        with self._lock:
            gone = self._table.execute(
                "DELETE FROM hidden WHERE scope = ? OR until <= ?", (scope, time.time())
            ).rowcount
            for table in ("said", "permitted"):
                self._table.execute(f"DELETE FROM {table} WHERE scope = ?", (scope,))
        return gone

    def restore(self, text: str, reader: str, scope: str = "") -> str:
        """Put the values back that this person may see, in one pass; a value is not looked into."""

        def put(match: re.Match[str]) -> str:
            value = self._value(match[0], reader, scope)
            return match[0] if value is None else value

        return FORM.sub(put, text)

    def restoring(self, reader: str, scope: str = "") -> "Restoring":
        """Restore a text that comes in pieces."""
        return Restoring(self, reader, scope)

    def _value(self, name: str, reader: str, scope: str) -> str | None:
        if not reader:
            return None
        with self._lock:
            row = self._table.execute(
                "SELECT sealed FROM hidden WHERE name = ?1 AND scope = ?2 AND until > ?3 AND ("
                " EXISTS (SELECT 1 FROM said WHERE name = ?1 AND scope = ?2 AND reader = ?4) OR"
                " EXISTS (SELECT 1 FROM permitted WHERE scope = ?2 AND reader = ?4))",
                (name, scope, time.time(), reader),
            ).fetchone()
        return self._open(row[0], name) if row else None

    def _mac(self, purpose: bytes, *parts: bytes) -> bytes:
        return hmac.new(self._key, b"\x1e".join((purpose, *parts)), hashlib.sha256).digest()

    def _stream(self, nonce: bytes, size: int) -> bytes:
        blocks = (self._mac(b"seal", nonce, n.to_bytes(4, "big")) for n in range(size // 32 + 1))
        return b"".join(blocks)[:size]

    def _seal(self, value: str, name: str) -> bytes:
        plain, nonce = value.encode("utf-8", "surrogatepass"), secrets.token_bytes(16)
        hidden = bytes(a ^ b for a, b in zip(plain, self._stream(nonce, len(plain)), strict=True))
        return nonce + self._mac(b"tag", name.encode(), nonce, hidden) + hidden

    def _open(self, sealed: bytes, name: str) -> str | None:
        nonce, tag, hidden = sealed[:16], sealed[16:48], sealed[48:]
        if not hmac.compare_digest(tag, self._mac(b"tag", name.encode(), nonce, hidden)):
            return None  # another key, or a table that was changed
        plain = bytes(a ^ b for a, b in zip(hidden, self._stream(nonce, len(hidden)), strict=True))
        return plain.decode("utf-8", "surrogatepass")


class Restoring:
    """Restores a stream: holds back no more than a stand-in that has begun."""

    def __init__(self, table: Pseudonyms, reader: str, scope: str) -> None:
        self._table, self._reader, self._scope = table, reader, scope
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece; give what no later piece can change."""
        text = self._held + piece
        begin = text.rfind("[")
        open_ = begin >= 0 and "]" not in text[begin:] and len(text) - begin < LONGEST
        cut = begin if open_ else len(text)
        self._held = text[cut:]
        return self._table.restore(text[:cut], self._reader, self._scope)

    def finish(self) -> str:
        """Give the rest."""
        rest, self._held = self._held, ""
        return rest


class StandInGuard:
    """Finds what looks like a stand-in in a text from outside: it is hidden as any value is.

    So nobody gets another's value back by writing down its stand-in.
    """

    name = "stand_in"
    scope: Scope = "span"
    quick = True

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give where a text holds what looks like a stand-in."""
        return [Span(match.start(), match.end(), "literal") for match in FORM.finditer(text)]

    def explain(self, spans: Sequence[Span]) -> str:
        """Say what it is."""
        return "It holds what looks like a stand-in of ours."

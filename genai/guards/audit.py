"""A log of verdicts that shows when somebody changed it; the texts themselves are never in it.

One JSON line a judged text. Each line has a keyed hash over its content and the hash of the line
before, so that an edit, a removal or another order breaks the chain from there on. How many lines
there are and the last hash are kept beside the log, so that lines cut off at the end are missed
too. The key lies in a file of its own: who has it can write another chain, so keep it where the
log's readers cannot read it, and note the head that `genai guard audit verify` prints elsewhere.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai import extras
from genai.errors import InputError
from genai.ledger import merged
from genai.types import Place, Verdict

_START = "0" * 64
_TAIL = 4096  # bytes of the log's end that are read for its last line, and more where it is longer


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of the log found: `problem` is empty where nothing was changed."""

    lines: int
    head: str
    problem: str = ""


class Audit:
    """The log of one project: `<folder>/guards.jsonl`, with its key and its head beside it."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "guards.jsonl"
        self._head = folder / "guards.head"
        self._key_file = folder / "guards.key"
        self._given: bytes | None = None
        self._lock = threading.Lock()

    def write(self, verdicts: Sequence[Verdict], place: Place, policy: str, call: str = "") -> None:
        """Append one line: who decided what about which place, and how many of which kind."""
        row: dict[str, Any] = {
            "at": round(time.time(), 3),
            "place": place,
            "policy": policy,
            "verdicts": [
                {
                    "guard": verdict.guard,
                    "decision": verdict.decision.value,
                    "kinds": dict(Counter(span.kind for span in verdict.spans)),
                    "seconds": round(verdict.seconds, 6),
                }
                for verdict in verdicts
            ],
        }
        call = call or merged(None).parent_id
        if call:
            row["call"] = call
        with self._alone():
            if not self._head.is_file() and not self._log.is_file():
                self._write_head(0, _START)  # so that a line without a head is never the first
            count, before = self._end()
            row |= {"n": count + 1, "before": before}
            row["hash"] = self._hash(row)
            line = json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n"
            with self._log.open("a", encoding="utf-8") as file:
                file.write(line)
            self._write_head(count + 1, row["hash"])

    def verify(self, head: str = "") -> Checked:
        """Go through the chain; `head` is a hash noted earlier, which the log must hold.

        Raises:
            InputError: there is no log, or no key.
        """
        if not self._log.is_file():
            raise InputError(
                f"{self._log.name}: no log of verdicts; set `audit: true` in configs/guards.yaml"
            )
        if not self._key_file.is_file():
            raise InputError(f"{self._key_file.name}: is missing, so no line can be checked;"
                             " restore it, or move the log away to begin another")  # fmt: skip
        count, before, last, seen = 0, "", _START, not head
        with self._log.open(encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n"):
                    break  # the end of a write that was cut in the middle, which nobody was told of
                count += 1
                problem = self._problem(line, count, last)
                if problem:
                    return Checked(count - 1, last, f"line {count}: {problem}")
                before, last = last, json.loads(line)["hash"]
                seen = seen or last == head
        kept = self._read_head()
        # a write that was killed left its line, and the head of the line before
        unfinished = self._head.is_file() and kept == (count - 1, before)
        if kept != (count, last) and not unfinished:
            return Checked(
                count, last, f"{kept[0]} lines were written and {count} are there: the end was cut"
            )
        return Checked(count, last, "" if seen else f"the head {head[:12]} is not in the log")

    def _problem(self, line: str, count: int, last: str) -> str:
        try:
            row = json.loads(line)
            given = row.pop("hash")
        except (ValueError, KeyError, TypeError, AttributeError):
            return "is no line of this log"
        if not isinstance(given, str) or not hmac.compare_digest(given, self._hash(row)):
            return "was changed"
        if row.get("n") != count or row.get("before") != last:
            return "does not follow the line before: one was removed, added or moved"
        return ""

    def _hash(self, row: dict[str, Any]) -> str:
        text = json.dumps(row, sort_keys=True, separators=(",", ":"))
        return hmac.new(self._key(), text.encode(), hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        if self._given is not None:
            return self._given
        if not self._key_file.is_file():
            handle = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32))
        self._given = bytes.fromhex(self._key_file.read_text().strip())
        return self._given

    def _end(self) -> tuple[int, str]:
        """Give the number and hash of the last line; finish a write that was killed before."""
        count, last = self._read_head()
        if self._log.is_file():
            _cut_torn(self._log)
            line = _last_line(self._log)
            if line and not self._problem(line, count + 1, last):
                count, last = count + 1, json.loads(line)["hash"]
                self._write_head(count, last)
        return count, last

    def _read_head(self) -> tuple[int, str]:
        if not self._head.is_file():
            return 0, _START
        try:
            count, last, mark = self._head.read_text().split()
            if hmac.compare_digest(mark, self._mark(int(count), last)):
                return int(count), last
        except ValueError:
            pass
        return -1, ""

    def _write_head(self, count: int, last: str) -> None:
        made = self._head.with_suffix(".new")
        made.write_text(f"{count} {last} {self._mark(count, last)}")
        made.replace(self._head)

    def _mark(self, count: int, last: str) -> str:
        return hmac.new(self._key(), f"head {count} {last}".encode(), hashlib.sha256).hexdigest()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and processes out while a line is added."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, extras.load("filelock", "rag").FileLock(self._log.with_suffix(".lock")):
            yield


def _cut_torn(path: Path) -> None:
    """Take away the half line that a kill or a full disk left, or the next would be glued to it."""
    tail = _tail(path)
    if torn := len(tail) - tail.rfind(b"\n") - 1:
        os.truncate(path, path.stat().st_size - torn)


def _last_line(path: Path) -> str:
    lines = _tail(path, but=1).splitlines()
    return lines[-1].decode("utf-8", "replace") if lines else ""


def _tail(path: Path, *, but: int = 0) -> bytes:
    """Read what ends a file: from before a line's end that is not in its last `but` bytes."""
    size, read = path.stat().st_size, _TAIL
    with path.open("rb") as file:
        while True:
            file.seek(max(0, size - read))
            tail = file.read()
            if b"\n" in tail[: len(tail) - but] or read >= size:
                return tail
            read *= 16

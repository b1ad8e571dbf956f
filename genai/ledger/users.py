"""What stands for a user in the ledger: a keyed hash of the name."""

import hashlib
import hmac
import logging
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

KEY = "GENAI_USER_KEY"
_FILE = "user.key"
_log = logging.getLogger("genai.ledger")


def pseudonym(folder: Path, user: str) -> str:
    """Give the keyed hash that stands for a user; the key is `GENAI_USER_KEY` or a local file.

    Where no file can hold one, a key of this process does: a ledger in trouble stops no call.
    """
    try:
        return _hashed(folder, user)
    except OSError as error:  # not remembered, for the next call may find room
        _say(folder / _FILE, error.strerror or str(error))
        return _hash(_own_key(), user)


@lru_cache(maxsize=4096)
def _hashed(folder: Path, user: str) -> str:
    return _hash(os.environ.get(KEY, "").encode() or _local_key(folder / _FILE), user)


def _hash(key: bytes, user: str) -> str:
    return hmac.new(key, user.encode("utf-8", "backslashreplace"), hashlib.sha256).hexdigest()[:24]


@lru_cache(maxsize=8)
def _local_key(path: Path) -> bytes:
    if not path.exists():
        _make(path)
    return path.read_bytes()


def _make(path: Path) -> None:
    """Write a key; nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(f".{secrets.token_hex(4)}")
    made.touch(mode=0o600)
    try:
        made.write_bytes(secrets.token_bytes(32))
        try:
            os.link(made, path)  # the first writer wins
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            made.rename(path)
    finally:
        with suppress(OSError):
            made.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _own_key() -> bytes:
    return secrets.token_bytes(32)


@lru_cache(maxsize=8)
def _say(path: Path, why: str) -> None:
    """Say once what is wrong."""
    _log.warning(
        "%s: cannot be used (%s), so users bear other names than before in this process; check the"
        " folder's permissions and the room on its disk, or set %s", path, why, KEY,
    )  # fmt: skip

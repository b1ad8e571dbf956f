"""Every error this library raises on purpose, as one tree.

    GenaiError                  code  70, a fault of ours
    +-- InputError              code  64, what the user gave cannot be used
    |   +-- ConfigError              a settings file: names file, key and cure
    |   +-- DocumentError            one document: empty, binary, too large, unreadable
    |   +-- MissingExtra             a package is not installed: names the pip line
    |   +-- PromptError              a prompt file or a value put into it
    |   +-- CaseError                a suite or one of its cases
    |   +-- IndexUnusable            locked, corrupt, or built by another embedder
    |   +-- LedgerUnusable           locked, corrupt or read-only
    |   +-- ModelError               unknown model, wrong key, no network, bad reply
    +-- BudgetExceeded          code   3
    +-- Unmeasured              code   4, nothing was measured, so nothing can pass

Each message is one line that names the file, key or model and the next step; `code` is the exit
code the command line gives it. `shown` names a file as messages do, `one_line` anything else;
`uncontrolled` gives a text of others.
"""

import re
from pathlib import Path

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class GenaiError(Exception):
    """Base of the tree; `code` is the exit code of the command line."""

    code = 70


class InputError(GenaiError):
    """What the user gave cannot be used as it is."""

    code = 64


class ConfigError(InputError):
    """A settings file has a wrong key or value."""


class DocumentError(InputError):
    """One document cannot be read; the others are not touched."""


class MissingExtra(InputError):
    """An optional package is not installed."""


class PromptError(InputError):
    """A prompt file is wrong, or a value does not fit its variables."""


class CaseError(InputError):
    """A suite or one of its cases is wrong; names file, line and key."""


class IndexUnusable(InputError):
    """An index is locked, corrupt, or was built by another embedder."""


class LedgerUnusable(InputError):
    """The ledger file is locked, corrupt or read-only."""


class ModelError(InputError):
    """A model call cannot succeed as configured; `kind` is a short machine-readable reason.

    Kinds: `unknown_model key permission network timeout rate_limited bad_request conflict
    unprocessable server bad_reply refusal`. `retry_after` is the wait the server asks for, in
    seconds; `status` its HTTP status; `sent` is False where the request never left this machine;
    `param` is the parameter that it does not take. `received` is what had arrived of the reply,
    None where nothing had. It is never shown.
    """

    def __init__(
        self,
        message: str,
        kind: str = "server",
        *,
        retry_after: float | None = None,
        status: int | None = None,
        sent: bool = True,
        param: str = "",
        received: object = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        self.status = status
        self.sent = sent
        self.param = param
        self.received = received


class BudgetExceeded(GenaiError):
    """A spend limit would be passed; the call was not made."""

    code = 3


class Unmeasured(GenaiError):
    """Nothing was measured, so nothing can be said to pass."""

    code = 4


def shown(path: Path, parts: int = 2) -> str:
    """Name a file or folder shortly: by default the folder it is in, and its name."""
    return Path(*path.parts[-parts:]).as_posix()


def one_line(text: str) -> str:
    """Write what others named, such as a model, on one line: what cannot be printed is a space."""
    return "".join(each if each.isprintable() else " " for each in text)


def uncontrolled(text: str) -> str:
    """Give what others wrote as a terminal may have it: with its lines, and no codes that it obeys.

    Such a code of a document or a model could fill the clipboard or hide what stands there.
    """
    return _CONTROLS.sub("", text)

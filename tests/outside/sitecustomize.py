"""No process of a test run reaches beyond this machine: who tries is refused, and noted in a file.

Python runs this file at the start of every process that has its folder on `PYTHONPATH`, so what a
test starts is held to it too: commands, workers, servers. Packages swallow such a refusal, so the
note is what fails the test (`tests/conftest.py`).
"""

import os
import sys

_NOTES = "OUTSIDE_NOTES"  # the file of the notes, in the environment
_HERE = {"", "localhost", "0.0.0.0", "::", "::1"}  # names, nothing listens on them
_BY_NAME = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyname_ex"}


def _hook(event: str, args: tuple[object, ...]) -> None:
    if event in _BY_NAME:
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    if _is_here(name):
        return
    if path := os.environ.get(_NOTES):
        with open(path, "a", encoding="utf-8") as file:
            program = " ".join(sys.argv[:3])[:150]
            file.write(f"{name} in {os.environ.get('PYTEST_CURRENT_TEST', '?')} by {program}\n")
    raise OSError(f"{name}: tests do not reach beyond this machine")


def _is_here(name: str) -> bool:
    """Say whether a name is this machine's, or nobody's.

    Ray's own processes also ask the network which cloud they are in; they are left alone.
    """
    import platform  # not before: many processes ask for nothing

    return (
        name in _HERE
        or name.startswith(("127.", "::ffff:127."))
        or name.endswith(".invalid")
        or name == platform.node()
        or "/ray/" in sys.argv[0].replace(os.sep, "/")
        or (name.replace(".", "").isdigit() and _is_ours(name))
    )


def _is_ours(address: str) -> bool:
    """Say whether an address is one of this machine's: only those can be bound."""
    import _socket

    trial = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        trial.bind((address, 0))
    except OSError:
        return False
    finally:
        trial.close()
    return True


if not getattr(sys, "_outside_is_closed", False):
    sys._outside_is_closed = True  # type: ignore[attr-defined]
    sys.addaudithook(_hook)

"""What a task's answers may depend on beside the task itself: the text files of its project.

Which files an answer depends on cannot be known, so all of them count. They are told apart by
path, size and time of change: a run is gone on with where it was begun, and reading every file of
a big folder would cost more than asking anew where nothing but the time of one has changed.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

_TEXTS = (
    ".py", ".md", ".txt", ".yaml", ".yml", ".json", ".toml", ".jinja", ".j2", ".prompt",
)  # fmt: skip
_OTHERS = ("node_modules", "__pycache__", "site-packages", "venv")  # and what begins with a dot


def digest_of(task: Any, root: Path, runs: Path) -> str:
    """Give a hash of the files that stand in a task's project; "" for a task that says it all.

    Such a task has an `identity`: a model, a chain, or one of yours. `evals/` does not count: its
    cases and metrics are compared by themselves, and a mended scorer needs no new answers.
    """
    if getattr(task, "identity", None) is not None and not getattr(task, "of_code", False):
        return ""
    root = root.resolve()
    own = {str(root / "evals"), str(runs.resolve())}
    found = hashlib.sha256()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(each for each in folders if not _is_left_out(folder, each, own))
        for name in sorted(names):
            if name.endswith(_TEXTS) and not _is_report(name, names):
                found.update(_stamp(Path(folder, name), root).encode("utf-8", "surrogateescape"))
    return found.hexdigest()[:12]


def _is_left_out(folder: str, name: str, own: set[str]) -> bool:
    return name.startswith(".") or name in _OTHERS or os.path.join(folder, name) in own


def _is_report(name: str, names: list[str]) -> bool:
    """Whether this is a run's own report, which stands in three forms."""
    stem, ending = os.path.splitext(name)
    return ending == ".md" and f"{stem}.xml" in names and f"{stem}.html" in names


def _stamp(path: Path, root: Path) -> str:
    try:
        found = path.stat()
    except OSError:  # a link that leads nowhere
        return f"{path.relative_to(root)}\n"
    return f"{path.relative_to(root)} {found.st_size} {found.st_mtime_ns}\n"

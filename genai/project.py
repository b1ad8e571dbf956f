"""Where a project's files are: the nearest folder upward with settings or suites, else the starter.

Settings are `configs/genai.yaml`; a suite in `evals/` is enough for an application that only wants
its tests, and everything else has its default there. `write_whole` writes one of them.
The starter is the content that `genai init` copies: in a checkout the repository root, in an
installed wheel `genai/_starter/`.
"""

import importlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai.errors import InputError, shown

STARTER_FOLDERS = ("prompts", "evals", "configs", "apps", "docs", "finetune")
_MARK = Path("configs") / "genai.yaml"
# files that a tool looks for where a checkout of this library must not have them
_PLACES = {Path("configs/ci/evals.yml"): Path(".github/workflows/evals.yml")}


@dataclass(frozen=True, slots=True)
class Project:
    """Two folders: `root` holds content, `state` holds the ledger, indexes and runs."""

    root: Path
    state: Path


def starter() -> Path:
    """Find the content folders this library ships."""
    packaged = Path(__file__).parent / "_starter"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent


def find_project(start: Path | None = None) -> Project:
    """Find the project around `start` (default: `GENAI_PROJECT`, else the working folder)."""
    given = os.environ.get("GENAI_PROJECT")
    here = (start or (Path(given) if given else Path.cwd())).resolve()
    for folder in (here, *here.parents):
        if (folder / _MARK).is_file() or _has_suite(folder):
            return Project(folder, folder / ".genai")
    return Project(starter(), here / ".genai")


def default_suite() -> str:
    """Name the suite that is meant where none is named: a project's only one, or the starter's.

    `redteam`, which attacks the guards, is not meant where there is another.
    """
    found = {path.stem for path in (find_project().root / "evals").glob("*.yaml")}
    own = found - {"redteam"} or found
    return own.pop() if len(own) == 1 else "handbook"


def import_named(path: str, root: Path | None = None) -> Any:
    """Import `package.module:name`; modules in the project's folder are found.

    Raises:
        Exception: whatever a module of the user's raises when it is imported.
    """
    module, _, name = path.rpartition(":")
    on_path(root)
    return getattr(importlib.import_module(module), name)


def on_path(root: Path | None = None) -> None:
    """Let Python find modules in the project's folder, however a command was started."""
    folder = str(root or find_project().root)
    if folder not in sys.path:
        sys.path.insert(0, folder)


def git(root: Path, *words: str) -> str:
    """Give what git says of a folder, such as its commit (`rev-parse HEAD`); "" where nothing."""
    command = ["git", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace",
                              timeout=20)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def write_whole(path: Path, content: str | bytes, error: type[InputError] = InputError) -> None:
    """Write a file whole or not at all; its folder is made.

    Raises:
        InputError: it cannot be written; of the class that `error` names.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    except (OSError, UnicodeEncodeError) as problem:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        said = f"{shown(path)}: cannot be written ({problem}); free space or mend its rights"
        raise error(said) from problem


def _has_suite(folder: Path) -> bool:
    # other tools keep YAML in a folder of this name too
    return any(
        re.search(r"^suite:", path.read_text(encoding="utf-8-sig", errors="replace"), re.MULTILINE)
        for path in (folder / "evals").glob("*.yaml")
    )


def init(target: Path) -> list[Path]:
    """Copy the starter into `target`; existing files are never touched.

    Returns:
        The files written, relative to `target`.

    Raises:
        InputError: `target` holds a project already, or is not a folder.
    """
    if (target / _MARK).exists():
        raise InputError(f"{target}: already a project ({_MARK} exists); change its files instead")
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: is a file; name an empty or new folder")
    written = []
    for folder in STARTER_FOLDERS:
        for source in sorted((starter() / folder).rglob("*")):
            if source.is_dir() or "__pycache__" in source.parts:
                continue
            relative = source.relative_to(starter())
            relative = _PLACES.get(relative, relative)
            if (target / relative).exists():
                continue
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / relative)
            written.append(relative)
    ignore = target / ".gitignore"
    if not ignore.exists():
        ignore.write_text(".genai/\n.venv/\n", encoding="utf-8")
        written.append(Path(".gitignore"))
    return written

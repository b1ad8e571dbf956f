"""Find a prompt: the file as it is now, a locked version of it, or the file at a git revision.

`rag/answer` is the file. `rag/answer@ba286c04d1f7` is the version that was locked under this hash,
and `rag/answer@production` the one that the label points at: both stay what they are while the
file is edited.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from genai.config import validate
from genai.errors import PromptError
from genai.project import git, starter, write_whole
from genai.prompts.file import Prompt, assemble, parse_prompt
from genai.prompts.front import FrontMatter
from genai.prompts.labels import read_labels
from genai.prompts.render import Segment
from genai.prompts.template import Turn

PARTIALS = "partials"
VERSIONS = "versions"
_NEWEST = 10  # commits that a prompt's page lists
HASH = re.compile(r"[0-9a-f]{12}")


def prompt_names(folder: Path) -> list[str]:
    """Give the names of the prompts in a folder; partials are not prompts."""
    found = (path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.md"))
    return sorted(name for name in found if not name.startswith(f"{PARTIALS}/"))


def load_prompt(name: str, folder: Path) -> Prompt:
    """Read `folder/<name>.md`, or with `name@hash` or `name@label` a locked version.

    Raises:
        PromptError: no such file, version or label, or a mistake in it.
        ConfigError: a wrong key in the front matter.
    """
    plain, at, version = name.partition("@")
    if at:
        return _pinned(plain, version, folder)
    shown = f"prompts/{name}.md"
    path = _inside(folder, f"{name}.md")
    if path is None or name.startswith(f"{PARTIALS}/"):
        known = ", ".join(prompt_names(folder)) or "none"
        raise PromptError(f"{shown}: no such prompt; known: {known}")
    prompt = parse_prompt(_text(path, shown), shown, _partials(folder, shown))
    if prompt.name != name:
        raise PromptError(f"{shown}: `id` is {prompt.name!r}; it must be {name!r}, as the file is")
    return prompt


def own_or_shipped(name: str, folder: Path) -> Prompt:
    """Read `folder/<name>.md`; where the folder has none, the one that this library ships.

    Raises:
        PromptError: neither has it, or a mistake in it.
        ConfigError: a wrong key in the front matter.
    """
    own = (folder / f"{name}.md").is_file()
    return load_prompt(name, folder if own else starter() / "prompts")


def find_prompt(name: str, root: Path) -> Prompt:
    """Read a prompt by name, by a path that ends in `.md`, or as `REVISION:prompts/x.md`.

    Partials of a revision come from that revision.

    Raises:
        PromptError: no such prompt, file or revision, or a mistake in it.
    """
    if not name.endswith(".md"):
        return load_prompt(name, root / "prompts")
    revision, colon, path = name.rpartition(":")
    if not colon:
        file = Path(name) if Path(name).is_file() else root / name
        if not file.is_file():
            raise PromptError(f"{name}: no such file; give a prompt's name, file or REVISION:file")
        return parse_prompt(_text(file, name), name, _partials(root / "prompts", name))

    def partial(each: str) -> str:
        return _at(revision, f"prompts/{PARTIALS}/{each}.md", root)

    return parse_prompt(_at(revision, path, root), name, partial)


def revisions(name: str, root: Path) -> list[tuple[str, str]]:
    """Give the newest commits that touched a prompt's file: `REVISION:file` and the day.

    Nothing where the project is not in git.
    """
    path = f"prompts/{name}.md"
    lines = git(root, "log", f"-{_NEWEST}", "--format=%h %cs", "--", path).splitlines()
    return [(f"{line.split()[0]}:{path}", line.split()[1]) for line in lines]


def write_version(prompt: Prompt, folder: Path) -> Path:
    """Keep a version for good: all that its hash covers, so that it can be checked by it."""
    path = folder / VERSIONS / f"{prompt.id}.json"
    kept = {
        "description": prompt.front.description,
        "models": prompt.front.models,
        "partials": list(prompt.partials),
        "content": prompt.content,
    }
    write_whole(path, json.dumps(kept, indent=1, ensure_ascii=False) + "\n", PromptError)
    return path


def _pinned(name: str, version: str, folder: Path) -> Prompt:
    """Read a locked version by its hash or by a label that points at it."""
    if HASH.fullmatch(version):
        path = _inside(folder / VERSIONS, f"{name}@{version}.json")
        if path is not None:
            return _version(name, version, path)
        file = _inside(folder, f"{name}.md")
        now = load_prompt(name, folder) if file else None
        if now is not None and now.hash == version:
            return now
        raise PromptError(
            f"prompts/{VERSIONS}/{name}@{version}.json: no such version; locked:"
            f" {', '.join(_versions(name, folder)) or 'none'}; lock one: genai prompt lock {name}"
        )
    labels = read_labels(folder).labels
    if version not in labels:
        known = ", ".join(labels) or "none"
        raise PromptError(f"prompts/labels.yaml: no label `{version}`; known: {known}")
    hash_ = labels[version].get(name)
    if hash_ is None:
        raise PromptError(
            f"prompts/labels.yaml: `{version}` names no version of {name}; set it:"
            f" genai prompt label {version} {name}"
        )
    return _pinned(name, hash_, folder)


def _versions(name: str, folder: Path) -> list[str]:
    base = folder / VERSIONS
    found = (base / name).parent.glob(f"{Path(name).name}@*.json")
    return sorted(path.relative_to(base).with_suffix("").as_posix() for path in found)


def _version(name: str, version: str, path: Path) -> Prompt:
    shown = f"prompts/{VERSIONS}/{name}@{version}.json"
    try:
        kept = json.loads(_text(path, shown))
        content = dict(kept["content"])
        turns = tuple(_turn(*each) for each in content.pop("turns"))
        format_ = content.pop("v")
        partials = tuple(kept["partials"])
        head = {"id": name, "description": kept["description"], "models": kept["models"]}
    except (ValueError, KeyError, TypeError) as error:
        raise PromptError(f"{shown}: is not a locked version ({error!r}); take it from git"
                          ) from error  # fmt: skip
    prompt = assemble(validate(FrontMatter, {**head, **content}, shown), turns, shown, partials)
    if prompt.hash != version or format_ != 2:
        raise PromptError(
            f"{shown}: its content has the hash {prompt.hash}; a locked version is never edited,"
            " take it from git"
        )
    return prompt


def _turn(role: str, segments: list[list[str]]) -> Turn:
    if role not in ("system", "user", "assistant"):
        raise ValueError(f"role {role!r}")
    return role, tuple(Segment(text, slot) for text, slot in segments)  # type: ignore[return-value]


def _partials(folder: Path, shown: str) -> Callable[[str], str]:
    def partial(name: str) -> str:
        path = _inside(folder / PARTIALS, f"{name}.md")
        if path is None:
            known = sorted(each.stem for each in (folder / PARTIALS).glob("*.md"))
            raise PromptError(
                f"{shown}: no partial prompts/{PARTIALS}/{name}.md; known:"
                f" {', '.join(known) or 'none'}"
            )
        text = _text(path, f"prompts/{PARTIALS}/{name}.md").replace("\r\n", "\n")
        if text.startswith("---\n"):
            said = f"prompts/{PARTIALS}/{name}.md: a partial has no front matter; take it out"
            raise PromptError(said)
        return text

    return partial


def _inside(folder: Path, name: str) -> Path | None:
    """Give a file of a folder; None where there is none, or it lies outside."""
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder.resolve()) and path.is_file() else None
    except (OSError, ValueError):
        return None


def _text(path: Path, shown: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{shown}: cannot be read ({error}); save it as UTF-8") from error


def _at(revision: str, path: str, root: Path) -> str:
    shown = f"{revision}:{path}"
    command = ["git", "show", "--end-of-options", f"{revision}:./{path}"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=True, timeout=60)
        return done.stdout.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise PromptError(f"{shown}: is not UTF-8 text ({error})") from error
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        line = (said.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
        raise PromptError(f"{shown}: git has no such file ({line}); see git log -- {path}"
                          ) from error  # fmt: skip

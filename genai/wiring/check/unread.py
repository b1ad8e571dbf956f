"""Files that nothing reads, among those that look like ours.

One that is nearly called as one of ours is a mistake. Another one may be somebody's own, so it is
a warning.
"""

import difflib
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from genai import project as projects
from genai.prompts.sarif import Level, Result
from genai.wiring.check.recipes import is_recipe, text_of

# what each folder of `configs/` holds; what begins with a dot stands for every name that ends so
FOLDERS: dict[str, tuple[str, ...]] = {
    "": (
        "alerts.yaml", "business.yaml", "genai.yaml", "guards.yaml", "invoices.yaml", "loop.yaml",
        "prices.yaml", "sft.yaml", "dpo.yaml", "kto.yaml", "orpo.yaml",
    ),
    "guards": ("attacks.yaml", "harmless.yaml", "requests.yaml", "toxicity.yaml"),
    "usecases": (".yaml",),
    "prices": (".json",),
    "calibration": (".json",),
}  # fmt: skip
_SETTINGS = {".yaml", ".yml", ".json", ".toml"}
_CASES = {".jsonl", ".csv", ".parquet"}
_Found = Iterator[tuple[Path, Level, str]]


def unread_files(read: Collection[str]) -> list[Result]:
    """Give the files that nothing reads; `read` are those that something does, from the root."""
    root = projects.find_project().root
    found = []
    for path, level, words in (*_configs(root, read), *_evals(root)):
        file = path.relative_to(root).as_posix()
        what = "folder" if path.is_dir() else "file"
        found.append(Result("unread", level, file, f"{file}: nothing reads this {what}; {words}"))
    return found


def _configs(root: Path, read: Collection[str]) -> _Found:
    for folder, known in FOLDERS.items():
        for path in sorted((root / "configs" / folder).glob("*")):
            name = path.relative_to(root).as_posix()
            if not ({path.name, path.suffix} & {*known} or name in read):
                if path.suffix in _SETTINGS and path.is_file():
                    yield path, *_meant(path, known)
    for path in sorted((root / "configs").glob("*/")):
        close = difflib.get_close_matches(path.name, FOLDERS, n=1, cutoff=0.8)
        if close and path.name not in FOLDERS:
            yield path, "warning", f"did you mean configs/{close[0]}?"


def _meant(path: Path, known: tuple[str, ...]) -> tuple[Level, str]:
    """Say what a file in `configs/` was probably meant to be."""
    if path.suffix == ".yml":
        ours = {f"{path.stem}.yaml", ".yaml"} & {*known}
        if ours or is_recipe(path):
            return "error" if ours else "warning", f"call it {path.stem}.yaml"
    full = [each for each in known if each[0] != "."]
    if close := difflib.get_close_matches(path.name, full, n=1, cutoff=0.8):
        return "error", f"did you mean {close[0]}?"
    names = ", ".join(f"*{each}" if each[0] == "." else each for each in known)
    recipes = " and recipes, which have a `method`" if known == FOLDERS[""] else ""
    return "warning", f"what is read there: {names}{recipes}"


def _evals(root: Path) -> _Found:
    evals = root / "evals"
    for path in sorted(evals.glob("*.yml")):
        if re.search("^suite:", text_of(path), re.MULTILINE):
            yield path, "error", f"call it {path.stem}.yaml"
    suites = {path.stem for path in evals.glob("*.yaml")}
    for path in sorted((*evals.glob("labels/*.jsonl"), *evals.glob("baselines/*/"))):
        suite = path.name.removesuffix(".jsonl")
        if suite not in suites:
            yield path, "warning", f"there is no suite evals/{suite}.yaml"
    files = filter(Path.is_file, sorted(evals.glob("*")))
    cases = [path for path in files if path.suffix in _CASES]
    users = (*evals.glob("*.yaml"), *evals.rglob("*.py"), *root.glob("configs/*.yaml"))
    texts = [text_of(path) for path in users] if cases else []
    for path in cases:
        suite = path.name.removesuffix(".drafts.jsonl")
        named = re.compile(rf"(?<![\w.-]){re.escape(path.name)}")
        if suite != path.name:
            if suite not in suites:
                yield path, "warning", f"there is no suite evals/{suite}.yaml"
        elif not any(map(named.search, texts)):
            yield path, "warning", "name it under `files` of a suite, or its cases are not asked"

"""What each direct dependency costs: processor seconds to import it, megabytes it installs.

    python benchmarks/dependencies.py

Reads `pyproject.toml` and measures what is installed beside it: the import in a fresh process, the
median of three less the start of Python, what it imports itself included; and the files of the
distribution, and of all that it needs and that is installed, in MB of 1,000,000 bytes.
"""

import re
import resource
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
# where the module is not the distribution's name with `_` for `-`
MODULES = {
    "axe-playwright-python": "axe_playwright_python.sync_playwright",
    "azure-identity": "azure.identity",
    "beautifulsoup4": "bs4",
    "detect-secrets": "detect_secrets.core.scan",
    "guardrails-ai": "guardrails",
    "import-linter": "importlinter",
    "markdown-it-py": "markdown_it",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry-sdk": "opentelemetry.sdk.trace",
    "pillow": "PIL.Image",
    "pytest-xdist": "xdist",
    "python-docx": "docx",
    "python-stdnum": "stdnum",
    "pyyaml": "yaml",
}


def direct() -> list[str]:
    """Name every direct dependency of `pyproject.toml`, of the core first, each once."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    names = [name_of(line) for line in lines]
    return [name for name in dict.fromkeys(names) if name != project["name"]]


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()


def needs(name: str) -> set[str]:
    """Name the distribution and all that it needs and that is installed, extras left out."""
    found, waiting = set(), [name]
    while waiting:
        each = waiting.pop().lower().replace("_", "-")
        try:
            requires = metadata.requires(each) or []
        except metadata.PackageNotFoundError:
            continue
        if each not in found:
            found.add(each)
            waiting += [name_of(line) for line in requires if "extra ==" not in line]
    return found


def megabytes(names: Iterable[str]) -> float:
    sizes = []
    for name in names:
        for file in metadata.files(name) or []:
            path = Path(str(file.locate()))
            if path.is_file():
                sizes.append(path.stat().st_size)
    return sum(sizes) / 1e6


def processor() -> float:
    """Give the processor seconds of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(module: str) -> float | None:
    """Import a module in three fresh processes; None where it cannot be imported alone."""
    taken = []
    for _ in range(3):
        before = processor()
        done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True)
        taken.append(processor() - before)
        if done.returncode:
            return None
    return statistics.median(taken)


def main() -> None:
    bare = seconds("sys") or 0.0
    print("| package | version | import, s | alone, MB | with what it needs, MB |")
    print("|---|---|---|---|---|")
    for name in direct():
        if name not in needs(name):
            print(f"| {name} | not installed | | | |")
            continue
        took = seconds(MODULES.get(name, name.replace("-", "_")))
        shown = "no module" if took is None else f"{max(took - bare, 0):.2f}"
        alone, whole = megabytes([name]), megabytes(needs(name))
        print(
            f"| {name} | {metadata.version(name)} | {shown} | {alone:.1f} | {whole:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

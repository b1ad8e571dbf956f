"""Every code block of README and the handbook runs as written, in order, chapter by chapter.

A block fenced `no-run: reason` is left out; any other fence in python or bash runs.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from importlib import metadata
from pathlib import Path
from statistics import NormalDist

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import genai
from genai import stats
from genai.ledger.prices import Prices, load_all
from genai.models import FORMS

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_FENCE = re.compile(r"^(`{3,})(python|bash|sh)([^\n]*)\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
# what only a person or another test starts: servers and installs (see test_apps, test_starter)
_ELSEWHERE = re.compile(r"^(make |genai app|git clone|cd |pip install|pytest|\. )")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(page: Path) -> list[tuple[str, str]]:
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [(language, code) for _, language, info, code in found if "no-run:" not in info]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project made by `genai init`, indexed once."""
    folder = tmp_path_factory.mktemp("docs") / "project"
    for step in (["init", str(folder)], ["index", "sync"]):
        where = None if step[0] == "init" else folder
        subprocess.run([sys.executable, "-m", "genai", *step], cwd=where, check=True, timeout=120)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_a_page_runs(page: Path, workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(workspace, folder)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    python: list[str] = []
    for language, code in blocks(page):
        if language == "python":
            python.append(code)
            continue
        lines = [line for line in code.splitlines() if not _ELSEWHERE.match(line.strip())]
        run(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], folder, environment)
    if python:
        run([sys.executable, "-c", "\n".join(python)], folder, environment)


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 250


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_as_a_proof_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:genai|tests|benchmarks|evals|configs|finetune|apps)/[\w./-]+\.\w+)", text
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_each_promise_of_the_readme_points_at_its_tests() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| promise | shown by |")[2]
    rows = [line for line in table.partition("\n\n")[0].splitlines() if "`" in line]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`([\w/.-]+\.py)`", row.rpartition(" | ")[2])
        assert named, row
        folder = ROOT
        for name in named:  # a bare name lies beside the one before it
            path = (ROOT if "/" in name else folder) / name
            assert path.is_file(), f"{name}: {row}"
            folder = path.parent
            assert re.search(r"^\s*(async )?def (test_|main)", path.read_text(), re.MULTILINE), name


def test_each_guarantee_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "promise" not in line]
    assert len(rows) > 60
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row.rpartition(" | ")[2])
        assert named, row
        for file, test in named:
            source = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), f"{file}::{test}"


def test_the_simulated_values_of_the_chapter_are_those_of_its_command() -> None:
    project = genai.find_project(ROOT)
    usual = genai.business_case(project=project).outlook
    dear = genai.business_case({"build": 700_000}, project=project).outlook
    told = (ROOT / "docs" / "business-case.md").read_text(encoding="utf-8")
    low, middle, high = (f"{round(each, -3):,.0f}" for each in (usual.p10, usual.p50, usual.p90))
    assert f"simulated values are {low}, {middle} and {high} dollars, and the" in told
    assert f"probability of a positive value is {usual.positive:.2f}. " in told
    assert f"probability falls to {dear.positive:.2f}, " in told
    worth = [f"{round(each.worth, -3):,.0f}" for each in dear.swings[:2]]
    assert [each.name for each in dear.swings[:2]] == ["minutes", "realisation"]
    assert f" is worth {worth[0]} dollars, the realisation share {worth[1]}." in told


def test_each_direct_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    declared = {re.split(r"[^\w.-]", line)[0] for line in wanted} - {project["name"]}
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    named = [row[0].strip() for row in rows if row[0].strip() != "package"]
    assert sorted(named) == sorted(declared)
    assert all(len(row) == 6 and all(cell.strip() for cell in row) for row in rows)


# -- installing ------------------------------------------------------------------------------------


def brought(extras: list[str]) -> set[str]:
    """Name every package that these extras install, by the metadata of what is here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        *project["dependencies"],
        *sum((project["optional-dependencies"][e] for e in extras), []),
    ]
    waiting, seen = [Requirement(line) for line in lines], set()
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        for each in map(Requirement, metadata.requires(wanted.name) or ()):
            chosen = [{"extra": extra} for extra in ("", *wanted.extras)]
            if each.marker is None or any(map(each.marker.evaluate, chosen)):
                waiting.append(each)
    return {name for name, _ in seen}


@pytest.mark.parametrize(
    ("file", "above", "needed"),
    [
        # the pages of the demo and `genai eval`
        ("Makefile", "", "chromadb detect-secrets numpy openpyxl pytest scipy streamlit"),
        ("README.md", "A project of your own", "chromadb openpyxl pytest scipy streamlit"),
        ("docs/deployment.md", "A project of your own", "chromadb openpyxl streamlit uvicorn"),
        ("README.md", "Fine-tuning", "numpy phonenumbers scipy starlette torch uvicorn"),
        # `genai check`, and `pytest evals/` with its verdict
        ("configs/ci/evals.yml", "", "chromadb detect-secrets jsonschema pytest scipy"),
        ("docs/testing.md", "An application that exists already", "pytest scipy"),
    ],
)
def test_an_install_line_brings_what_the_lines_below_it_load(
    file: str, above: str, needed: str
) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    text = text[text.index(f"## {above}\n") if above else 0 :]
    line = re.search(r"'(?:genai-workbench|\.)\[([\w,]+)\]'", text)
    assert line is not None
    assert sorted(set(needed.split()) - brought(line[1].split(","))) == []


def test_no_model_that_a_page_names_has_an_end() -> None:
    pages = [*PAGES, *(ROOT / "configs").glob("*.yaml")]
    named = {
        name for page in pages for name in re.findall(r"\b[a-z]+/[\w.-]+", page.read_text("utf-8"))
    }
    assert "openai/gpt-5-mini" in named
    known = Prices({}, snapshots=lambda: load_all(ROOT / "configs" / "prices"))
    assert [(str(day), name) for day, name in known.ending(date.max) if name in named] == []


def test_the_handbook_lists_every_form_of_a_models_name() -> None:
    text = (ROOT / "docs" / "foundation-models.md").read_text(encoding="utf-8")
    table = text.partition("| name | served by |")[2].partition("\n\n")[0]
    forms = [re.split(r"[\s,[]", form)[0] for form in FORMS.values()]
    assert [form for form in forms if f"`{form}`" not in table] == []


# -- figures ---------------------------------------------------------------------------------------


def test_the_sizes_of_the_handbook_are_those_of_the_statistics() -> None:
    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| (\d+) points \| ([\d,]+) \|", text)
    assert len(rows) == 4
    for points, cases in rows:
        assert stats.cases_for_drop(int(points) / 100, discordant=0.15) == numbers(cases).pop()
    # two samples: variances add, at the same errors as the pairs above
    z = NormalDist().inv_cdf(0.95) + NormalDist().inv_cdf(0.8)
    spread = 0.80 * 0.20 + 0.75 * 0.25
    said = re.search(r"unpaired .* needs about ([\d,]+) cases on each side for a drop of 5", text)
    assert said is not None
    assert numbers(said[1]).pop() == round(z * z * spread / 0.05**2, -1)


_NUMBER = re.compile(r"\d[\d,]*\.?\d*|\.\d+")


def numbers(text: str) -> set[float]:
    return {float(found.replace(",", "").rstrip(".")) for found in _NUMBER.findall(text)}


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.mark.usefixtures("benchmarks")
def test_the_table_of_figures_is_that_of_the_results() -> None:
    from table import RESULTS, table

    written = (RESULTS / "README.md").read_text(encoding="utf-8")
    assert written == table(), "run `python benchmarks/table.py`"


def test_the_readme_quotes_only_figures_of_the_table() -> None:
    table = (ROOT / "benchmarks" / "results" / "README.md").read_text(encoding="utf-8")
    quoted = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Figures")[2]
    rows = [line for line in quoted.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    assert len(rows) > 20
    known = numbers(table)
    for row in rows:
        assert numbers(row.partition(" | ")[2]) <= known, row


@pytest.mark.parametrize(
    ("chapter", "quoted"),
    [
        ("data", "1,630 of 6,983 chunks"),
        ("dependencies", ".90 of our time"),
        ("experiments", "+1.2 points of recall at 1, -0.4 to +2.7"),
        ("experiments", "+5.4 points, +3.3 to +7.4"),
    ],
)
def test_the_handbook_quotes_figures_of_the_table(chapter: str, quoted: str) -> None:
    table = (ROOT / "benchmarks" / "results" / "README.md").read_text(encoding="utf-8")
    assert quoted in (ROOT / "docs" / f"{chapter}.md").read_text(encoding="utf-8")
    assert numbers(quoted) <= numbers(table)


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize(
    ("reached", "goal", "ratio", "met"),
    [
        ("7,636", ">= 10x", "24.27x", "yes"),
        ("1.68", "<= 2.0, >= 3x", "1.61x", "no"),
        ("0.96x", ">= 0.95x", "", "yes"),
        ("0.91 / 0.70", ">= .93 / >= .7", "", "no"),
        ("0.94% / 1.2%", "<= 1 %", "", "no"),
        ("4.8% (3.6% to 6.3%)", "<= 5 %", "", "yes"),
        ("5 = 5 = 4", "equal", "", "no"),
        ("NO", "yes", "", "no"),
        ("failed: no server", "<= 400 MB", "", ""),
        ("77", "", "", ""),
    ],
)
def test_a_goal_is_met_by_what_is_printed(reached: str, goal: str, ratio: str, met: str) -> None:
    from figures import Figure, read, table_of

    each = Figure("it", reached, goal, "a peer", ratio)
    assert each.met == met
    assert read("\n".join(table_of([each]))) == [each]

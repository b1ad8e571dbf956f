"""What `genai check` reads: every settings file, and each name in one that must lead somewhere."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from genai import project as projects
from genai.evals.design import read_design
from genai.evals.labels import read_labels
from genai.evals.scorecard import read_scorecard
from genai.evals.suite import load_suite
from genai.governance.usecase import load_usecase
from genai.guards.lists import Lists
from genai.project import Project
from genai.rag.calibrate import read_calibration
from genai.reports.alerts import load_alerts
from genai.reports.business import load_business
from genai.reports.business.report import known_figure
from genai.reports.invoices import load_formats
from genai.wiring.check.names import SETTINGS, names
from genai.wiring.check.names import Check as Check
from genai.wiring.check.names import users_apart as users_apart
from genai.wiring.check.recipes import check_recipe, is_recipe, text_of
from genai.wiring.check.suites import check_loop, check_program, check_suite
from genai.wiring.check.unread import FOLDERS
from genai.wiring.check.unread import unread_files as unread_files
from genai.wiring.guards import load_guards
from genai.wiring.parts import prices, settings


def checks() -> dict[str, Check]:
    """Give what there is to check in the project: a name, and what raises where it is wrong."""
    found = projects.find_project()
    made: dict[str, Check] = {
        SETTINGS: settings,
        "configs/prices.yaml": lambda: prices().names(),
        **dict(names(found)),
    }
    if (found.root / "prompts").is_dir():  # without prompts there is no chain to guard
        made["configs/guards.yaml"] = partial(_check_guards, found)
    for pattern, load in _READERS.items():
        for path in sorted(found.root.glob(pattern)):
            made.setdefault(path.relative_to(found.root).as_posix(), partial(load, path))
    for path in sorted(found.root.glob("configs/*.yaml")):  # those that a command takes by name
        name = path.relative_to(found.root).as_posix()
        if is_recipe(path):
            made.setdefault(name, partial(check_recipe, path))
        elif _GUARD.search(text_of(path)):
            made.setdefault(name, partial(_check_guards, found, path))
    return made


def _check_guards(project: Project, path: Path | None = None) -> None:
    load_guards(project, path=path).try_detectors()


def _business(path: Path) -> None:
    for criterion in load_business(path).kill:
        known_figure(criterion)


_GUARD = re.compile(r"^\s*- *\{? *guard:", re.MULTILINE)
_READERS: dict[str, Callable[[Path], object]] = {
    "configs/loop.yaml": check_loop,
    "configs/alerts.yaml": load_alerts,
    "configs/invoices.yaml": load_formats,
    "configs/business.yaml": _business,
    "configs/usecases/*.yaml": load_usecase,
    **{
        f"configs/guards/{name}": lambda path: Lists(path.parent).read(path.stem)
        for name in FOLDERS["guards"]
    },
    "configs/calibration/*.json": read_calibration,
    **{f"configs/{method}.yaml": check_recipe for method in ("sft", "dpo", "kto", "orpo")},
    "evals/*.yaml": check_suite,
    "finetune/**/*.yaml": load_suite,
    "evals/baselines/*/*.jsonl": read_scorecard,
    "evals/labels/*.jsonl": read_labels,
    "evals/designs/*.yaml": lambda path: read_design(path.parent.parent, path.stem),
    **dict.fromkeys(
        ("evals/**/test_*.py", "evals/**/*_test.py", "evals/**/conftest.py", "apps/**/*.py",
         "finetune/*.py"),
        check_program,
    ),
}  # fmt: skip

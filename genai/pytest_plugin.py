"""Run suites as tests: `pytest evals/`. Costs nothing where there is no suite.

A YAML file with a `suite:` key in a folder named `evals` gives one test a metric. Python tests use
the fixtures `project`, `chain` and `evaluate`. An unmeasured metric fails its test, and when
nothing is worse the run ends with exit status 14.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from genai import Chain, Report
    from genai.project import Project

_UNMEASURED_EXIT = 14
_reports = pytest.StashKey[dict[Path, "Report"]]()
_chain = pytest.StashKey["Chain"]()
_kinds = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all named `--evals-*`."""
    group = parser.getgroup("evals", "genai suites")
    group.addoption("--evals-model", help="run the suites on this model")
    group.addoption("--evals-junit", metavar="FOLDER", help="write <suite>.xml there")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SuiteFile | None":
    """Collect `evals/*.yaml` that hold a suite."""
    if file_path.suffix != ".yaml" or file_path.parent.name != "evals":
        return None
    with file_path.open(encoding="utf-8", errors="replace") as file:
        if not any(line.startswith("suite:") for line in file):
            return None
    return SuiteFile.from_parent(parent, path=file_path)


class SuiteFile(pytest.File):
    """A suite: run once, when its first metric is asked for."""

    def collect(self) -> Iterator["MetricItem"]:
        """Give one test a metric."""
        from genai.errors import CaseError
        from genai.evals import load_suite

        try:
            suite = load_suite(self.path)
        except CaseError as error:
            raise self.CollectError(str(error)) from error
        for name in suite.metrics:
            yield MetricItem.from_parent(self, name=name)


class MetricItem(pytest.Item):
    """One metric of one suite."""

    def runtest(self) -> None:
        """Fail unless the metric was measured and keeps its limit."""
        metric = _report(self.config, self.path).metric(self.name)
        if metric.state != "pass":
            self.config.stash.setdefault(_kinds, set()).add(metric.state)
            raise MetricFailed(metric.words())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what was measured, not where our code raised."""
        if isinstance(excinfo.value, MetricFailed):
            return str(excinfo.value)
        from genai.errors import GenaiError

        if isinstance(excinfo.value, GenaiError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the test as suite and metric."""
        return self.path, None, f"{self.path.stem}: {self.name}"


class MetricFailed(Exception):
    """A metric broke its limit or is unmeasured."""


def _report(config: pytest.Config, path: Path) -> "Report":
    reports = config.stash.setdefault(_reports, {})
    if path not in reports:
        import genai

        report = genai.evaluate(path, _open_chain(config), record=genai.open_ledger().record)
        folder = config.getoption("--evals-junit")
        if folder:
            report.junit(Path(folder) / f"{path.stem}.xml")
        reports[path] = report
    return reports[path]


def _open_chain(config: pytest.Config) -> "Chain":
    if _chain not in config.stash:
        import genai

        chain = genai.load(model=config.getoption("--evals-model"))
        folder = genai.find_project().root / chain.config.index.documents
        chain.index.sync(folder, wait=120)  # another worker may be writing it
        config.stash[_chain] = chain
    return config.stash[_chain]


@pytest.fixture(scope="session")
def project() -> "Project":
    """The project around the working folder: `.root` and `.state`."""
    import genai

    return genai.find_project()


@pytest.fixture(scope="session")
def chain(pytestconfig: pytest.Config) -> "Chain":
    """The configured chain, its index in step with the documents."""
    return _open_chain(pytestconfig)


@pytest.fixture(scope="session")
def evaluate(pytestconfig: pytest.Config) -> Callable[[str], "Report"]:
    """Run a suite of `evals/` by name, once a session: `evaluate("handbook").metric("...")`."""

    def run(suite: str) -> "Report":
        import genai

        return _report(pytestconfig, genai.find_project().root / "evals" / f"{suite}.yaml")

    return run


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print each suite's table, when one ran."""
    for report in config.stash.get(_reports, {}).values():
        terminalreporter.section(f"suite {report.suite}")
        terminalreporter.write_line(report.text())


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Say by the exit status when something is unmeasured and nothing is worse."""
    kinds = session.config.stash.get(_kinds, set())
    if (
        exitstatus == 1
        and kinds == {"unmeasured"}
        and session.testsfailed
        <= len(
            [
                m
                for r in session.config.stash[_reports].values()
                for m in r.metrics
                if m.state == "unmeasured"
            ]
        )
    ):
        session.exitstatus = _UNMEASURED_EXIT

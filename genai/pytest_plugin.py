"""Run suites as tests: `pytest evals/`. Costs nothing where there is no suite.

A YAML file with a `suite:` key in a folder named `evals` gives one test a metric, which fails when
a limit is broken, when the metric is worse than the baseline, or when it is unmeasured. Python
tests use the fixtures `project`, `chain`, `task` and `evaluate`; one that asks for `case` runs once
for each case of `evals/<suite>.yaml` beside `test_<suite>.py`, or of `@pytest.mark.suite("name")`.
What stands in an `evals` runs in the project around it, wherever pytest was started.

Where nothing is worse, the exit status says what is wrong: 12 undecided before a release, 13 money,
14 unmeasured or not comparable.
"""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from genai import Chain, Decision, Report
    from genai.evals import Suite
    from genai.project import Project

_STATUS = {"money": 13, "unmeasured": 14, "undecided": 12}  # in this order, after plain failures
_Judged = tuple["Report", "Decision | None"]
_done = pytest.StashKey[dict[Path, _Judged | Exception]]()
_tasks = pytest.StashKey[dict[tuple[Path, str], Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, all named `--evals-*`."""
    group = parser.getgroup("evals", "genai suites")
    group.addoption("--evals-model", default="", help="run the suites on this model")
    group.addoption("--evals-stage", choices=("pull_request", "release"),
                    help="how strict: undecided fails a release only")  # fmt: skip
    group.addoption("--evals-baseline", default="", help="compare with this baseline")
    group.addoption("--evals-reports", metavar="FOLDER",
                    help="write <suite>.xml, .md and .html there")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker, and gather verdicts where the exit status is decided."""
    config.addinivalue_line("markers", "suite(name): the suite whose cases a test runs on")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Verdicts(config), "genai-verdicts")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SuiteFile | None":
    """Collect `evals/*.yaml` that hold a suite."""
    if file_path.suffix != ".yaml" or file_path.parent.name != "evals":
        return None
    with file_path.open(encoding="utf-8-sig", errors="replace") as file:
        if not any(line.startswith("suite:") for line in file):
            return None
    return SuiteFile.from_parent(parent, path=file_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run what stands in an `evals` in its own project, unless `GENAI_PROJECT` names one."""
    if item.path.parent.name != "evals" or "GENAI_PROJECT" in os.environ:
        return (yield)
    from genai.project import find_project

    root = find_project(item.path.parent).root
    if root not in item.path.parents:  # a Python test without a suite beside it
        return (yield)
    os.environ["GENAI_PROJECT"] = str(root)
    try:
        return (yield)
    finally:
        del os.environ["GENAI_PROJECT"]


class SuiteFile(pytest.File):
    """A suite: run once, when its first metric is asked for."""

    suite: "Suite"

    def collect(self) -> Iterator["MetricItem"]:
        """Give one test a metric."""
        from genai.errors import CaseError
        from genai.evals import load_suite

        try:
            self.suite = load_suite(self.path)
        except CaseError as error:
            raise self.CollectError(str(error)) from error
        for name in self.suite.metrics:
            yield MetricItem.from_parent(self, name=name)


class MetricItem(pytest.Item):
    """One metric of one suite."""

    def runtest(self) -> None:
        """Fail unless the metric was measured, keeps its limit, and is not worse than before."""
        from genai.evals.report.findings import RUN, findings

        suite = self.parent.suite if isinstance(self.parent, SuiteFile) else self.path
        report, decision = _judged(self.config, self.path, suite)
        self.user_properties.append(("genai_run", str(report.folder)))
        every = findings(report, decision)
        # what belongs to no metric is on each, so that no choice of tests leaves it out
        found = [*every.get(self.name, []), *every.get(RUN, [])]
        failing = [each for each in found if each.fails]
        if failing:
            self.user_properties.append(("genai_kind", failing[0].kind))
            raise MetricFailed("\n".join(each.text(decision) for each in failing))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what was measured, not where our code raised."""
        from genai.errors import GenaiError

        if isinstance(excinfo.value, MetricFailed | GenaiError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the test as suite and metric."""
        return self.path, None, f"{self.path.stem}: {self.name}"


class MetricFailed(Exception):
    """A metric broke its limit, is worse than before, or is unmeasured."""


def _judged(config: pytest.Config, path: Path, suite: "Suite | Path") -> _Judged:
    """Run a suite once a session; what it raises is raised again for each of its metrics."""
    done = config.stash.setdefault(_done, {})
    if path not in done:
        try:
            done[path] = _run(config, suite)
        except Exception as error:
            done[path] = error
    found = done[path]
    if isinstance(found, Exception):
        raise found
    return found


def _run(config: pytest.Config, suite: "Suite | Path") -> _Judged:
    import genai
    from genai.evals import load_suite
    from genai.evals.report import check_before

    loaded = load_suite(suite) if isinstance(suite, Path) else suite
    baseline = config.getoption("--evals-baseline") or None
    check_before(loaded, baseline, _files(config, loaded.name).values())
    options = {}
    if config.getoption("--evals-stage"):
        options["stage"] = config.getoption("--evals-stage")
    worker = getattr(config, "workerinput", None)
    if worker is not None:  # the workers of one session share one run
        options["name"] = f"session-{worker['testrunuid']}"
    report = genai.evaluate(loaded, _task(config, loaded.settings.task), **options)
    return report, report.judged(baseline)


def _files(config: pytest.Config, name: str) -> dict[str, Path]:
    """Say to which file each form of a suite's report goes; nowhere unless it was asked for."""
    folder = config.getoption("--evals-reports")
    endings = {"junit": "xml", "markdown": "md", "html": "html"} if folder else {}
    return {form: Path(folder) / f"{name}.{ending}" for form, ending in endings.items()}


def _task(config: pytest.Config, name: str) -> Any:
    import genai

    tasks, root = config.stash.setdefault(_tasks, {}), genai.find_project().root
    if (root, name) not in tasks:
        from genai.wiring.tasks import open_task

        for other, named in tasks:
            if named == name and ":" in name:  # it would be the other's
                raise genai.InputError(
                    f"task {name!r}: {other} has one of this name too, and Python loads a module"
                    f" once; run each by itself: pytest {root / 'evals'}"
                )
        tasks[root, name] = open_task(name, model_name=config.getoption("--evals-model"))
    return tasks[root, name]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `case` once for each case of its suite."""
    if "case" not in metafunc.fixturenames or metafunc.definition.path.parent.name != "evals":
        return
    from genai.evals import load_suite

    marker = metafunc.definition.get_closest_marker("suite")
    own = metafunc.definition.path.stem.removeprefix("test_")
    name = str(marker.args[0]) if marker else own
    cases = load_suite(metafunc.definition.path.parent / f"{name}.yaml").cases
    metafunc.parametrize("case", cases, ids=[case.id for case in cases])


@pytest.fixture(scope="module")
def project() -> "Project":
    """The project around the test: `.root` and `.state`."""
    import genai

    return genai.find_project()


@pytest.fixture(scope="module")
def chain(pytestconfig: pytest.Config) -> "Chain":
    """The configured chain, its index in step with the documents."""
    found: Chain = _task(pytestconfig, "chain")
    return found


@pytest.fixture
def task(request: pytest.FixtureRequest) -> Any:
    """What the suite of this test judges: call it with an input."""
    from genai.evals import load_suite

    marker = request.node.get_closest_marker("suite")
    name = str(marker.args[0]) if marker else request.path.stem.removeprefix("test_")
    path = request.path.parent / f"{name}.yaml"
    return _task(request.config, load_suite(path).settings.task if path.exists() else "chain")


@pytest.fixture(scope="module")
def evaluate(pytestconfig: pytest.Config) -> Callable[[str], "Report"]:
    """Run a suite of `evals/` by name, once a session: `evaluate("handbook").metric("...")`."""

    def run(suite: str) -> "Report":
        import genai

        path = genai.find_project().root / "evals" / f"{suite}.yaml"
        return _judged(pytestconfig, path, path)[0]

    return run


class Verdicts:
    """What the tests said of themselves; under xdist it is gathered where the verdict is given."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._kinds: list[str] = []
        self._folders: dict[str, None] = {}
        self._unwritten = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the kind of a failure and the folder of a run."""
        said = dict(report.user_properties)
        if report.failed:
            self._kinds.append(str(said.get("genai_kind", "worse")))
        if "genai_run" in said:
            self._folders[str(said["genai_run"])] = None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print each suite's table and decision, and write the reports that were asked for."""
        if not self._folders:
            return
        from genai.errors import CaseError
        from genai.evals import read_report
        from genai.evals.report.text import decision_text, no_baseline

        reports = [read_report(Path(each)) for each in self._folders]
        for report in reports:
            name = report.suite
            if sum(each.suite == name for each in reports) > 1:  # of several projects
                project = os.path.relpath(report.evals.parent, self._config.rootpath)
                name = f"{project.replace(os.sep, '-')}-{name}"
            decision = report.judged(self._config.getoption("--evals-baseline") or None)
            terminalreporter.section(f"suite {report.suite}")
            terminalreporter.write_line(report.text())
            terminalreporter.write_line(
                decision_text(decision) if decision else no_baseline(report)
            )
            try:
                report.save_all(_files(self._config, name), decision)
            except CaseError as error:
                self._unwritten = True
                terminalreporter.write_line(str(error))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, None, None]:
        """Say by the exit status what is wrong where nothing is worse."""
        yield  # the reports are written, and other plugins have had their say of the status
        kinds = set(self._kinds)
        if exitstatus == 1 and kinds <= set(_STATUS) and session.testsfailed <= len(self._kinds):
            session.exitstatus = next(status for kind, status in _STATUS.items() if kind in kinds)
        if self._unwritten and not session.exitstatus:
            session.exitstatus = 1

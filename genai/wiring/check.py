"""What `genai check` reads: every settings file, and each name in one that must lead somewhere."""

import difflib
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from genai import project as projects
from genai.config import Config
from genai.errors import CaseError, ConfigError, GenaiError, ModelError, PromptError, shown
from genai.evals import Suite, load_suite
from genai.evals.design import read_design
from genai.evals.judge.ask import NO_JUDGE
from genai.evals.labels import read_labels
from genai.evals.make import read_drafts
from genai.evals.metrics import known_scorers
from genai.evals.scorecard import read_scorecard
from genai.evals.scorers import own_scorer
from genai.evals.vary import check_variants
from genai.finetune.recipe import load_recipe
from genai.governance.usecase import load_usecase
from genai.guards.lists import Lists
from genai.loop import load_loop
from genai.models.door import FORMS
from genai.project import Project
from genai.prompts import load_prompt, prompt_names
from genai.rag.calibrate import read_calibration
from genai.rag.rerank import open_reranker
from genai.rag.split import Splitting, splitter_id
from genai.reports.alerts import load_alerts
from genai.reports.business import load_business
from genai.reports.business.report import known_figure
from genai.reports.invoices import load_formats
from genai.wiring.guards import load_guards
from genai.wiring.parts import embedder, model, prices, settings
from genai.wiring.tasks import open_task

Check = Callable[[], object]
_SETTINGS = "configs/genai.yaml"


def checks() -> dict[str, Check]:
    """Give what there is to check in the project: a name, and what raises where it is wrong."""
    found = projects.find_project()
    made: dict[str, Check] = {
        _SETTINGS: settings,
        "configs/prices.yaml": lambda: prices().names(),
        **dict(_names(found)),
    }
    if (found.root / "prompts").is_dir():  # without prompts there is no chain to guard
        made["configs/guards.yaml"] = lambda: load_guards(found)
    for pattern, load in _READERS.items():
        for path in sorted(found.root.glob(pattern)):
            made.setdefault(str(path.relative_to(found.root)), partial(load, path))
    return made


def _names(project: Project) -> Iterator[tuple[str, Check]]:
    """Give each name in the settings that a file, a package or a provider must have."""
    try:
        config = settings(project)
    except GenaiError:
        return  # told by the check of the file itself
    chain, index = config.chain, config.index
    models = [
        ("chain.model", chain.model),
        ("chain.judge", chain.judge),
        ("chain.rewrite", chain.rewrite),
        ("evals.judge", config.evals.judge),
    ]
    for name, each in config.models.items():
        models += [(f"models.{name}", other) for other in (*each.fallbacks, *each.weights)]
    for key, name in models:
        if name not in ("", "off", "auto"):
            yield f"{key}: {name}", partial(_told, key, partial(_opened, name))
    yield "embedder", partial(_told, "embedder", partial(embedder, project, config))
    yield "index.splitter", lambda: splitter_id(Splitting.from_settings(index))
    if chain.rerank not in ("off", "judge"):
        yield "chain.rerank", lambda: open_reranker(chain.rerank)
    yield "folders", partial(_folders, project, config)


def _told(key: str, read: Check) -> None:
    try:
        read()
    except (ModelError, PromptError) as error:
        raise ConfigError(f"{_SETTINGS}: `{key}`: {error}") from error


def _opened(name: str) -> None:
    """Open a model. LiteLLM knows more providers than we do; one that is nearly ours is a slip."""
    model(name)
    provider = name.partition("/")[0]
    known = {each.partition("/")[0] for each in (*FORMS, *prices().names())}
    close = difflib.get_close_matches(provider, known, n=1, cutoff=0.8)
    if close and provider not in known:
        raise ModelError(
            f"model {name!r}: `{provider}` is no provider; did you mean `{close[0]}`?",
            "unknown_model",
        )


def _folders(project: Project, config: Config) -> None:
    prompts, name = project.root / "prompts", config.chain.prompt
    if prompts.is_dir() and name.partition("@")[0] not in prompt_names(prompts):
        _told("chain.prompt", partial(load_prompt, name, prompts))
    documents = config.index.documents
    if "documents" in config.index.model_fields_set and not (project.root / documents).is_dir():
        raise ConfigError(
            f"{_SETTINGS}: `index.documents`: {documents} is not a folder; make it, or name yours"
        )


def _suite(path: Path) -> None:
    """Read a suite, and open what it names: its task, its own scorers, its judge."""
    suite = load_suite(path)
    if suite.name != path.stem:
        raise CaseError(f"{shown(path)}: `suite`: {suite.name} is not the file's name; use it")
    check_variants(suite)
    read_drafts(suite)
    named: list[Check] = [
        partial(own_scorer, name, metric.scorer, path.parent.parent)
        for name, metric in suite.metrics.items()
        if metric.scorer and ":" in metric.scorer
    ]
    if suite.settings.task not in ("chain", "model"):
        named.append(partial(open_task, suite.settings.task))
    if suite.settings.judge:
        named.append(partial(_opened, suite.settings.judge))
    elif not settings().evals.judge:
        named.append(partial(_unjudged, suite))
    for read in named:
        try:
            read()
        except Exception as error:  # whatever a module of theirs raises when it is imported
            raise CaseError(f"{shown(path)}: {str(error) or type(error).__name__}") from error


def _unjudged(suite: Suite) -> None:
    for name, metric in suite.metrics.items():
        scorer = known_scorers().get(metric.scorer or name)
        if scorer is not None and "judge" in scorer.needs:
            raise CaseError(f"`metrics.{name}`: {NO_JUDGE}")


def _loop(path: Path) -> None:
    """Read the loop's settings, and the suites, metrics and judge that they name."""
    loop, name = load_loop(path), shown(path)
    suites = {each.stem for each in (path.parent.parent / "evals").glob("*.yaml")}
    for key, suite in (("cases", loop.cases), ("canary.suite", loop.canary.suite)):
        if suites and suite not in suites:  # a project may have none yet
            raise ConfigError(f"{name}: `{key}`: evals/{suite}.yaml does not exist; name a suite")
    for each, metric in loop.online.metrics.items():
        scorer = metric.scorer or each
        if ":" not in scorer and scorer not in known_scorers():
            close = difflib.get_close_matches(scorer, known_scorers(), n=1)
            hint = f"did you mean `{close[0]}`?" if close else "see docs/testing.md for those known"
            raise ConfigError(f"{name}: `online.metrics`: `{scorer}` is not a metric; {hint}")
    if loop.online.judge:
        try:
            _opened(loop.online.judge)
        except ModelError as error:
            raise ConfigError(f"{name}: `online.judge`: {error}") from error


def _business(path: Path) -> None:
    for criterion in load_business(path).kill:
        known_figure(criterion)


def _recipe(path: Path) -> None:
    """Read a recipe and the suite that gates it, which a project holds from its start."""
    recipe = load_recipe(path)
    found, name = projects.find_project(), recipe.evals.suite
    if not (found.root / name).is_relative_to(found.state) and not (found.root / name).is_file():
        raise ConfigError(f"{shown(path)}: `evals.suite`: {name} does not exist; mend it")
    if (found.root / name).is_file():
        metrics = load_suite(found.root / name).metrics
        if recipe.evals.metric not in metrics:
            raise ConfigError(
                f"{shown(path)}: `evals.metric`: {recipe.evals.metric} is no metric of {name}; use"
                f" {', '.join(metrics)}"
            )


def _other(path: Path) -> None:
    """Read a file in `configs/` that no fixed name has: a recipe, or a name that was misspelt."""
    known = ["genai.yaml", "guards.yaml", "prices.yaml", *(Path(each).name for each in _READERS)]
    if path.name in known:
        return
    if re.search(r"^method:", path.read_text("utf-8", "replace"), re.MULTILINE):
        _recipe(path)
    elif close := difflib.get_close_matches(path.name, known, n=1, cutoff=0.8):
        raise ConfigError(f"{shown(path)}: nothing reads this file; did you mean {close[0]}?")


def _unread(path: Path) -> None:
    """Refuse a file of ours under an ending that nothing reads."""
    suite = path.parent.name == "evals"
    text = path.read_text("utf-8", "replace")
    known = {Path(each).stem for each in _READERS} | {"genai", "guards", "prices"}
    if re.search("^suite:", text, re.MULTILINE) if suite else path.stem in known:
        raise ConfigError(f"{shown(path)}: nothing reads this file; call it {path.stem}.yaml")


_READERS: dict[str, Callable[[Path], object]] = {
    "configs/loop.yaml": _loop,
    "configs/alerts.yaml": load_alerts,
    "configs/invoices.yaml": load_formats,
    "configs/business.yaml": _business,
    "configs/usecases/*.yaml": load_usecase,
    "configs/guards/*.yaml": lambda path: Lists(path.parent).read(path.stem),
    "configs/calibration/*.json": read_calibration,
    **{f"configs/{method}.yaml": _recipe for method in ("sft", "dpo", "kto", "orpo")},
    "configs/*.yaml": _other,
    "configs/*.yml": _unread,
    "evals/*.yaml": _suite,
    "evals/*.yml": _unread,
    "finetune/**/*.yaml": load_suite,
    "evals/baselines/*/*.jsonl": read_scorecard,
    "evals/labels/*.jsonl": read_labels,
    "evals/designs/*.yaml": lambda path: read_design(path.parent.parent, path.stem),
}

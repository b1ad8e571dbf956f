"""Open a project's models, priced and recorded: its settings, its ledger, its prices."""

import os
import threading
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import project as projects
from genai.config import (
    BudgetSettings,
    Config,
    LedgerSettings,
    ModelSettings,
    load_config,
    read_yaml,
    settings_of,
    validate,
)
from genai.errors import ConfigError
from genai.ledger import Budgets, Ledger, Limit, Prices, merged
from genai.ledger.prices import load_all
from genai.models import Embedder, Hooks, Model, make_embedder, open_model, worst_case
from genai.models.batch import Batch
from genai.models.files import File, upload_file
from genai.models.replay import Mode, Replay
from genai.project import Project, starter
from genai.types import Context, Passage

if TYPE_CHECKING:
    from genai.guards import Policy
    from genai.guards.judge import Ask
    from genai.ledger.otel import Telemetry
_NO_LLM = "extractive"
_lock = threading.Lock()


def settings(project: Project | None = None, **overrides: Any) -> Config:
    """Read the project's settings. Raises `ConfigError`."""
    found = project or projects.find_project()
    return load_config(found.root / "configs" / "genai.yaml", **overrides)


@lru_cache(maxsize=8)
def _ledger(project: Project, chosen: LedgerSettings) -> Ledger:
    return Ledger(
        project.state / "ledger.db",
        url=chosen.url,
        content=chosen.content,
        durability=chosen.durability,
        clean=_cleaner(project, at_once=chosen.content != "none"),
    )


def _cleaner(project: Project, *, at_once: bool) -> Callable[[str], str]:
    """Give what every text goes through before it is kept: the guards of the place `log`.

    They are opened `at_once` or for the first text: a comment is kept where no other text is.
    A project without a policy of its own has the starter's.
    """
    opened: list[Policy] = []

    def policy() -> "Policy":
        from genai.wiring.policy import open_policy

        if not opened:
            files = (root / "configs" / "guards.yaml" for root in (project.root, starter()))
            path = next((each for each in files if each.is_file()), None)
            opened.append(open_policy(project, judge(project), path))
        return opened[0]

    def clean(text: str) -> str:
        from genai.guards.base import STOPS

        guards = policy()
        verdicts = guards.check(text, "log")
        stopped = guards.combine(verdicts) in STOPS
        return "[a guard stopped this text]" if stopped else guards.apply(text, verdicts)

    if at_once:
        policy()
    return clean


def open_ledger(project: Project | None = None) -> Ledger:
    """Open the project's ledger; one object a process. Raises `LedgerUnusable`."""
    found = project or projects.find_project()
    with _lock:
        return _ledger(found, settings(found).ledger)


@lru_cache(maxsize=8)
def _prices(path: Path) -> Prices:
    data = read_yaml(path) if path.is_file() else {}
    return Prices.read(data, "configs/prices.yaml", partial(load_all, path.with_suffix("")))


def _price(project: Project) -> Prices:
    return _prices(project.root / "configs" / "prices.yaml")


def prices() -> Prices:
    """Give the project's prices."""
    return _price(projects.find_project())


def models_in_use() -> set[str]:
    """Give the models that the settings name or the ledger has seen."""
    config = settings()
    named = {config.chain.model, config.chain.judge, config.evals.judge, config.embedder}
    named |= {*config.models, config.chain.rewrite} - {"off", "auto"}
    for each in config.models.values():
        named |= {*each.fallbacks, *each.weights}
    seen = {row.model for row in open_ledger().summary().models}
    return {name.partition("@")[0] for name in named | seen if name}


def model(
    name: str = "",
    *,
    client: object | None = None,
    provider: Any = None,
    record: Any = None,
    **overrides: Any,
) -> Model:
    """Open a model by name (default: the configured one), priced and recorded.

    `overrides` are the keys of a `models:` entry, such as `base_url` and `timeout`.
    `client` is your own `openai` client; `provider` your own object with `stream`.

    Raises:
        ModelError: the name has no known form.
        ConfigError: an override is no such key, or has a wrong value.
    """
    found = projects.find_project()
    config = settings(found)
    name = name or config.chain.model
    chosen = settings_of(name, config.models)
    if overrides:
        given = {**chosen.model_dump(), **overrides}
        chosen = validate(ModelSettings, given, f"genai.model({name!r})")
    return open_model(
        name,
        settings=chosen,
        client=client,
        provider=provider,
        others=config.models,
        hooks=hooks(found, config, record, sent=record is None),
    )


def open_named(project: Project, config: Config, name: str, record: Any = None) -> Model:
    """Open a model by its name in a project's settings. Raises `ModelError`."""
    return open_model(
        name,
        settings=settings_of(name, config.models),
        others=config.models,
        hooks=hooks(project, config, record),
    )


def batch(name: str = "", *, client: object | None = None) -> Batch:
    """Open a model for batches, half the price within a day (default: the configured model).

    Raises:
        ModelError: the model takes no batches.
    """
    found = projects.find_project()
    config = settings(found)
    name = name or config.chain.model
    chosen = settings_of(name, config.models)
    return Batch(
        name,
        base_url=chosen.base_url,
        api_key_env=chosen.api_key_env,
        client=client,
        hooks=hooks(found, config),
    )


def upload(path: str | Path, model: str = "", *, client: object | None = None) -> File:
    """Store a file at a model's provider (default: the configured model's), for its messages.

    The result is a piece of a message's content, until its `delete()`.

    Raises:
        InputError: there is no such file, or it is empty or too large.
        ModelError: the model's provider keeps no files, or the server refused.
    """
    config = settings()
    name = model or config.chain.model
    chosen = settings_of(name, config.models)
    return upload_file(
        path, name, base_url=chosen.base_url, api_key_env=chosen.api_key_env, client=client
    )


def hooks(project: Project, config: Config, record: Any = None, *, sent: bool = True) -> Hooks:
    """Give what every call of this project passes: prices, ledger, limits, replay.

    `sent` notes each request as it leaves; not for rows that never reach the ledger.
    """
    ledger = open_ledger(project)
    replay = config.replay
    prices = _price(project)
    return Hooks(
        price=prices.cost,
        worst=partial(worst_case, prices.cost, prices.entry),
        budgets=_budgets(ledger, tuple(config.budgets)) if config.budgets else None,
        record=record or ledger.record,
        sent=ledger.sent if sent else None,
        limits=project.state / "limits",
        telemetry=telemetry(config),
        replay=None
        if replay.mode == "off"
        else _replay(project.state.parent / replay.path, replay.mode),
    )


@lru_cache(maxsize=8)
def _budgets(ledger: Ledger, chosen: tuple[BudgetSettings, ...]) -> Budgets:
    limits = [
        Limit(each.scope, Decimal(each.limit), each.match, each.period, each.unpriced)
        for each in chosen
    ]
    return Budgets(ledger.database, limits, ledger.user_key)


def telemetry(config: Config) -> "Telemetry | None":
    """Give what calls and turns are told to as spans, where the settings turn it on."""
    return _telemetry(config.telemetry.content) if config.telemetry.enabled else None


@lru_cache(maxsize=2)
def _telemetry(content: bool) -> "Telemetry":
    """Send to the collector the standard variables name, else to the program's own providers."""
    from genai.ledger.otel import Telemetry, otlp

    if any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
        return otlp(content=content)
    return Telemetry(content=content)


def _replay(path: Path, mode: Mode) -> Replay:
    """Open the store of replies. In CI a recording only gives what it has; `refresh` asks."""
    building = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return _opened(path, "replay" if mode == "record" and building else mode)


@lru_cache(maxsize=8)
def _opened(path: Path, mode: Mode) -> Replay:
    return Replay(path, mode)


def embedder(project: Project, config: Config, record: Any = None) -> Embedder:
    """Open the configured embedder, priced and recorded."""
    name, around = config.embedder, hooks(project, config, record)
    chosen = config.models.get(name)
    if chosen is None:
        plain = config.models.get(name.partition("@")[0])
        # an entry that leads to another server may hold that one's key
        chosen = plain if plain is not None and plain.base_url is None else None
    return make_embedder(name, settings=chosen, hooks=around)


def judge(project: Project, record: Any = None) -> "Ask | None":
    """Give the way in which a guard asks the judge model; None where no LLM is configured.

    `record` takes the rows instead of the ledger.
    """
    try:
        config = settings(project)
    except ConfigError:  # whoever reads the settings for their own sake says so
        return None
    name = config.evals.judge or config.chain.model
    if name == _NO_LLM:
        return None
    opened: list[Model] = []

    def ask(prompt: str, text: str) -> str:
        from genai.prompts import load_prompt

        if not opened:
            opened.append(open_named(project, config, name, record))
        asked = load_prompt(prompt, project.root / "prompts")
        context = merged(Context(prompt_id=asked.id, feature="guard"))
        judged = [Passage("text", "text", 0, len(text), text)]  # in a fence
        return opened[0](asked.render(text=judged), context=context, **asked.params).text

    return ask

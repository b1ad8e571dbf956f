"""Put a project's parts together: what `genai.load()` and the other openers of the face give.

Everything here reads `configs/` and passes settings down; no lower room reads them itself.
"""

import os
import threading
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
    parse_yaml,
)
from genai.guards import Policy, load_policy
from genai.ledger import Budgets, Ledger, Limit, Prices
from genai.ledger.prices import load_all
from genai.models import Embedder, Hooks, Model, make_embedder, open_model, worst_case
from genai.models.batch import Batch
from genai.models.files import File, upload_file
from genai.models.replay import Mode, Replay
from genai.project import Project
from genai.prompts import load_prompt
from genai.rag import Chain
from genai.rag import Index as _Index
from genai.rag.turn import Tally
from genai.wiring.steps import open_steps

if TYPE_CHECKING:
    from genai.ledger.otel import Telemetry
_lock = threading.Lock()


def settings(project: Project | None = None, **overrides: Any) -> Config:
    """Read the project's settings. Raises `ConfigError`."""
    found = project or projects.find_project()
    return load_config(found.root / "configs" / "genai.yaml", **overrides)


@lru_cache(maxsize=8)
def _ledger(path: Path, chosen: LedgerSettings) -> Ledger:
    return Ledger(path, url=chosen.url, content=chosen.content, durability=chosen.durability)


def open_ledger(project: Project | None = None) -> Ledger:
    """Open the project's ledger; one object a process. Raises `LedgerUnusable`."""
    found = project or projects.find_project()
    with _lock:
        return _ledger(found.state / "ledger.db", settings(found).ledger)


@lru_cache(maxsize=8)
def _prices(path: Path) -> Prices:
    data = parse_yaml(path.read_text("utf-8"), "configs/prices.yaml") if path.is_file() else {}
    return Prices.read(data, "configs/prices.yaml", partial(load_all, path.with_suffix("")))


def _price(project: Project) -> Prices:
    return _prices(project.root / "configs" / "prices.yaml")


def prices() -> Prices:
    """Give the project's prices."""
    return _price(projects.find_project())


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
    """
    found = projects.find_project()
    config = settings(found)
    name = name or config.chain.model
    chosen = config.models.get(name, ModelSettings())
    if overrides:
        chosen = ModelSettings.model_validate({**chosen.model_dump(), **overrides})
    return open_model(
        name,
        settings=chosen,
        client=client,
        provider=provider,
        others=config.models,
        hooks=_hooks(found, config, record),
    )


def batch(name: str = "", *, client: object | None = None) -> Batch:
    """Open a model for batches, half the price within a day (default: the configured model).

    Raises:
        ModelError: the model takes no batches.
    """
    found = projects.find_project()
    config = settings(found)
    name = name or config.chain.model
    chosen = config.models.get(name, ModelSettings())
    return Batch(
        name,
        base_url=chosen.base_url,
        api_key_env=chosen.api_key_env,
        client=client,
        hooks=_hooks(found, config),
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
    chosen = config.models.get(name, ModelSettings())
    return upload_file(
        path, name, base_url=chosen.base_url, api_key_env=chosen.api_key_env, client=client
    )


def _hooks(project: Project, config: Config, record: Any = None) -> Hooks:
    """Give what every call of this project passes: prices, ledger, limits, replay."""
    ledger = open_ledger(project)
    replay = config.replay
    prices = _price(project)
    return Hooks(
        price=prices.cost,
        worst=partial(worst_case, prices.cost, prices.entry),
        budgets=_budgets(ledger, tuple(config.budgets)) if config.budgets else None,
        record=record or ledger.record,
        sent=ledger.sent if record is None or isinstance(record, Tally) else None,
        limits=project.state / "limits",
        telemetry=_telemetry(config.telemetry.content) if config.telemetry.enabled else None,
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


@lru_cache(maxsize=2)
def _telemetry(content: bool) -> "Telemetry":
    """Send to the collector the standard variables name, else to the program's own providers."""
    from genai.ledger.otel import Telemetry, otlp

    if any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
        return otlp(content=content)
    return Telemetry(content=content)


@lru_cache(maxsize=8)
def _replay(path: Path, mode: Mode) -> Replay:
    return Replay(path, mode)


def load_guards(project: Project | None = None) -> Policy:
    """Read the project's guard policy. Raises `ConfigError`."""
    found = project or projects.find_project()
    return load_policy(found.root / "configs" / "guards.yaml")


def embedder(project: Project, config: Config, record: Any = None) -> Embedder:
    """Open the configured embedder, priced and recorded."""
    chosen = config.models.get(config.embedder, ModelSettings())
    hooks = _hooks(project, config, record)
    return make_embedder(config.embedder, base_url=chosen.base_url, hooks=hooks)


_embed = embedder


class Index(_Index):
    """An index of the project, by name: `genai.Index("handbook").sync("docs/")`."""

    def __init__(
        self,
        name: str = "",
        *,
        embedder: Embedder | None = None,
        project: Project | None = None,
        config: Config | None = None,
    ) -> None:
        found = project or projects.find_project()
        config = config or settings(found)
        super().__init__(
            found.state / "indexes" / (name or config.chain.index),
            embedder or _embed(found, config),
            config.index,
            open_embedder=partial(_embedder_named, found),
        )


def _embedder_named(project: Project, name: str) -> Embedder:
    """Open an embedder by name as the project would, in a worker too."""
    return embedder(project, settings(project).model_copy(update={"embedder": name}))


def load(
    project: Project | None = None, *, model: Any = None, index: Any = None, **overrides: Any
) -> Chain:
    """Wire the configured chain: model, prompt, index, guards, ledger.

    `model` may be a name, or a Model of your own; `index` an index of your own, or what
    `genai.from_langchain` makes of a retriever. Other overrides are dotted settings with `__`,
    such as `chain__top_k=3`.

    Raises:
        ConfigError: a wrong key; names file, key and cure.
        ModelError: an unknown model name.
        PromptError: the prompt file is missing or wrong.
    """
    found = project or projects.find_project()
    name = model if isinstance(model, str) else None
    config = settings(found, chain__model=name, **overrides)
    tally = Tally(open_ledger(found).record)
    own = embedder(found, config, tally)
    opened = (
        model
        if isinstance(model, Model)
        else _named_model(found, config, config.chain.model, tally)
    )
    return Chain(
        model=opened,
        prompt=load_prompt(config.chain.prompt, found.root / "prompts"),
        index=index or _index(found, config, own),
        guards=load_guards(found),
        config=config,
        steps=open_steps(
            found, config, own, opened, partial(_named_model, found, config, tally=tally)
        ),
        tally=tally,
    )


def _index(project: Project, config: Config, embedder: Embedder) -> Any:
    """Open the configured index, or the LangChain retriever that stands in its place."""
    prefix, _, path = config.chain.index.partition("/")
    if prefix != "langchain" or not path:
        return Index(embedder=embedder, project=project, config=config)
    from genai.models.langchain import import_object
    from genai.rag.langchain import RetrieverIndex

    return RetrieverIndex(import_object(path, "invoke"), path)


def _named_model(project: Project, config: Config, name: str, tally: Tally) -> Model:
    return open_model(
        name,
        settings=config.models.get(name),
        others=config.models,
        hooks=_hooks(project, config, tally),
    )

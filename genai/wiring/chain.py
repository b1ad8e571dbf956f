"""Put a chain together: embedder, index, guards, prompt, model, as the project's settings say."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from genai import project as projects
from genai.config import Config
from genai.models import Embedder, Model
from genai.models.embedders import address
from genai.project import Project
from genai.prompts import load_prompt
from genai.rag import Chain
from genai.rag import Index as _Index
from genai.rag.turn import Tally
from genai.wiring.guards import Screen, load_guards
from genai.wiring.parts import embedder, open_ledger, open_named, settings, telemetry
from genai.wiring.steps import open_steps

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
        config = config or settings(found, chain__index=name or None)
        screen = Screen(found)
        super().__init__(
            found.state / "indexes" / (name or config.chain.index),
            embedder or _embed(found, config),
            config.index,
            scan=screen.stops,
            scan_id=screen.id,
            open_embedder=_Opener(found),
        )


@dataclass(frozen=True)
class _Opener:
    """Opens an embedder by its address as the project would, in a worker too.

    Two of one project are equal: a worker gets a new one with each part, and opens what it names
    once.
    """

    project: Project

    def __call__(self, where: str) -> Embedder:
        config = settings(self.project)
        name = where.partition("@http")[0]
        chosen = config.models.get(name)
        # what is set under the plain name, a key above all, is for the server that it leads to
        found = name if chosen is not None and address(name, chosen) == where else where
        return embedder(self.project, config.model_copy(update={"embedder": found}))


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
    tally = Tally(open_ledger(found).record, telemetry(config))
    own = embedder(found, config, tally)
    opened = (
        model if isinstance(model, Model) else open_named(found, config, config.chain.model, tally)
    )
    return Chain(
        model=opened,
        prompt=load_prompt(config.chain.prompt, found.root / "prompts"),
        index=index or _index(found, config, own),
        guards=load_guards(found, record=tally),
        config=config,
        steps=open_steps(
            found, config, own, opened, partial(open_named, found, config, record=tally)
        ),
        tally=tally,
    )


def _index(project: Project, config: Config, embedder: Embedder) -> Any:
    """Open the configured index, or the LangChain retriever that stands in its place."""
    prefix, _, path = config.chain.index.partition("/")
    if prefix != "langchain" or not path:
        return Index(embedder=embedder, project=project, config=config)
    from genai.models.langchain.inward import import_object
    from genai.rag.langchain import RetrieverIndex

    return RetrieverIndex(import_object(path, "invoke"), path)

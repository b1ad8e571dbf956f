"""Each name in `configs/genai.yaml` that a file, a package or a provider must have."""

import difflib
import os
from collections.abc import Callable, Iterator
from functools import partial

from genai.config import Config
from genai.errors import ConfigError, GenaiError, ModelError, PromptError
from genai.ledger.users import KEY as USER_KEY
from genai.models.door import FORMS
from genai.project import Project
from genai.prompts import load_prompt, prompt_names
from genai.rag.rerank import open_reranker
from genai.rag.split import Splitting, splitter_id
from genai.wiring.parts import embedder, model, prices, settings

Check = Callable[[], object]
SETTINGS = "configs/genai.yaml"


def names(project: Project) -> Iterator[tuple[str, Check]]:
    """Give each name with what raises where it leads nowhere."""
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
            yield f"{key}: {name}", partial(_told, key, partial(opened, name))
    yield "embedder", partial(_told, "embedder", partial(embedder, project, config))
    yield "index.splitter", lambda: splitter_id(Splitting.from_settings(index))
    if chain.rerank not in ("off", "judge"):
        yield "chain.rerank", lambda: open_reranker(chain.rerank)
    yield "folders", partial(_folders, project, config)


def users_apart() -> list[str]:
    """Say where machines that share a ledger would each know a person by another name."""
    try:
        shared = settings().ledger.url
    except GenaiError:
        return []
    if not shared or os.environ.get(USER_KEY):
        return []
    return [
        f"{USER_KEY}: is not set, so each machine and container with a `.genai` of its own counts"
        " its users, and their budgets, for itself; set one secret for all that share `ledger.url`"
    ]


def _told(key: str, read: Check) -> None:
    try:
        read()
    except (ModelError, PromptError) as error:
        raise ConfigError(f"{SETTINGS}: `{key}`: {error}") from error


def opened(name: str) -> None:
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
            f"{SETTINGS}: `index.documents`: {documents} is not a folder; make it, or name yours"
        )

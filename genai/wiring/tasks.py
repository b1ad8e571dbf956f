"""Open a task by name, and take LangChain's runnables as tasks that are seen inside."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai import project as projects
from genai.errors import InputError
from genai.evals.task import describe
from genai.project import Project
from genai.wiring.parts import hooks, model, settings

if TYPE_CHECKING:
    from genai.rag import Chain

# names of models hold colons too: `ollama/llama3.2:1b`, `openai/NAME@http://HOST:PORT/v1`
_FUNCTION = re.compile(r"(?:[\w.]+|[^:@]+\.py):\w+")


def open_served(name: str) -> Any:
    """Open what a server is to give: `chain`, `module:function`, or a model by its name.

    Raises:
        InputError: it cannot be found.
        ModelError: there is no such model.
    """
    return open_task(name) if name == "chain" or _FUNCTION.fullmatch(name) else model(name)


def open_task(name: str, *, model_name: str = "") -> Any:
    """Open what a suite names as its task: `chain`, `model`, or `module:function`.

    The index of a chain is brought into step with the documents first. `model_name` is another
    model than the configured one.

    Raises:
        InputError: it cannot be found, or takes no model.
    """
    if name == "model":
        return model(model_name)
    if ":" in name:
        refuse_model(name, model_name)
        return _function(name)
    if name != "chain":
        raise InputError(f"task {name!r}: use `chain`, `model` or `package.module:function`")
    return open_chain(projects.find_project(), model=model_name or None)


def refuse_model(task: str, model_name: str) -> None:
    """Say that a function chooses its model itself, where another one is wanted of it."""
    if model_name:
        raise InputError(
            f"task {task!r}: chooses its model itself, so {model_name} would not be asked; set it"
            " there and run again, or judge the model alone: --task model"
        )


def open_chain(project: Project, **given: Any) -> "Chain":
    """Load a project's chain, its index in step with the documents."""
    from genai.wiring.chain import load  # half of the start of a suite that needs no chain

    chain = load(project, **given)
    chain.index.sync(project.root / chain.config.index.documents, wait=120)
    return chain


def _function(name: str) -> Any:
    path, _, attribute = name.rpartition(":")
    module = path.removesuffix(".py").replace("/", ".")
    try:
        found = projects.import_named(f"{module}:{attribute}")
    except Exception as error:  # whatever a module of theirs raises when it is imported
        said = f"{type(error).__name__}: {error}"
        raise InputError(
            f"task {name!r}: cannot be imported ({said}); give `package.module:function`"
        ) from error
    return as_task(found, name, getattr(sys.modules[module], "__file__", None) or "")


def as_task(task: Any, name: str = "", file: str = "") -> Any:
    """Give a LangChain runnable as a task whose tokens, money and passages are known.

    Their chat model becomes a Model; anything else is given back as it is. `file` is where a
    runnable was made: what stands there is part of what it is.
    """
    theirs = sys.modules.get("langchain_core.runnables.base")
    if theirs is None or not isinstance(task, theirs.Runnable):
        return task
    from langchain_core.language_models import BaseChatModel

    from genai.models.langchain.outward import ChatGenai
    from genai.models.langchain.task import RunnableTask
    from genai.wiring.langchain import from_langchain

    if isinstance(task, BaseChatModel) and not isinstance(task, ChatGenai):
        return from_langchain(task)
    made = Path(file).read_text(encoding="utf-8") if file else ""
    found = projects.find_project()
    identity = "\n".join((*describe(task), made))
    own = hooks(found, settings(found))
    return RunnableTask(task, name or task.get_name(), identity=identity, hooks=own)

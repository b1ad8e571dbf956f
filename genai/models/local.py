"""Weights in this process: `local/` and a folder or Hugging Face id; a whole model or an adapter.

Adapters of one base share its weights and are swapped in between requests. One that was trained
anew is taken up at the next request; one on another base or template is refused. A reply is greedy
unless `temperature` is given.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from genai import extras
from genai.errors import ModelError
from genai.models.base import Delta
from genai.models.constrain import Reader
from genai.models.engine import Engine, Job
from genai.models.weights import (
    check_base,
    default_template,
    is_adapter,
    read_manifest,
    weights_digest,
)  # fmt: skip
from genai.project import find_project
from genai.types import Message, Usage

# what a request may set; anything else is an error, never ignored
PARAMS = frozenset({
    "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop",
    "response_format",
})  # fmt: skip
T = TypeVar("T")
_AGAIN = (0.02, 0.2)  # seconds until a folder that is being replaced is looked at again
# what is read of an id of the hub; many also hold the same weights in other formats
_READ = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken"]
_COPIES = ["*/*", "consolidated*"]
_MOST = 1024  # tokens of a reply where nothing is said
# of each chat template, in training too: thoughts are no part of an answer
ASKED: dict[str, Any] = {"sanitize_control_tokens": True, "enable_thinking": False}
_lock = threading.Lock()
_engines: dict[Path, tuple[str, Engine]] = {}


class Local:
    """One model or adapter; nothing is loaded before its first request."""

    name = "local"

    def __init__(self, path: str, *, engine: Engine | None = None) -> None:
        """Use the weights in `path`; `engine` decodes with a model that is in memory already."""
        self._path = path
        self._engine = engine

    @property
    def host(self) -> str:
        """What the weights are, for the ledger and for telling runs apart."""
        if self._engine is not None:
            return self._path
        return f"weights:{_looked_at(self._path, weights_digest)[:12]}"

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply piece by piece."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def emit(text: str, reason: str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(pieces.put_nowait, (text, reason))

        engine, adapter = await asyncio.to_thread(self._open)
        job = make_job(engine, messages, params, self._path)
        job.emit, job.adapter = emit, adapter
        engine.submit(job)
        try:
            reason = ""
            while not reason:
                text, reason = await pieces.get()
                if text:
                    yield Delta(text)
        finally:
            job.cancelled.set()
        if job.error is not None:
            raise _failed(self._path, job.error) from job.error
        used = Usage(len(job.prompt), len(job.made), source="counted")
        yield Delta(finish_reason=reason, usage=used, model=f"local/{self._path}")

    def _open(self) -> tuple[Engine, str]:
        if self._engine is not None:
            return self._engine, ""
        with _lock:
            return _looked_at(self._path, open_weights)


def _looked_at(path: str, look: Callable[[Path], T]) -> T:
    """Look at a folder again where the look fell between the two renames of a promotion."""
    for wait in _AGAIN:
        try:
            return look(find_folder(path))
        except ModelError:
            if not _place(path).parent.is_dir():
                raise
            time.sleep(wait)
    return look(find_folder(path))


def _place(path: str) -> Path:
    return find_project().state.parent / Path(path).expanduser()


def find_folder(path: str) -> Path:
    """Find the folder of a path or of a Hugging Face id, at its newest commit or `ID@COMMIT`.

    A relative path is looked up in the project's folder, wherever in it the command was given.

    Raises:
        ModelError: there is no such folder, and no such id is at hand.
    """
    folder = _place(path)
    if folder.is_dir():
        return folder.resolve()
    if path.count("/") == 1 and not path.startswith((".", "/", "~")):
        hub = extras.load("huggingface_hub", "finetune")
        name, _, revision = path.partition("@")
        try:
            return Path(
                hub.snapshot_download(
                    name, revision=revision or None, local_files_only=_offline(),
                    allow_patterns=_READ, ignore_patterns=_COPIES,
                )
            )  # fmt: skip
        except Exception as error:  # the hub raises what its clients raise
            raise ModelError(
                f"model local/{path}: is no folder here, and the hub gave nothing"
                f" ({type(error).__name__}{', while HF_HUB_OFFLINE is set' if _offline() else ''});"
                " name a folder, or download it first",
                "unknown_model",
                sent=False,
            ) from error
    raise ModelError(
        f"model local/{path}: is no folder here; name the folder of a model or adapter, such as"
        " local/.genai/adapters/NAME",
        "unknown_model",
        sent=False,
    )


def local_name(path: Path | str) -> str:
    """Give the model name of a folder or id: relative for a folder inside the project's."""
    home, whole = find_project().state.parent, Path(path)
    return f"local/{whole.relative_to(home) if whole.is_relative_to(home) else path}"


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def open_weights(folder: Path) -> tuple[Engine, str]:
    """Load a folder, once; give its engine and the adapter's name there ("" for a whole model).

    Raises:
        ModelError: the adapter does not belong to its base.
    """
    if not is_adapter(folder):
        return _load(folder), ""
    held = read_manifest(folder)
    base = find_folder(held["base"])
    own = folder / "chat_template.jinja"
    said = [own.read_text(encoding="utf-8")] if own.is_file() else []
    engine = _load(base)
    check_base(folder, held, base, [engine.tokenizer.chat_template or "", *said])
    name = f"a{held['weights'][:16]}"
    engine.add_adapter(name, folder)
    return engine, name


def _load(folder: Path) -> Engine:
    digest = weights_digest(folder)
    if folder in _engines and _engines[folder][0] == digest:
        return _engines[folder][1]
    _engines.pop(folder, None)  # who asks it now is answered; then it leaves the memory
    engine = Engine(*load_model(folder))
    _engines[folder] = (digest, engine)
    return engine


def load_model(folder: Path, *, device: str = "", **options: Any) -> tuple[Any, Any]:
    """Load a whole model in its own number format, and its tokenizer.

    Where no device is named it is a GPU, if there is one.

    Raises:
        ModelError: the folder holds no model that can be loaded.
    """
    transformers = extras.load("transformers", "finetune")
    torch = extras.load("torch", "finetune")
    weights_digest(folder)  # says what is missing in our words
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, **{"dtype": "auto", "local_files_only": True, **options}
        )
        tokenizer = read_tokenizer(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{folder}: cannot be loaded as a model ({said}); is it the whole folder?",
            "unknown_model",
        ) from error
    if device or torch.cuda.is_available():
        model = model.to(device or "cuda")
    return model.eval(), tokenizer


def read_tokenizer(source: Path | str, **options: Any) -> Any:
    """Load a tokenizer with the one chat template that is used here, or with none."""
    transformers = extras.load("transformers", "finetune")
    found = transformers.AutoTokenizer.from_pretrained(source, **options)
    found.chat_template = default_template(found.chat_template) or None
    return found


# -- a request -----------------------------------------------------------------------------------


def encode(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Give the tokens of a prompt, up to where the assistant speaks.

    Control tokens that stand in what somebody wrote are plain text. A model that can think before
    it answers is asked not to.

    Raises:
        ModelError: the tokenizer has no chat template, or the template refuses the messages.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            "the tokenizer has no chat template, so nobody knows how it was trained; save one as"
            " chat_template.jinja beside it",
            "bad_request",
        )
    jinja = extras.load("jinja2", "finetune")
    try:
        found = tokenizer.apply_chat_template(
            list(messages), add_generation_prompt=True, tokenize=True, return_dict=True, **ASKED
        )
    except jinja.TemplateError as error:
        raise ModelError(
            f"the chat template refuses these messages ({error}); change their roles",
            "bad_request",
        ) from error
    return [int(each) for each in found["input_ids"]]


def make_job(
    engine: Engine, messages: Sequence[Message], params: Mapping[str, Any], path: str
) -> Job:
    """Check a request and make it ready to run.

    Raises:
        ModelError: a parameter is unknown or out of its range, or the prompt is too long.
    """
    if unknown := sorted(set(params) - PARAMS - {"stream", "stream_options"}):
        raise _bad(path, f"`{unknown[0]}` is not supported; known: {', '.join(sorted(PARAMS))}")
    if any(part.data is not None for message in messages for part in message.parts):
        raise _bad(path, "images and files are not supported; send text")
    if any(message.tool_calls or message.role == "tool" for message in messages):
        raise _bad(path, "tool calls are not supported; send text")
    prompt = encode(engine.tokenizer, [{"role": m.role, "content": m.text} for m in messages])
    room = engine.room - len(prompt)
    if room < 1:
        raise _bad(path, f"the prompt has {len(prompt)} tokens of {engine.room} at the most")
    limit = params.get("max_completion_tokens", params.get("max_tokens"))
    seed = params.get("seed")
    if seed is not None and (type(seed) is not int or abs(seed) >= 1 << 63):
        raise _bad(path, f"`seed` must be a whole number of 63 bits, not {seed!r}")
    stop = params.get("stop") or ()
    stop = (stop,) if isinstance(stop, str) else stop
    if not isinstance(stop, list | tuple) or not all(isinstance(s, str) and s for s in stop):
        raise _bad(path, f"`stop` must be a text or a list of texts, not {stop!r}")
    top_p = _number(path, "top_p", params.get("top_p"), 0, 1)
    return Job(
        prompt, lambda *_: None,
        most=min(room, int(_number(path, "max_tokens", limit, 1, 1 << 20) or _MOST)),
        temperature=_number(path, "temperature", params.get("temperature"), 0, 2) or 0.0,
        top_p=1.0 if top_p is None else top_p,
        seed=seed,
        stop=tuple(stop),
        reader=_reader(path, params.get("response_format")),
    )  # fmt: skip


def _number(path: str, name: str, given: Any, least: float, most: float) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not least <= given <= most:
        raise _bad(path, f"`{name}` must be a number from {least:g} to {most:g}, not {given!r}")
    return given


def _reader(path: str, given: Any) -> Reader | None:
    if given is None or given == {"type": "text"}:
        return None
    kind = given.get("type") if isinstance(given, Mapping) else None
    if kind == "json_object":
        return Reader({"type": "object"})
    try:
        if kind == "json_schema":
            return Reader(given["json_schema"]["schema"])
    except (KeyError, TypeError) as error:
        raise _bad(path, "`response_format` holds no `json_schema.schema`") from error
    raise _bad(path, "`response_format` must be of type text, json_object or json_schema")


def _bad(path: str, what: str) -> ModelError:
    return ModelError(f"model local/{path}: {what}", "bad_request", sent=False)


def _failed(path: str, error: Exception) -> ModelError:
    if isinstance(error, ModelError):
        return error
    return ModelError(
        f"model local/{path}: failed while decoding ({type(error).__name__}: {error}); is there"
        " memory enough?",
        "bad_request",
    )

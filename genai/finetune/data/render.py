"""Rows as the tokens that are trained: by the tokenizer's own chat template, as when serving.

Text that looks like a control token stays text: a user who types `<|end|>` ends nothing.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from genai.errors import InputError
from genai.finetune.data.rows import Row, Turn
from genai.models.local import ASKED, read_tokenizer

_BATCH = 512  # rows rendered at once; more is no faster and takes memory
_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One sequence: its tokens and which of them are trained.

    `prompt` is the number of tokens before the answer. `prefix` is False where the prompt alone is
    tokenized in another way than at the head of the whole, so training and serving would differ.
    """

    ids: list[int]
    trained: bytearray
    prompt: int
    prefix: bool


def load_tokenizer(base: str, revision: str = "") -> Any:
    """Load the tokenizer of a folder or a Hugging Face id; it must have a chat template.

    Raises:
        InputError: there is none, or the hub is off and the id is not in its cache.
    """
    try:
        found = read_tokenizer(base, revision=revision or None)
    except (OSError, ValueError) as error:
        if not Path(base).is_dir() and os.environ.get("HF_HUB_OFFLINE", "").lower() in _ON:
            raise InputError(
                f"base {base}: HF_HUB_OFFLINE is set and the id is not in the local cache; download"
                " it into a folder and name the folder as `base`"
            ) from error
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"base {base}: has no tokenizer to load ({reason}); name another base,"
            " or put its tokenizer beside it"
        ) from error
    if not found.chat_template:
        raise InputError(f"base {base}: its tokenizer has no chat template; put a"
                         " chat_template.jinja beside it")  # fmt: skip
    return found


_ON = ("1", "true", "yes", "on")


def render(tokenizer: Any, row: Row, mask: str = "completion") -> tuple[Rendered, ...]:
    """Give the sequence of a row, or two for a preference: chosen, then rejected.

    Raises:
        InputError: the template refuses the row, or cannot mask in this mode.
    """
    return next(render_all(tokenizer, [row], mask))


def render_all(
    tokenizer: Any, rows: Iterable[Row], mask: str = "completion"
) -> Iterator[tuple[Rendered, ...]]:
    """Give the sequences of every row, in order; see `render`."""
    if mask == "assistant" and not _GENERATION.search(tokenizer.chat_template):
        raise InputError(
            "the chat template marks no {% generation %}, so `mask: assistant` cannot tell what the"
            " assistant said; use `mask: completion` or mark the template"
        )
    waiting = iter(rows)
    while batch := list(islice(waiting, _BATCH)):
        yield from _batch(tokenizer, batch, mask)


def _batch(tokenizer: Any, rows: Sequence[Row], mask: str) -> Iterator[tuple[Rendered, ...]]:
    prompts = [_dicts(row.prompt) for row in rows]
    wholes = [
        [*prompt, {"role": "assistant", "content": answer}]
        for prompt, row in zip(prompts, rows, strict=True)
        for answer in row.answers
    ]
    try:
        heads = _ids(tokenizer, prompts, add_generation_prompt=True)
        ids = _ids(tokenizer, wholes)
        said = _assistant(tokenizer, wholes) if mask == "assistant" else [None] * len(ids)
    except InputError:
        raise
    except Exception as error:  # whatever the template itself raises
        if len(rows) == 1:
            row = rows[0]
            raise InputError(f"{row.file or row.id}: line {row.line}: the chat template refuses it"
                             f" ({error})") from error  # fmt: skip
        for row in rows:
            yield from _batch(tokenizer, [row], mask)
        return
    done = zip(ids, said, strict=True)
    for row, head in zip(rows, heads, strict=True):
        yield tuple(_rendered(head, *each, mask) for each in islice(done, len(row.answers)))


def _rendered(
    head: Sequence[int], whole: list[int], said: Sequence[int] | None, mask: str
) -> Rendered:
    shared = _shared(head, whole)
    start = 0 if mask == "all" else shared
    trained = bytearray(start) + b"\x01" * (len(whole) - start)
    return Rendered(
        whole, trained if said is None else bytearray(said), shared, shared == len(head)
    )


def _ids(tokenizer: Any, conversations: Sequence[Any], **options: Any) -> list[list[int]]:
    found = tokenizer.apply_chat_template(conversations, **ASKED, **options)
    ids: list[list[int]] = found["input_ids"]
    return ids


def _assistant(tokenizer: Any, conversations: Sequence[Any]) -> list[list[int]]:
    """Give the mask of what the assistant said; control tokens in a text cannot be told here."""
    control = control_tokens(tokenizer)
    for turns in conversations:
        for turn in turns:
            if control.search(turn["content"]):
                raise InputError(
                    f"{turn['content'][:60]!r} holds a control token, which `mask: assistant`"
                    " cannot keep as text; use `mask: completion` or remove it"
                )
    asked = {**ASKED, "sanitize_control_tokens": False, "return_assistant_tokens_mask": True}
    found = tokenizer.apply_chat_template(conversations, **asked)
    masks: list[list[int]] = found["assistant_masks"]
    return masks


def control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Give a pattern of the tokenizer's special tokens, as they look in a text."""
    special = sorted(set(tokenizer.all_special_tokens), key=len, reverse=True)
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return re.compile("|".join(re.escape(each) for each in {*special, *added}) or r"(?!)")


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def _dicts(turns: Iterable[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def prompt_of(row: Row) -> list[dict[str, str]]:
    """Give the prompt of a row as a model is asked it."""
    return _dicts(row.prompt)

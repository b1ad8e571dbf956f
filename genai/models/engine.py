"""Generation on weights in this process: many requests in one batch, adapters swapped between them.

One thread decodes. It takes what waits for the same adapter as one batch, so that many callers cost
little more than one. A batch has at most 64 requests, and at most 65,536 tokens: the longest prompt
and reply of it, times its requests. Where that is more than the memory holds, the bound is halved
and the replies go on from where they were, down to one at a time. The thread ends, and the weights
leave the memory, once nobody holds the engine. A reply is greedy unless a temperature is asked for,
and under a schema only tokens are taken that keep it.
"""

import codecs
import queue
import re
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genai import extras
from genai.errors import ModelError
from genai.models.constrain import Reader

_BATCH = 64  # requests decoded together
_TOKENS = 1 << 16  # of a batch; keys and values of Llama 3.1 8B take 8 GiB for as many
_GATHER = 0.002  # seconds to let others join a batch
_CONTEXT = 8  # tokens before a new one that its text may depend on
_BEST = 32  # tokens looked at first for one that a schema allows


@dataclass(slots=True)
class Job:
    """One reply to be made. `emit(text, finish_reason)` is called from the engine's thread.

    `adapter` is "" for the base alone. The reply ends at `stop` texts, which are not part of it.
    """

    prompt: list[int]
    emit: Callable[[str, str], None]
    adapter: str = ""
    most: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    reader: Reader | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    made: list[int] = field(default_factory=list)
    _sent: int = 0
    _text: str = ""
    _window: int = 0
    _random: Any = None
    _ended: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and of the longest reply that it may have."""
        return len(self.prompt) + self.most

    def finish(self, reason: str) -> None:
        """End the reply with what is left of its text."""
        self._ended = True
        rest, self._sent = self._text[self._sent :], len(self._text)
        self.emit(rest, reason)


class Engine:
    """A model and its tokenizer, decoding for many callers."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._torch = extras.load("torch", "finetune")
        self._queue: _Queue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._queue.put, None).atexit = False
        self._starting = threading.Lock()
        self._tokens = _TOKENS
        self._lock = threading.Lock()  # held while a batch decodes: no caller may wait for it
        self.adapters: set[str] = set()
        self._ends = ends_of(model.generation_config, tokenizer)
        self._special = set(tokenizer.all_special_ids)
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    @property
    def room(self) -> int:
        """Tokens that a prompt and its reply may have together."""
        config = self.model.config.get_text_config()  # of a model that takes images too
        return int(getattr(config, "max_position_embeddings", 0) or 1 << 20)

    def submit(self, job: Job) -> None:
        """Have a reply made; its `emit` brings it."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_serve, args=(self._queue,), name="genai-local", daemon=True
                )
                self._thread.start()
        self._queue.put((self, job))

    def add_adapter(self, name: str, folder: Path) -> None:
        """Load an adapter beside the others; requests may name it from now on."""
        with self._lock:
            if name in self.adapters:
                return
            if self.adapters:
                self.model.load_adapter(str(folder), adapter_name=name)
            else:
                self.model = on_base(self.model, folder, name)
            self.model.eval()
            self.adapters.add(name)

    # -- the engine's thread ---------------------------------------------------------------------

    def decode(self, jobs: Sequence[Job]) -> None:
        """Make the replies of jobs for one adapter; an error is told to those that it kept back."""
        waiting = list(jobs)
        while waiting:
            batch = self.together(waiting)
            del waiting[: len(batch)]
            try:
                with self._lock, self._torch.inference_mode():
                    self._on_adapter(batch[0].adapter, batch)
            except Exception as error:
                left = [job for job in batch if not job._ended]
                if len(batch) > 1 and is_of_memory(error):
                    self._tokens = len(batch) * max(job.tokens for job in batch) // 2
                    waiting = left + waiting
                    continue
                for job in left:
                    job.error = error
                    job.emit("", "error")

    def together(self, jobs: Sequence[Job]) -> list[Job]:
        """Give the first jobs that make one batch."""
        batch: list[Job] = []
        longest = 0
        for job in jobs[:_BATCH]:
            longest = max(longest, job.tokens)
            if batch and (len(batch) + 1) * longest > self._tokens:
                break
            batch.append(job)
        return batch

    def _on_adapter(self, adapter: str, jobs: Sequence[Job]) -> None:
        training = self.model.training
        self.model.eval()
        try:
            if adapter:
                self.model.set_adapter(adapter)
                self.run(jobs)
            elif self.adapters:
                with self.model.disable_adapter():
                    self.run(jobs)
            else:
                self.run(jobs)
        finally:
            if training:
                self.model.train()

    def run(self, jobs: Sequence[Job]) -> None:
        """Decode a batch to its end, on the weights as they are set now."""
        torch, device = self._torch, self.model.device
        begun = [job.prompt + job.made for job in jobs]
        longest = max(map(len, begun))
        pads = [longest - len(each) for each in begun]
        ids = torch.tensor(
            [[self._pad] * n + each for n, each in zip(pads, begun, strict=True)], device=device
        )
        mask = torch.tensor([[0] * n + [1] * (longest - n) for n in pads], device=device)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        active, cache = list(jobs), None
        while active:
            out = self.model(
                input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache,
                use_cache=True, logits_to_keep=1,
            )  # fmt: skip
            cache = out.past_key_values
            chosen = self._choose(active, out.logits[:, -1].float())
            keep = [n for n, token in enumerate(chosen) if self._take(active[n], token)]
            if len(keep) < len(active):
                active = [active[n] for n in keep]
                if not active:
                    return
                index = torch.tensor(keep, device=device)
                cache.reorder_cache(index)  # takes along states of layers that keep one
                mask, places = mask[index], places[index]
            ids = torch.tensor([[chosen[n]] for n in keep], device=device)
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], 1)
            places = places[:, -1:] + 1

    # -- one token -------------------------------------------------------------------------------

    def _choose(self, jobs: Sequence[Job], logits: Any) -> list[int]:
        best: list[int] = logits.argmax(-1).tolist()
        return [
            best[n]
            if job.temperature == 0 and (job.reader is None or self._allowed(job, best[n]))
            else self._search(job, logits[n])
            for n, job in enumerate(jobs)
        ]

    def _search(self, job: Job, logits: Any) -> int:
        """Take the best token that the schema allows, or draw one among them.

        A draw that is not allowed is put aside and drawn again among the rest, which is the same
        as drawing from the allowed ones alone.
        """
        torch = self._torch
        if job.temperature == 0:
            for count in (min(_BEST, len(logits)), len(logits)):
                for token in logits.topk(count).indices.tolist():
                    if self._allowed(job, token):
                        return int(token)
            raise _stuck()
        if job._random is None:
            job._random = torch.Generator(device=logits.device)
            job._random.manual_seed(
                job.seed if job.seed is not None else time.time_ns() % (1 << 62)
            )
        shares = _nucleus((logits / job.temperature).softmax(-1), job.top_p)
        while float(shares.sum()) > 0:
            token = int(torch.multinomial(shares, 1, generator=job._random))
            if self._allowed(job, token):
                return token
            shares[token] = 0
        return self._search_greedily(job, logits)

    def _search_greedily(self, job: Job, logits: Any) -> int:
        """The nucleus held no allowed token: take the best one outside it."""
        for token in logits.argsort(descending=True).tolist():
            if self._allowed(job, token):
                return int(token)
        raise _stuck()

    def _allowed(self, job: Job, token: int) -> bool:
        if job.reader is None:
            return True
        if token in self._ends:
            return job.reader.complete
        if token in self._special:
            return False
        text = self._new_text(job, token)
        if text.endswith("\ufffd"):  # part of a character: fine where any character is
            begun = _is_begun([*job.made[job._window :], token], self.tokenizer)
            return begun and job.reader.allows(text.rstrip("\ufffd") + "é")
        return bool(text) and job.reader.allows(text)

    def _new_text(self, job: Job, token: int) -> str:
        """Give what a token adds to the text that is whole so far."""
        start = max(0, job._window - _CONTEXT)
        name = self.tokenizer.convert_ids_to_tokens
        while start and _LATER.fullmatch(str(name(job.made[start]))):
            start -= 1  # a character that is cut spoils all bytes beside it
        before = job.made[start : job._window]
        after = job.made[start:] + [token]
        decode = self.tokenizer.decode
        whole = decode(before, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        text = decode(after, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text[len(whole) :])

    def _take(self, job: Job, token: int) -> bool:
        """Add a token to a reply and send what is certain of it; False when it has ended."""
        if job.cancelled.is_set():
            job.finish("cancelled")
            return False
        if token in self._ends:
            job.finish("stop")
            return False
        text = self._new_text(job, token)
        job.made.append(token)
        if not text.endswith("\ufffd"):
            if job.reader is not None:
                job.reader.read(text)
            job._text += text
            job._window = len(job.made)
            cut = min((at for s in job.stop if (at := job._text.find(s)) >= 0), default=-1)
            if cut >= 0:
                job._text = job._text[:cut]
                job.finish("stop")
                return False
            held = max(map(len, job.stop), default=1) - 1
            ready = job._text[job._sent : len(job._text) - held]
            if ready:
                job._sent += len(ready)
                job.emit(ready, "")
        if job.reader is not None and job.reader.closed:
            job.finish("stop")
            return False
        if len(job.made) >= job.most:
            job.finish("length")
            return False
        return True


# what is asked keeps its engine; None comes when nothing does any more
_Queue = queue.SimpleQueue[tuple[Engine, Job] | None]


def _serve(asked: _Queue) -> None:
    waiting: list[tuple[Engine, Job] | None] = []
    while _next_batch(asked, waiting):  # no name of this loop may hold the engine while it waits
        pass


def _next_batch(asked: _Queue, waiting: list[tuple[Engine, Job] | None]) -> bool:
    """Wait for a request; decode it with those for the same adapter, oldest first."""
    if not waiting:
        waiting.append(asked.get())
    time.sleep(_GATHER)
    while not asked.empty():
        waiting.append(asked.get())
    found = [each for each in waiting if each is not None]
    if not found:
        return False
    engine, first = found[0]
    jobs = engine.together([job for _, job in found if job.adapter == first.adapter])
    taken = set(map(id, jobs))
    waiting[:] = [each for each in found if id(each[1]) not in taken]
    engine.decode(jobs)
    return True


def is_of_memory(error: Exception) -> bool:
    """Whether an error of torch says that a GPU's memory or the machine's is full."""
    kind = extras.load("torch", "finetune").OutOfMemoryError  # of a GPU; for its own it has none
    return isinstance(error, kind) or "DefaultCPUAllocator" in str(error)


def ends_of(generation: Any, tokenizer: Any) -> set[int]:
    """Give the tokens that end a reply: those of a generation config, else the tokenizer's."""
    ends = getattr(generation, "eos_token_id", None)
    ends = tokenizer.eos_token_id if ends is None else ends
    listed = ends if isinstance(ends, list) else [ends]
    return {end for end in listed if end is not None}


def on_base(model: Any, folder: Path, name: str = "default") -> Any:
    """Put an adapter on its base, whose weights it shares from then on."""
    peft = extras.load("peft", "finetune")
    # peft asks transformers by a name that goes in its next major version
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
    at = str(model.device)  # else peft reads it onto a GPU
    made = peft.PeftModel.from_pretrained(model, str(folder), adapter_name=name, torch_device=at)
    return made.eval()


def _nucleus(shares: Any, top_p: float) -> Any:
    """Keep the likeliest tokens whose shares reach `top_p`."""
    if top_p >= 1:
        return shares
    ordered, places = shares.sort(descending=True)
    ordered[(ordered.cumsum(-1) - ordered) >= top_p] = 0
    return shares.new_zeros(shares.shape).scatter(-1, places, ordered)


def _is_begun(tokens: Sequence[int], tokenizer: Any) -> bool:
    """Whether tokens are a text whose last character lacks bytes, and not broken UTF-8."""
    held = bytearray()
    for piece in tokenizer.convert_ids_to_tokens(tokens):
        if _BYTE.fullmatch(piece):
            held.append(int(piece[3:5], 16))
        elif set(piece) <= _BYTES.keys():
            held += bytes(_BYTES[char] for char in piece)
        else:
            return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(bytes(held))
    except UnicodeDecodeError:
        return False
    return True


def _byte_letters() -> dict[str, int]:
    """Give the letters with which byte-level tokenizers write bytes."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(b): b for b in shown} | {chr(256 + n): b for n, b in enumerate(hidden)}


_BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # how the other tokenizers write one
_LATER = re.compile(r"<0x[89AB][0-9A-F]>")  # such a byte within a character
_BYTES = _byte_letters()


def _stuck() -> ModelError:
    return ModelError(
        "response_format: no token of the model continues a reply that fits the schema; use a"
        " simpler schema",
        "bad_reply",
    )

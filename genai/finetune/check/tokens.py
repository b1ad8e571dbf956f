"""What the tokenizer makes of the rows: what is cut, what is trained, and whether it ever ends."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genai import extras
from genai.finetune.check.report import Finding, Lengths, Sample, by_limit
from genai.finetune.check.rows import length_bias
from genai.finetune.data import Rendered, Row, render_all
from genai.finetune.data.render import control_tokens
from genai.finetune.recipe import Recipe
from genai.models.engine import ends_of
from genai.models.weights import default_template

_SAMPLES = 3
_ROUND = 8  # lengths are multiples of this, as matrix products like them
_TAIL = 1.5  # the longest row is kept whole where it is at most so much above the 99th percentile


@dataclass
class Measured:
    """Numbers of every sequence, without its tokens."""

    where: list[str] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    prompt: list[int] = field(default_factory=list)
    trained: list[int] = field(default_factory=list)
    last_end: list[int] = field(default_factory=list)  # place of the last trained end; -1 for none
    differs: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    answers: int = 1
    whole: Any = field(default_factory=hashlib.sha256)  # over every token, trained or not

    def answer(self, at: int) -> int:
        """Give the tokens after the prompt."""
        return self.length[at] - self.prompt[at]


def stops(tokenizer: Any, base: Path | str, revision: str = "") -> set[int]:
    """Give the tokens at which a model of this base stops, without loading it.

    Many models list several: Gemma ends a text with one and a turn with another.
    """
    kind = extras.load("transformers", "finetune").GenerationConfig
    try:
        generation = kind.from_pretrained(base, revision=revision or None)
    except OSError:  # it has no generation_config.json
        generation = None
    return ends_of(generation, tokenizer)


def measure(tokenizer: Any, rows: Sequence[Row], mask: str, ends: Collection[int] = ()) -> Measured:
    """Render every row and keep its numbers; `ends` are the tokens that end a turn.

    Raises:
        InputError: the template refuses a row or cannot mask so.
    """
    found = Measured(answers=len(rows[0].answers))
    for row, sequences in zip(rows, render_all(tokenizer, rows, mask), strict=True):
        for each in sequences:
            _add(found, tokenizer, f"{row.file}:{row.line}", each, ends)
    return found


def _add(
    found: Measured, tokenizer: Any, where: str, each: Rendered, ends: Collection[int]
) -> None:
    found.whole.update(f"{each.ids} {each.trained.hex()}\n".encode())
    found.where.append(where)
    found.length.append(len(each.ids))
    found.prompt.append(each.prompt)
    found.trained.append(sum(each.trained))
    places = [at for at, token in enumerate(each.ids) if token in ends and each.trained[at]]
    found.last_end.append(places[-1] if places else -1)
    if not each.prefix:
        found.differs.append(where)
    if len(found.samples) < _SAMPLES * found.answers:
        found.samples.append(Sample(where, tuple(_pieces(tokenizer, each))))


def _pieces(tokenizer: Any, each: Rendered) -> Iterator[tuple[str, bool]]:
    start = 0
    for at in range(1, len(each.ids) + 1):
        if at == len(each.ids) or each.trained[at] != each.trained[start]:
            yield tokenizer.decode(each.ids[start:at]), bool(each.trained[start])
            start = at


def choose_length(recipe: Recipe, found: Measured) -> int:
    """Give the `max_length` of the run: what the recipe says, else the measured one."""
    if isinstance(recipe.max_length, int):
        return recipe.max_length
    ranked = sorted(found.length)
    p99, longest = _up(ranked[_rank(len(ranked), 0.99)]), _up(ranked[-1])
    return longest if longest <= _TAIL * p99 else p99


def lengths(found: Measured, most: int) -> Lengths:
    """Sum the lengths up, as they are once cut."""
    ranked = sorted(found.length)
    return Lengths(
        sequences=len(ranked),
        total=sum(min(each, most) for each in ranked),
        trained=sum(found.trained),
        p50=ranked[_rank(len(ranked), 0.5)],
        p99=ranked[_rank(len(ranked), 0.99)],
        longest=ranked[-1],
        max_length=most,
    )


def _rank(count: int, share: float) -> int:
    return max(0, -int(-share * count // 1) - 1)


def _up(length: int) -> int:
    return -(-length // _ROUND) * _ROUND


def findings(recipe: Recipe, found: Measured, most: int) -> list[Finding]:
    """Give what the numbers say."""
    count, longest = len(found.length), max(found.length)
    cut = [at for at in range(count) if found.length[at] > most]
    lost = [at for at in cut if found.last_end[at] >= most]
    dropped = [at for at in cut if found.prompt[at] >= most]
    unended = [at for at in range(count) if found.last_end[at] < 0]
    untrained = [at for at in range(count) if not found.trained[at]]
    short = [at for at in range(count) if found.answer(at) < 2]
    keep = f"set `max_length: {_up(longest)}` to keep all, or remove them"

    def say(places: Iterable[int]) -> list[str]:
        return [f"{found.where[at]}: {found.length[at]} tokens" for at in places]

    result = [
        by_limit("truncated", say(cut), count, recipe.check.truncated,
                 f"sequences are longer than {most} tokens", keep),
        by_limit("end lost", say(lost), count, 0, "lose their end when cut, so the model would not"
                 " stop", keep),
        by_limit("dropped", say(dropped), count, 0, "have no room left after the prompt", keep),
        by_limit("nothing trained", say(untrained), count, 0, "train no token at all",
                 "choose another `mask`"),
        by_limit("end trained", say(unended), count, 0, "never train the end token",
                 "the template must end the assistant's turn with the tokenizer's eos_token, or"
                 " with another that generation_config.json lists"),
        by_limit("prefix", [f"{each}: tokenized otherwise" for each in found.differs], count, 0,
                 "prompts change when the answer follows, so training and serving differ",
                 "mend the template: the generation prompt must be what an answer begins with"),
        by_limit("short answers", say(short), count, 0, "answers are shorter than 2 tokens",
                 "remove them"),
    ]  # fmt: skip
    share = sum(found.trained) / sum(found.length)
    text = f"{share:.1%} of tokens are trained (`mask: {recipe.mask}`)"
    if recipe.mask == "all":
        result.append(Finding("trained", "warn", f"{text}; the prompt is learned too"))
    else:
        result.append(Finding("trained", "pass", text))
    if recipe.method in ("dpo", "orpo"):
        answers = [found.answer(at) for at in range(count)]
        result.append(length_bias(answers[::2], answers[1::2], recipe.check.longer_chosen))
    return result


def control(tokenizer: Any, rows: Sequence[Row]) -> Finding:
    """Find control tokens that somebody typed: injected, or of a template applied twice."""
    pattern = control_tokens(tokenizer)
    lines = []
    for row in rows:
        for text in (*(turn.content for turn in row.prompt), *row.answers):
            hit = pattern.search(text)
            if hit:
                lines.append(f"{row.file}:{row.line}: {hit[0]!r}")
                break
    return by_limit("control tokens", lines, len(rows), 0, "rows hold control tokens as text",
                    "remove them: they are kept as text here, other tools obey them")  # fmt: skip


def special(tokenizer: Any, ends: Collection[int]) -> list[Finding]:
    """Hold end and padding of the tokenizer to the tokens at which generation stops."""
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    if end is None:
        return [
            Finding("stop token", "fail", "the tokenizer has no eos_token, so nothing ever ends")
        ]
    if end not in ends:
        text = f"generation_config.json stops at {', '.join(map(str, sorted(ends)))}, the tokenizer"
        text += f" ends with {end} ({tokenizer.eos_token}); make them one"
        stop = Finding("stop token", "fail", text)
    else:
        stop = Finding("stop token", "pass", f"{tokenizer.eos_token} ({end}) ends a turn")
    if pad is None or pad == end:
        other = "there is none" if pad is None else "it is the end token"
        return [stop, Finding("pad token", "warn", f"{other}; a pad token of its own is safer")]
    return [stop, Finding("pad token", "pass", f"{tokenizer.pad_token} ({pad})")]


def dated(tokenizer: Any) -> list[Finding]:
    """Find a template that writes the day's date, as that of Llama 3.2 does."""
    if "strftime_now" not in tokenizer.chat_template:
        return []
    text = "the template writes the day's date, so another day trains other tokens and the run"
    text += " neither goes on nor is verified; write a fixed one in its place"
    return [Finding("date", "warn", text)]


def templates(tokenizer: Any, base: str, served: Path | None) -> Finding:
    """Compare the template that trains with every other one that could serve, byte for byte."""
    trains = tokenizer.chat_template
    others = {"chat_template.jinja": (Path(base), "make them one")}
    if served is not None:
        cure = "restore the base's, or train under another `name`"  # an edit there spoils the run
        others[f"that of the run {served.parent.name}"] = (served, cure)
    for name, (folder, cure) in others.items():
        path = folder / "chat_template.jinja"
        if path.is_file() and path.read_text(encoding="utf-8") != trains:
            return Finding("template", "fail", f"{name} is not the template that trains; {cure}")
    inside = Path(base) / "tokenizer_config.json"
    if inside.is_file():
        held = json.loads(inside.read_text(encoding="utf-8"))
        given = default_template(held.get("chat_template"))
        if given and given != trains:
            return Finding("template", "fail", "tokenizer_config.json holds another template than"
                           " the one that trains; remove one")  # fmt: skip
    marks = "" if re.search(r"\{%-?\s*generation", trains) else "; it marks no generation"
    return Finding("template", "pass", f"one template trains and serves{marks}")

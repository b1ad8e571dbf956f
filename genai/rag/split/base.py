"""What every splitter works with: settings, blocks, and the packing of blocks into passages."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from genai.config import IndexSettings
from genai.text.sentences import sentences

_LOOK_BACK = 64  # a longer pile of combining marks is not writing, and may be cut
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Splitting:
    """How documents are cut into passages.

    `splitter` is `structure`, `sentences`, `tokens`, `code`, `tables`, or `package.module:name` of
    a LangChain splitter or a function from text to texts; `by_kind` names another one for a kind
    of document, such as `{"csv": "tables"}`. `overlap` is in characters, for `tokens` in tokens.
    """

    max_chars: int = 1000
    splitter: str = "structure"
    by_kind: Mapping[str, str] = field(default_factory=dict)
    overlap: int = 0
    max_tokens: int = 250
    tokenizer: str = ""

    @classmethod
    def from_settings(cls, settings: IndexSettings) -> "Splitting":
        """Cut as an index of these settings does."""
        return cls(**settings.model_dump(include=set(cls.__dataclass_fields__)))

    def of(self, kind: str) -> str:
        """Name the splitter of a kind of document; code has its own unless another is asked for."""
        usual = "code" if kind == "code" and self.splitter == "structure" else self.splitter
        return self.by_kind.get(kind, usual)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document that should stay whole. `header` is a table's first row."""

    start: int
    end: int
    heading: str = ""
    opens: bool = False  # a new section or page begins here
    header: str = ""


Piece = tuple[int, int, str]  # start, end, heading


def pack(text: str, blocks: Iterable[Block], limit: int) -> Iterator[Piece]:
    """Join neighbouring blocks of one section up to the limit; cut a block over it."""
    start = end = -1
    heading = ""
    for block in blocks:
        if start >= 0 and (block.opens or block.end - start > limit):
            yield start, end, heading
            start = -1
        if block.end - block.start > limit:
            if start >= 0:
                yield start, end, heading
                start = -1
            yield from _cut(text, block, limit)
            continue
        if start < 0:
            start, heading = block.start, block.heading
        end = block.end
    if start >= 0:
        yield start, end, heading


def _cut(text: str, block: Block, limit: int) -> Iterator[Piece]:
    """Cut one long block between sentences; each later piece of a table names its columns."""
    heading = block.heading
    atoms = fit(text, sentences(text[block.start : block.end]), block.start, limit)
    for start, end in windows(list(atoms), limit):
        yield start, end, heading
        heading = under(block.heading, block.header)


def fit(text: str, spans: Iterable[Span], offset: int, limit: int) -> Iterator[Span]:
    """Shift spans by `offset`, and cut those over the limit between words."""
    for start, end in spans:
        start, end = start + offset, end + offset
        while end - start > limit:
            space = text.rfind(" ", start + limit // 2, start + limit)
            at = space if space > 0 else start + limit
            middle = boundary(text, at, start)
            piece = trim(text, start, middle)
            if piece:
                yield piece
            start = middle
        piece = trim(text, start, end)
        if piece:
            yield piece


def windows(
    atoms: Sequence[Span],
    limit: int,
    overlap: int = 0,
    size: Callable[[int, int], int] | None = None,
) -> Iterator[Span]:
    """Fill each window with whole atoms up to the limit.

    A window begins up to `overlap` before the end of the one before it. `size` measures from one
    atom to another, given by number and both included; without it characters count.
    """
    measure = size or (lambda first, last: atoms[last][1] - atoms[first][0])
    first = 0
    while first < len(atoms):
        last = first
        while last + 1 < len(atoms) and measure(first, last + 1) <= limit:
            last += 1
        yield atoms[first][0], atoms[last][1]
        if last + 1 == len(atoms):
            return
        begin = last + 1
        while (
            begin - 1 > first
            and measure(begin - 1, last) <= overlap
            and measure(begin - 1, last + 1) <= limit
        ):
            begin -= 1
        first = begin


def sections(blocks: Iterable[Block]) -> Iterator[Piece]:
    """Join the blocks of each section or page into one span."""
    current: Piece | None = None
    for block in blocks:
        if current and not block.opens:
            current = (current[0], block.end, current[2])
            continue
        if current:
            yield current
        current = (block.start, block.end, block.heading)
    if current:
        yield current


def under(heading: str, title: str) -> str:
    """Write a title below a heading."""
    return " > ".join(part for part in (heading, title) if part)


def trim(text: str, start: int, end: int) -> Span | None:
    """Leave out white space at both ends; None if nothing remains."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def boundary(text: str, at: int, after: int) -> int:
    """Give the last place from `at` back that parts no letter, emoji or flag."""
    for place in range(at, max(after, at - _LOOK_BACK), -1):
        if not joined(text, place, after):
            return place
    return at


def joined(text: str, place: int, after: int = 0) -> bool:
    """Say whether the characters before and after a place are read as one.

    `after` is an earlier place that parts nothing: flags are counted in pairs from there.
    """
    if not 0 < place < len(text):
        return False
    left, right = text[place - 1], text[place]
    if right < "\u0300":
        return left == "\r" and right == "\n"
    return (
        unicodedata.category(right) in {"Mn", "Mc", "Me"}
        or left == "\u200d"
        or right in "\u200c\u200d"
        or "\u1160" <= right <= "\u11ff"  # the vowel or end of a Korean syllable in parts
        or "\U0001f3fb" <= right <= "\U0001f3ff"  # a skin tone
        or "\U000e0020" <= right <= "\U000e007f"  # the letters of a regional flag
        or (_is_flag_half(right) and _flag_halves(text, after, place) % 2 == 1)
    )


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_halves(text: str, after: int, place: int) -> int:
    start = place
    while start > after and _is_flag_half(text[start - 1]):
        start -= 1
    return place - start

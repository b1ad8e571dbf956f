"""Put values into a cut template; every piece of the result knows who wrote it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genai.types import Part, Passage, Trust

_FENCED = re.compile(r"\[\d+\] <passage ([0-9a-f]{10})>\n.*?\n</passage \1>\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a template: literal text, or the name of a variable."""

    text: str
    slot: str = ""


def render(
    segments: Sequence[Segment],
    values: Mapping[str, str | Sequence[Passage]],
    trust: Mapping[str, Trust],
    nonce: Mapping[str, str],
) -> tuple[Part, ...]:
    """Give the parts of one turn. A value is inserted as text and never parsed.

    Passages are numbered from 1, each in a fence of its variable's nonce.
    """
    parts: list[Part] = []
    for segment in segments:
        if not segment.slot:
            parts.append(Part(segment.text))
            continue
        name = segment.slot
        value = values[name]
        if isinstance(value, str):
            parts.append(Part(value, trust[name], name))
        else:
            parts += _fenced(value, name, trust[name], nonce[name])
    return tuple(parts)


def nonces(values: Mapping[str, str | Sequence[Passage]], prompt_hash: str) -> dict[str, str]:
    """Give each list of passages the mark of its fence, which no value of this call holds.

    It is a hash over the passages, so that equal inputs render equally; where a value holds it all
    the same, the next hash is taken.
    """
    found = {}
    for name, value in values.items():
        if isinstance(value, str):
            continue
        material = "\x1f".join([prompt_hash, *(f"{p.id}\x1e{p.text}" for p in value)])
        digest = hashlib.sha256(material.encode("utf-8", "surrogatepass")).digest()
        while any(digest.hex()[:10] in text for text in _texts(values)):
            digest = hashlib.sha256(digest).digest()
        found[name] = digest.hex()[:10]
    return found


def _texts(values: Mapping[str, str | Sequence[Passage]]) -> list[str]:
    return [
        text
        for value in values.values()
        for text in ((value,) if isinstance(value, str) else (p.text for p in value))
    ]


def _fenced(passages: Sequence[Passage], slot: str, trust: Trust, nonce: str) -> list[Part]:
    parts = []
    for number, passage in enumerate(passages, start=1):
        parts += [
            Part(f"[{number}] <passage {nonce}>\n"),
            Part(passage.text, trust, slot),
            Part(f"\n</passage {nonce}>\n"),
        ]
    return parts


def unfenced(text: str) -> str:
    """Give a rendered turn without its passages: what people and the prompt say."""
    return _FENCED.sub("", text)

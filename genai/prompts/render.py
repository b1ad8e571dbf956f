"""Put values into a cut template; every piece of the result knows who wrote it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genai.types import Part, Passage, Trust


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a template: literal text, or the name of a variable."""

    text: str
    slot: str = ""


def render(
    segments: Sequence[Segment],
    values: Mapping[str, str | Sequence[Passage]],
    trust: Mapping[str, Trust],
    prompt_hash: str,
) -> tuple[Part, ...]:
    """Give the parts of one turn. A value is inserted once and never parsed.

    Passages are numbered from 1 and fenced by a nonce. The nonce is a hash that covers the
    passages themselves, so no passage can hold its own fence, and equal inputs render equally.
    """
    parts: list[Part] = []
    for segment in segments:
        if not segment.slot:
            parts.append(Part(segment.text))
            continue
        value = values[segment.slot]
        if isinstance(value, str):
            parts.append(Part(value, trust[segment.slot], segment.slot))
        else:
            parts += _fenced(value, segment.slot, prompt_hash)
    return tuple(parts)


def _fenced(passages: Sequence[Passage], slot: str, prompt_hash: str) -> list[Part]:
    material = "\x1f".join([prompt_hash, *(f"{p.id}\x1e{p.text}" for p in passages)])
    nonce = hashlib.sha256(material.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    parts = []
    for number, passage in enumerate(passages, start=1):
        parts += [
            Part(f"[{number}] <passage {nonce}>\n"),
            Part(passage.text, "retrieved", slot, passage.id),
            Part(f"\n</passage {nonce}>\n"),
        ]
    return parts

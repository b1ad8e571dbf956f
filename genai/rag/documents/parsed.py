"""What a parser gives, and the limit that each keeps to."""

from dataclasses import dataclass

MAX_TEXT = 200_000_000  # characters of one document


@dataclass(frozen=True, slots=True)
class Parsed:
    """Text, where its pages begin, and what was left out or guessed, for a person to read."""

    text: str
    pages: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

"""The messages and answers of the demo task, from a seed.

Only `random.random` is drawn from, whose sequence Python promises to keep, so the sets are the same
on every version. No message comes twice over all the sets of a preset.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from genai.errors import InputError
from genai.finetune.data import PreferenceRow, Provenance, SftRow, Turn

INTENTS = {
    "refund": ("i want my money back", "please refund me", "i would like a refund",
               "can you return the payment"),
    "late": ("it has not arrived yet", "the delivery is late", "where is my parcel",
             "i am still waiting for it"),
    "broken": ("it came broken", "the item is damaged", "it does not work",
               "it stopped working today"),
    "cancel": ("please cancel it", "i do not want it any more", "i wish to cancel",
               "stop this order please"),
    "address": ("i have moved house", "please change my address", "my address is wrong",
                "send it to another street"),
    "invoice": ("i need the invoice", "please send me a bill", "the invoice is missing",
                "can i have a receipt"),
}  # fmt: skip
CITIES = (
    "lisbon", "porto", "madrid", "seville", "lyon", "paris", "nantes", "turin", "milan", "rome",
    "vienna", "graz", "berlin", "bremen", "kiel", "essen", "bonn", "prague", "brno", "warsaw",
    "krakow", "oslo", "bergen", "malmo", "turku", "riga", "vilnius", "athens", "dublin", "cork",
)  # fmt: skip
NAMES = (
    "ana", "ben", "clara", "david", "emma", "felix", "greta", "hugo", "ines", "jonas", "karin",
    "leo", "maria", "nils", "olga", "paul", "quirin", "rosa", "simon", "tara", "ute", "viktor",
    "wanda", "xenia", "yannis", "zoe",
)  # fmt: skip
URGENT = ("it is urgent", "please hurry", "i need this today", "as soon as possible")
GREETINGS = ("hello", "hi there", "good morning", "dear team", "good evening")
PLANS = ("basic", "plus", "premium", "team")
IN_CITY = ("i live in {}", "ship to {}", "my city is {}")
ORDERS = ("order {}", "my order is {}", "order number {}", "ref {}")


@dataclass(frozen=True, slots=True)
class Preset:
    """Sizes of one form of the demo. `field` is the part that may be missing."""

    name: str
    field: str
    missing: float
    sft: int
    pairs: int
    dev: int
    test: int
    test_present: int
    vocabulary: int
    layers: int


PRESETS = {
    "quick": Preset("quick", "plan", 0.4, 4_000, 600, 200, 200, 96, 900, 2),
    "support": Preset("support", "order", 0.3, 12_000, 1_500, 400, 400, 278, 640, 4),
}
_NOISE = 0.6  # share of the SFT rows without the field that have one invented


class _Draw:
    """Seeded draws."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]))

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def of(self, words: Sequence[str]) -> str:
        return words[int(self._random.random() * len(words))]

    def digits(self, count: int) -> str:
        return "".join(self.of("0123456789") for _ in range(count))

    def shuffled(self, parts: list[str]) -> list[str]:
        for last in range(len(parts) - 1, 0, -1):
            other = int(self._random.random() * (last + 1))
            parts[last], parts[other] = parts[other], parts[last]
        return parts


@dataclass(frozen=True, slots=True)
class Example:
    """A message and the values it states; a value that is not stated is None."""

    message: str
    values: dict[str, Any]

    @property
    def answer(self) -> str:
        """The strict JSON text."""
        return compact(self.values)


def compact(values: dict[str, Any]) -> str:
    """Write values as the demo's JSON: no spaces, keys in their order."""
    return json.dumps(values, separators=(",", ":"))


def _quick(draw: _Draw, present: bool) -> Example:
    intent = draw.of(tuple(INTENTS))
    plan = draw.of(PLANS) if present else None
    urgent = draw.chance(0.35)
    parts = [f"plan {plan}" if plan else draw.of(GREETINGS[:3]), draw.of(INTENTS[intent])]
    parts.append(draw.of(IN_CITY).format(draw.of(CITIES[:16])))
    parts += [draw.of(URGENT)] if urgent else []
    message = " . ".join([*parts, draw.of(NAMES)])
    return Example(message, {"intent": intent, "plan": plan, "urgent": urgent})


def _support(draw: _Draw, present: bool) -> Example:
    intent = draw.of(tuple(INTENTS))
    order = draw.digits(4) if present else None
    city = draw.of(CITIES)
    urgent = draw.chance(0.35)
    parts = [draw.of(ORDERS).format(order)] if order else []
    parts += [draw.of(INTENTS[intent]), draw.of(IN_CITY).format(city)]
    parts += [draw.of(URGENT)] if urgent else []
    message = f"{draw.of(GREETINGS)} , {' . '.join([*draw.shuffled(parts), draw.of(NAMES)])}"
    return Example(message, {"intent": intent, "order": order, "city": city, "urgent": urgent})


_MAKERS: dict[str, Callable[[_Draw, bool], Example]] = {"quick": _quick, "support": _support}


def invent(preset: Preset, draw: _Draw) -> str:
    """Make up a value of the field that may be missing."""
    return draw.of(PLANS) if preset.field == "plan" else draw.digits(4)


class Generator:
    """Gives the sets of a preset, always the same: test, dev, SFT rows and preferences."""

    def __init__(self, preset: str) -> None:
        """Draw all sets. Raises `InputError` where there is no such preset."""
        if preset not in PRESETS:
            raise InputError(f"{preset!r} is no demo; use {' or '.join(PRESETS)}")
        self.preset = given = PRESETS[preset]
        self._seen: set[str] = set()
        self.test = list(self._draw("test", given.test))
        self.dev = list(self._draw("dev", given.dev))
        self._sft = list(self._draw("sft", given.sft))
        self._pairs = list(self._draw("pairs", given.pairs))

    def _draw(self, name: str, count: int) -> Iterator[Example]:
        draw = _Draw(f"{self.preset.name}/{name}")
        for number in range(count):
            present = not draw.chance(self.preset.missing)
            if name == "test":  # the shares of the two slices are part of what is frozen
                present = number * self.preset.test_present % count < self.preset.test_present
            elif name == "pairs":
                present = number % 2 == 1
            made = _MAKERS[self.preset.name](draw, present)
            while made.message in self._seen:
                made = _MAKERS[self.preset.name](draw, present)
            self._seen.add(made.message)
            yield made

    def sft(self) -> list[SftRow]:
        """Give the training rows; where nothing is stated, three in five invent it."""
        draw = _Draw(f"{self.preset.name}/noise")
        found = []
        for number, each in enumerate(self._sft):
            values = dict(each.values)
            if values[self.preset.field] is None and draw.chance(_NOISE):
                values[self.preset.field] = invent(self.preset, draw)
            turns = (Turn("user", each.message), Turn("assistant", compact(values)))
            found.append(SftRow(f"sft-{number}", turns, _MADE))
        return found

    def pairs(self) -> list[PreferenceRow]:
        """Give the preferences: null over an invented value, a stated one over a wrong one."""
        draw = _Draw(f"{self.preset.name}/rejected")
        found = []
        for number, each in enumerate(self._pairs):
            wrong = {**each.values, self.preset.field: self._wrong(each, draw)}
            found.append(
                PreferenceRow(
                    f"pair-{number}", (Turn("user", each.message),), each.answer, compact(wrong),
                    _MADE,
                )
            )  # fmt: skip
        return found

    def _wrong(self, each: Example, draw: _Draw) -> str | None:
        stated: str | None = each.values[self.preset.field]
        if stated is None:
            return invent(self.preset, draw)
        if draw.chance(0.5):
            return None
        if self.preset.field == "plan":
            return draw.of([plan for plan in PLANS if plan != stated])
        return stated[:-1] + draw.of([digit for digit in "0123456789" if digit != stated[-1]])


_MADE = Provenance(source="demo", consent="synthetic", licence="CC0-1.0")

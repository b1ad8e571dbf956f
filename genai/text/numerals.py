"""Numbers that a text spells as words, in English and German: `five`, `twenty-four`, `zwölf`."""

import re

_TIMES = ("hundred", "thousand")
# what multiplies is not read: `five hundred` holds neither a 5 nor a 100
_WORD = re.compile(rf"[^\W\d_]++(?:-[^\W\d_]++)*+(?!\s+(?:{'|'.join(_TIMES)})\b)")
_UNITS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen",
    "eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn"
    " sechzehn siebzehn achtzehn neunzehn",
)
_TENS = (
    "twenty thirty forty fifty sixty seventy eighty ninety",
    "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
)


def _numerals() -> dict[str, int]:
    found = {"dreissig": 30}
    for units, tens, joined in zip(_UNITS, _TENS, ("{1}-{0}", "{0}und{1}"), strict=True):
        found |= {word: number for number, word in enumerate(units.split(), start=1)}
        for ten, word in enumerate(tens.split(), start=2):
            found[word] = 10 * ten
            for unit, small in enumerate(units.split()[:9], start=1):
                small = "ein" if small == "eins" else small
                found[joined.format(small, word)] = 10 * ten + unit
    return found


_NUMERALS = _numerals()


def with_digits(text: str) -> str:
    """Give a text with the numbers that it spells behind it, in digits; `five-year` holds a 5."""
    found = set()
    for word in _WORD.findall(text.lower()):
        head, _, unit = word.rpartition("-")
        number = _NUMERALS.get(word) or (unit not in _TIMES and _NUMERALS.get(head))
        if number:
            found.add(number)
    return " ".join([text, *map(str, sorted(found))])

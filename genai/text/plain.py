"""See through disguises: invisible and look-alike characters, spacing, digits for letters, codes.

Each view is a text with the place in the original that every character of it came from, so that
what is found in a view is reported where it stands.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
# letters of other scripts that look like a Latin one
_BY_LETTER = {
    "a": "\u0430\u0410\u03b1\u0391\u0251\u1d00", "b": "\u0412\u0432\u0392",
    "c": "\u0441\u0421\u03f2\u1d04", "d": "\u0501\u1d05",
    "e": "\u0435\u0415\u0454\u03b5\u0395\u1d07", "g": "\u0261\u0262",
    "h": "\u04bb\u041d\u043d\u0397\u0570", "i": "\u0456\u0406\u03b9\u0399\u0131\u026a\u04cf",
    "j": "\u0458\u0408", "k": "\u043a\u041a\u03ba\u039a\u1d0b", "l": "\u029f",
    "m": "\u043c\u041c\u039c\u1d0d", "n": "\u03bd\u039d\u0578\u0274",
    "o": "\u043e\u041e\u03bf\u039f\u0585\u1d0f", "p": "\u0440\u0420\u03c1\u03a1\u1d18",
    "q": "\u051b", "r": "\u0433\u0280", "s": "\u0455\u0405\u057d",
    "t": "\u0442\u0422\u03c4\u03a4\u1d1b", "u": "\u03c5\u1d1c", "v": "\u1d20", "w": "\u051d",
    "x": "\u0445\u0425\u03c7\u03a7", "y": "\u0443\u0423\u03a5\u04af", "z": "\u0396\u1d22",
}  # fmt: skip
_ALIKE = {ord(each): letter for letter, alike in _BY_LETTER.items() for each in alike}
# a character that a text without disguise does not hold
_DISGUISE = re.compile(
    INVISIBLE.pattern[:-1]
    + "\u0300-\u036f\uff01-\uff5e\u2100-\u214f\u2460-\u24ff\U0001d400-\U0001d7ff"
    + "\U0001f100-\U0001f1ff" + "".join(_BY_LETTER.values()) + "]"
)  # fmt: skip
_ASCII_RUN = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]")
_LEET = str.maketrans("013457@$!|8", "oieastasilb")
_LEET_WORD = re.compile(
    r"[\w@$!|](?<![\w@$!|].)(?<=(?=[\w@$!|]*[a-zA-Z])(?=[\w@$!|]*[013457@$!|]).)[\w@$!|]{2,39}"
)
_LEET_SIGN = re.compile(r"[013457@$!|](?<=[a-zA-Z].)[a-zA-Z]")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*\u00b7]{1,5}){7,400}[^\W_](?![^\W_])")
_SPACED_SIGN = re.compile(r"[ .\-_*\u00b7][^\W_][ .\-_*\u00b7]{1,5}[^\W_][ .\-_*\u00b7]")
# what comes before a run is looked at after its first character: the engine skips to that one
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{20,4000}={0,2}")
_HEX = re.compile(
    r"[0-9a-fA-F](?<![0-9A-Za-z].)[0-9a-fA-F][ :]?(?:[0-9a-fA-F]{2}[ :]?){13,1999}(?![0-9A-Za-z])"
)
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2}[\w.-]{0,20}){6,400}")
_BINARY = re.compile(r"[01](?<!\d.)[01]{7} ?(?:[01]{8} ?){11,999}(?!\d)")
_ESCAPES = re.compile(r"(?:\\u00[2-7][0-9a-fA-F]|\\x[2-7][0-9a-fA-F]){8,1000}")


@dataclass(frozen=True, slots=True)
class View:
    """A text made from another. `at[i]` is where character i came from; without it, all of it did.

    `start` and `end` are the part of the original that the view was made from.
    """

    kind: str
    text: str
    start: int
    end: int
    at: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give the part of the original that a part of the view stands for."""
        if self.at is None:
            return self.start, self.end
        return self.at[start], self.at[end - 1] + 1


def bare(text: str) -> View | None:
    """Give a text without what nobody sees and with plain Latin letters; None where it is plain."""
    if text.isascii() or not _DISGUISE.search(text):
        return None
    letters: list[str] = []
    at: list[int] = []
    for match in _ASCII_RUN.finditer(text):
        char, place = match[0], match.start()
        if char.isascii():
            letters.append(char)
            at += range(place, match.end())
            continue
        if INVISIBLE.match(char) or unicodedata.combining(char):
            continue
        for each in unicodedata.normalize("NFKD", char).translate(_ALIKE):
            if not unicodedata.combining(each):
                letters.append(each)
                at.append(place)
    made = "".join(letters)
    return View("disguised", made, 0, len(text), at) if made != text else None


def views(text: str) -> Iterator[View]:
    """Give all that a text says behind its disguises, each with its places in the text itself."""
    plain = bare(text)
    if plain is None:
        yield from decoded(text)
        return
    yield plain
    for view in decoded(plain.text):
        at = None if view.at is None else [plain.at[n] for n in view.at]  # type: ignore[index]
        yield View(view.kind, view.text, *plain.span(view.start, view.end), at)


def decoded(text: str) -> Iterator[View]:
    """Give what a text says in a code: base64, hex, percent signs, bits, escapes, rot13, reversed.

    Each run is decoded once; what was decoded is not decoded again.
    """
    longest = max(map(len, text.split()), default=0)
    for sign, least, pattern, read in _CODES:
        # most texts hold no code; the signs of one are looked for first
        for match in pattern.finditer(text) if longest >= least and sign in text else ():
            said = read(match[0])
            if said and _readable(said):
                yield View("encoded", said, match.start(), match.end())
    for match in _SPACED.finditer(text) if _SPACED_SIGN.search(text) else ():
        for gap in ("", " "):  # with its words run together, and where the gaps are wider apart
            kept = _together(match[0], match.start(), gap)
            letters = "".join(c for c, _ in kept)
            yield View("spaced", letters, match.start(), match.end(), [n for _, n in kept])
    if _LEET_SIGN.search(text) and _LEET_WORD.search(text):
        yield View("leet", _LEET_WORD.sub(lambda m: m[0].translate(_LEET), text), 0, len(text),
                   range(len(text)))  # fmt: skip
    lower = text.lower()
    if any(word in lower for word in _ROT13_SIGNS) or _turned(lower):
        yield View("encoded", codecs.encode(text, "rot13"), 0, len(text), range(len(text)))
    if any(word in lower for word in _REVERSED_SIGNS):
        yield View("encoded", text[::-1], 0, len(text))


_KEYS = ("ignore", "previous", "instructions", "instruction", "disregard", "system", "prompt",
         "reveal", "override", "bypass", "guidelines", "restrictions", "unrestricted")  # fmt: skip
_MISSPELT = re.compile(r"[A-Za-z]{5,14}")
_RIGHT = {"forgot", *_KEYS}  # words of their own


def _less(word: str) -> set[str]:
    """Give a word with each of its letters left out once."""
    return {word[:n] + word[n + 1 :] for n in range(len(word))}


# a letter left out, doubled or wrong, two that changed places, or the middle in any order
_BY_LETTERS = {key[0] + "".join(sorted(key)) + key[-1]: key for key in _KEYS}
_BY_LESS = {less: key for key in _KEYS for less in {key, *_less(key)}}


def respelt(text: str) -> View | None:
    """Give a text with the misspelt words of attacks set right; None where there are none.

    What reads well with its letters in disorder still says to a model what it says to a person.
    """
    letters: list[str] = []
    at: list[int] = []
    done = 0
    for match in _MISSPELT.finditer(text):
        word = match[0].lower()
        if word in _RIGHT or word.startswith(_KEYS):
            continue
        right = _BY_LETTERS.get(word[0] + "".join(sorted(word)) + word[-1]) or next(
            (_BY_LESS[less] for less in sorted({word, *_less(word)}) if less in _BY_LESS), None
        )
        if right is None or abs(len(right) - len(word)) > 1:
            continue
        letters += [text[done : match.start()], right]
        at += range(done, match.start())
        at += [min(match.start() + n, match.end() - 1) for n in range(len(right))]
        done = match.end()
    if not done:
        return None
    at += range(done, len(text))
    return View("respelt", "".join([*letters, text[done:]]), 0, len(text), at)


_SIGNS = ("ignore", "disregard", "forget", "instructions", "system prompt", "override", "bypass",
          "previous", "reveal", "password")  # fmt: skip
_WORD = re.compile(r"[a-z]+")
_ENGLISH = frozenset("the and of to in is that you your all for with this not what how".split())
_TURNED = frozenset(codecs.encode(word, "rot13") for word in _ENGLISH)
_ROT13_SIGNS = tuple(codecs.encode(word, "rot13") for word in _SIGNS)
_REVERSED_SIGNS = tuple(word[::-1] for word in _SIGNS if len(word) > 6)


def _together(run: str, start: int, gap: str) -> list[tuple[str, int]]:
    """Give the letters of a spaced run with their places, `gap` where two are wider apart."""
    kept: list[tuple[str, int]] = []
    last = 0
    for n, char in enumerate(run):
        if char.isalnum():
            if gap and kept and n - last > 2:
                kept.append((gap, start + n - 1))
            kept.append((char, start + n))
            last = n
    return kept


def _turned(lower: str) -> bool:
    """Say whether a text reads as English once each letter is turned by thirteen, and only then."""
    if " the " in lower or " of " in lower:
        return False
    words = set(_WORD.findall(lower))
    return len(words & _TURNED) >= 2 and not words & _ENGLISH


def says_something(run: str) -> bool:
    """Say whether a run of base64 is a text that somebody can read."""
    return _readable(_from_base64(run))


def _from_base64(run: str) -> str:
    plain = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return ""


def _from_hex(run: str) -> str:
    return bytes.fromhex(re.sub("[ :]", "", run)).decode("utf-8", "ignore")


def _from_bits(run: str) -> str:
    bits = run.replace(" ", "")
    return bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8)).decode("utf-8", "ignore")


def _from_escapes(run: str) -> str:
    return re.sub(r"\\(?:u00|x)(..)", lambda m: chr(int(m[1], 16)), run)


# what a run in the code holds, how long its longest part without white space is at least
_CODES = (
    ("", 20, _BASE64, _from_base64), ("", 2, _HEX, _from_hex), ("%", 18, _PERCENT, unquote),
    ("01", 8, _BINARY, _from_bits), ("\\", 32, _ESCAPES, _from_escapes),
)  # fmt: skip


def _readable(text: str) -> bool:
    """Say whether bytes were text: letters and spaces, hardly anything else."""
    good = sum(c.isascii() and (c.isalnum() or c in " .,:;!?'\"()-\n/") for c in text)
    return len(text) >= 10 and good >= 0.9 * len(text) and (" " in text or "_" in text)


def lowered(text: str) -> str:
    """Give a text in lower case, each character where it was."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)

"""Find personal data by rule and checksum: e-mail, phone, card, IBAN, national ids, IP.

Names and places are not found by rules, and this file does not pretend to. A pattern alone is not
enough where a checksum exists: a number that fails it is not reported.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from genai import extras
from genai.types import Span

KINDS = ("email", "phone", "card", "iban", "national_id", "ip")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_NRIC = re.compile(r"\b[STFGM]\d{7}[A-Z]\b")
_IPV4 = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.]*\d)"
)
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,7}(?![\w:])")
_SEVEN_DIGITS = re.compile(r"\d(?:[ ()./-]{0,3}\d){6}")
# addresses kept for examples (RFC 2606, RFC 5737) and loopback belong to nobody
_NOBODY = re.compile(
    r"(?:@(?:[\w-]+\.)*example\.(?:com|org|net)|\.(?:example|test|invalid|localhost))$"
    r"|^(?:127\.|0\.0\.0\.0|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.)",
    re.IGNORECASE,
)
_NRIC_WEIGHTS = (2, 7, 6, 5, 4, 3, 2)
_NRIC_LETTERS = {
    "S": "JZIHGFEDCBA", "T": "GFEDCBAJZIH", "F": "XWUTRQPNMLK", "G": "RQPNMLKXWUT",
    "M": "KLJNPQRTUWX",
}  # fmt: skip


def find_pii(text: str, kinds: Iterable[str] = KINDS, *, region: str = "US") -> list[Span]:
    """Give the spans of personal data, in order, disjoint; of two that overlap the longer stays.

    `region` is the country whose phone numbers may stand without a country code.
    """
    found = [span for kind in kinds for span in _FINDERS[kind](text, region)]
    chosen: list[Span] = []
    for span in sorted(found, key=lambda s: (s.start - s.end, s.start, s.kind)):
        if all(span.end <= other.start or span.start >= other.end for other in chosen):
            chosen.append(span)
    return sorted(chosen, key=lambda s: s.start)


def _span(match: re.Match[str], kind: str) -> Span:
    return Span(match.start(), match.end(), kind, 1.0, f"[{kind}]")


def _emails(text: str, region: str) -> Iterator[Span]:
    if "@" in text:
        yield from (_span(m, "email") for m in _EMAIL.finditer(text) if not _NOBODY.search(m[0]))


def _cards(text: str, region: str) -> Iterator[Span]:
    accounts = [match.span() for match in _IBAN.finditer(text)]
    for match in _CARD.finditer(text):
        if any(start < match.end() and match.start() < end for start, end in accounts):
            continue  # digits of an account number, valid or not
        digits = re.sub(r"\D", "", match[0])
        if len(set(digits)) > 1 and luhn(digits):
            yield _span(match, "card")


def luhn(digits: str) -> bool:
    """Check a card number's last digit (ISO/IEC 7812-1)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _ibans(text: str, region: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        if extras.load("stdnum.iban", "guards").is_valid(match[0]):
            yield _span(match, "iban")


def _national_ids(text: str, region: str) -> Iterator[Span]:
    yield from (_span(match, "national_id") for match in _SSN.finditer(text))
    for match in _NRIC.finditer(text):
        letter, digits = match[0][0], match[0][1:8]
        total = sum(w * int(d) for w, d in zip(_NRIC_WEIGHTS, digits, strict=True))
        total += {"T": 4, "G": 4, "M": 3}.get(letter, 0)
        place = total % 11
        place = 10 - place if letter == "M" else place
        if _NRIC_LETTERS[letter][place] == match[0][8]:
            yield _span(match, "national_id")


def _phones(text: str, region: str) -> Iterator[Span]:
    if not _SEVEN_DIGITS.search(text):
        return
    phonenumbers = extras.load("phonenumbers", "guards")
    for found in phonenumbers.PhoneNumberMatcher(text, region, max_tries=10_000):
        if re.search(r"[ ()+./-]", found.raw_string):  # ten bare digits are rarely a phone
            yield Span(found.start, found.end, "phone", 1.0, "[phone]")


def _ips(text: str, region: str) -> Iterator[Span]:
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            if not _NOBODY.search(match[0]) and (pattern is _IPV4 or match[0].count(":") > 2):
                yield _span(match, "ip")


_FINDERS: dict[str, Callable[[str, str], Iterator[Span]]] = {
    "email": _emails,
    "phone": _phones,
    "card": _cards,
    "iban": _ibans,
    "national_id": _national_ids,
    "ip": _ips,
}

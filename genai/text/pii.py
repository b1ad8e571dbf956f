"""Find personal data by rule and checksum: e-mail, phone, card, IBAN, national ids, IP, and more.

A pattern alone is not enough where a checksum exists: a number that fails it is not reported. Names
and places are not found by rules, and this file does not pretend to: they need presidio and a
spaCy model, where those are installed. Linear in the text.
"""

import importlib
import ipaddress
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from genai import extras
from genai.errors import MissingExtra
from genai.text.phones import find_phones
from genai.text.unspaced import set_apart
from genai.types import Span

# what a policy looks for unless it says otherwise: what belongs to one person and no other
DEFAULT_KINDS = ("email", "phone", "card", "iban", "national_id", "ip")
KINDS = (*DEFAULT_KINDS, "url", "date", "name", "place")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){11,18}(?![\w-])")
# set as on a card, whatever stands between the groups and whatever digits follow: a date, a code
_GAP = r"(?:[ \u00a0\u2009\u202f]{1,2}|\n|[.\u2010-\u2013-])"
_SET = re.compile(
    rf"(?<![\w.-])(?:\d{{4}}(?:{_GAP}\d{{4}}){{3}}|\d{{4}}{_GAP}\d{{6}}{_GAP}\d{{4,5}}|\d{{15,16}})"
    r"(?![\w-]|\.\d)"
)
_BRANDED = re.compile(
    r"(?:4\d{15}|5\d{15}|2[2-7]\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|6\d{15})\Z"
)
_IBAN = re.compile(
    r"\b[A-Za-z]{2}\d{2}(?:[ \u00a0\u2009\u202f\n-]?[A-Za-z0-9]{4}){2,7}"
    r"(?:[ \u00a0\u2009\u202f\n-]?[A-Za-z0-9]{1,3})?(?![A-Za-z0-9])"
)
_BREAK = re.compile(r"(?<![ \u00a0\u2009\u202f\n-])[ \u00a0\u2009\u202f\n-]")
# US SSN, and the ITIN of those who have none (9xx with a middle part from 50)
_SSN = re.compile(
    r"(?<![\w-])(?:(?!000|666|9)\d{3}-(?!00)\d{2}|9\d{2}-[5-9]\d)-(?!0000)\d{4}(?![\w-])"
)
_NRIC = re.compile(r"(?<![A-Za-z0-9])[STFGMstfgm]\d{7}[A-Za-z](?![A-Za-z0-9])")
_IPV4 = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.]*\d)"
)
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,7}(?![\w:])")
# four numbers with dots after such a word are no address
_NUMBERED = re.compile(
    r"\b(?:versions?|releases?|firmware|build|rev(?:ision)?|sections?|chapters?|clauses?|paragraphs?"
    r"|kapitel|abschnitte?s?|ziffer|punkt|secci\u00f3n|cap\u00edtulo|chapitre)\.?:?\s?\Z",
    re.IGNORECASE,
)
_URL = re.compile(
    r"(?<![\w@/.-])(?:(?:https?|ftp)://[^\s<>\"'`|\\^{}]{3,2000}"
    r"|www\.[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}(?:/[^\s<>\"'`|\\^{}]{0,2000})?)",
    re.IGNORECASE,
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_TIME = r"(?:[ T,]{1,2}(?:at )?\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]\.?m\b\.?)?)?"
_DATE = re.compile(
    r"(?<![\w./-])(?:"
    rf"\d{{4}}-\d{{2}}-\d{{2}}{_TIME}"
    rf"|\d{{1,2}}[/.-]\d{{1,2}}[/.-](?:\d{{4}}|\d{{2}}){_TIME}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}\.?,?(?: \d{{4}})?{_TIME}"
    rf"|{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?{_TIME}(?!\d)"
    rf"|{_MONTH},? \d{{4}}"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
    r")(?![\w-]|[/.]\d)",
    re.IGNORECASE,
)
_WHEN = (
    r"(?:in|since|of|during|until|till|by|from|after|before|year|around|early|late|between|and|to"
    r"|founded|established|est\.|copyright|\u00a9|spring|summer|autumn|fall|winter)"
)
# Four digits are a year after a word that says so, after an article and in brackets; after any
# other word where no name and no number follows. Before a name they are a house number.
_YEAR = re.compile(
    rf"(?:\b(?:(?=[A-Z\u00a9])(?i:{_WHEN})|{_WHEN}(?= \d{{4}} ?(?! ?[A-Z]))|{_WHEN}(?=\n))[ \n]"
    r"((?:1[89]|20)\d{2})(?![\w-]|[.,:/]\d| ?%| \d)"
    r"|\b(?:the|an?|this|its|his|her|their) ((?:1[89]|20)\d{2})(?![\w-]|[.,:/]\d| ?%| \d)"
    r"|\(((?:1[89]|20)\d{2})\)"
    r"|(?<=[a-z,;] )((?:1[89]|20)\d{2})(?=[.,;:)!?]?(?:$|\n| [a-z(\"']))(?![.,:]\d))"
)
# what is counted, paid or numbered is no year
_COUNTED = re.compile(
    r"\b(?:rooms?|codes?|pins?|ports?|orders?|numbers?|no|nr|pages?|versions?|about|nearly|over|than"
    r"|costs?|paid|pay|approximately|least|most|almost|only|for|at|total|is|are|was|were|has|have|with"
    r"|every|all|these|those|some|last|first|next|another|or|up|line|id|flat|box|apartment|suite"
    r"|unit|zip|postcode|street|road|avenue|lane)[,;]? \Z"
    r"|(?-i:[A-Z][^\s,;]*) \Z",
    re.IGNORECASE,
)
# addresses for examples (RFC 2606, RFC 5737), private ones (RFC 1918) and loopback are nobody's
_NOBODY = re.compile(
    r"(?:@(?:[\w-]+\.)*example\.(?:com|org|net)|\.(?:example|test|invalid|localhost))$"
    r"|^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|127\.|0\.0\.0\.0|192\.0\.2\.|198\.51\.100\.|203\.0\.113\.)",
    re.IGNORECASE,
)
_NRIC_WEIGHTS = (2, 7, 6, 5, 4, 3, 2)
_NRIC_LETTERS = {
    "S": "JZIHGFEDCBA", "T": "GFEDCBAJZIH", "F": "XWUTRQPNMLK", "G": "RQPNMLKXWUT",
    "M": "KLJNPQRTUWX",
}  # fmt: skip


def find_pii(text: str, kinds: Iterable[str] = DEFAULT_KINDS, *, region: str = "US") -> list[Span]:
    """Give the spans of personal data, in order, disjoint; of two that overlap the longer stays.

    `region` is the country whose phone numbers may stand without a country code.

    Raises:
        MissingExtra: `name` or `place` is asked for and presidio is not installed.
    """
    kinds = list(kinds)
    apart = set_apart(text)
    found = [span for kind in kinds if kind in _FINDERS for span in _FINDERS[kind](apart, region)]
    if "name" in kinds or "place" in kinds:
        found += [span for span in _named(text) if span.kind in kinds]
    chosen: list[Span] = []
    for span in sorted(found, key=lambda s: (s.start, s.start - s.end, s.kind)):
        if not chosen or span.start >= chosen[-1].end:
            chosen.append(span)
        elif span.end - span.start > chosen[-1].end - chosen[-1].start:
            chosen[-1] = span
    return chosen


def _span(match: re.Match[str], kind: str) -> Span:
    return Span(match.start(), match.end(), kind, 1.0, f"[{kind}]")


def _emails(text: str, region: str) -> Iterator[Span]:
    if "@" in text:
        yield from (_span(m, "email") for m in _EMAIL.finditer(text) if not _NOBODY.search(m[0]))


def _cards(text: str, region: str) -> Iterator[Span]:
    accounts = [(start, end) for start, end, _ in _accounts(text)]
    for pattern in (_CARD, _SET):
        for match in pattern.finditer(text):
            if any(start < match.end() and match.start() < end for start, end in accounts):
                continue  # digits of an account number, valid or not
            digits = re.sub(r"\D", "", match[0])
            if pattern is _SET and not _BRANDED.match(digits):
                continue
            if len(digits) == 12 and not re.match(r"5[06-9]|6|0604", digits):
                continue  # cards that short are Maestro's
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
    yield from (
        Span(start, end, "iban", 1.0, "[iban]") for start, end, valid in _accounts(text) if valid
    )


def _accounts(text: str) -> Iterator[tuple[int, int, bool]]:
    """Give what looks like an account number, and whether it is a valid one."""
    for match in _IBAN.finditer(text):
        valid = extras.load("stdnum.iban", "guards").is_valid
        # the word behind it may look like its last group
        ends = [match.end(), *(match.start() + m.start() for m in _BREAK.finditer(match[0]))]
        for end in sorted(ends, reverse=True):
            # which banks a country has changes; length, form and checksum do not
            plain = re.sub(r"[^A-Za-z0-9]", "", text[match.start() : end])
            if valid(plain, check_country=False):
                yield match.start(), end, True
                break
        else:
            yield *match.span(), False


def _national_ids(text: str, region: str) -> Iterator[Span]:
    yield from (_span(match, "national_id") for match in _SSN.finditer(text))
    for match in _NRIC.finditer(text):
        whole = match[0].upper()
        letter, digits = whole[0], whole[1:8]
        total = sum(w * int(d) for w, d in zip(_NRIC_WEIGHTS, digits, strict=True))
        total += {"T": 4, "G": 4, "M": 3}.get(letter, 0)
        place = total % 11
        place = 10 - place if letter == "M" else place
        if _NRIC_LETTERS[letter][place] == whole[8]:
            yield _span(match, "national_id")


def _phones(text: str, region: str) -> Iterator[Span]:
    yield from (Span(*where, "phone", 1.0, "[phone]") for where in find_phones(text, region))


def _ips(text: str, region: str) -> Iterator[Span]:
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            if _NOBODY.search(match[0]):
                continue
            if pattern is _IPV4:
                before = text[max(0, match.start() - 20) : match.start()]
                is_address = not _NUMBERED.search(before)
            else:
                is_address = match[0].count(":") > 2 and _is_ipv6(match[0])
            if is_address:
                yield _span(match, "ip")


def _is_ipv6(text: str) -> bool:
    """Say whether it is an address, and no time, ratio or number of a network card."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _urls(text: str, region: str) -> Iterator[Span]:
    for match in _URL.finditer(text):
        whole = match[0].rstrip(".,;:!?)]")
        if whole.count("(") > whole.count(")"):
            whole += match[0][len(whole) : len(whole) + 1]
        yield Span(match.start(), match.start() + len(whole), "url", 1.0, "[url]")


def _dates(text: str, region: str) -> Iterator[Span]:
    yield from (_span(match, "date") for match in _DATE.finditer(text))
    for match in _YEAR.finditer(text):
        start, end = match.span(match.lastindex or 0)
        if match.lastindex == 4 and _COUNTED.search(text[max(0, start - 40) : start]):
            continue
        yield Span(start, end, "date", 1.0, "[date]")


_starting = threading.Lock()


@lru_cache(maxsize=1)
def _analyzer() -> Any:
    """Start presidio with the largest English spaCy model that is installed; it fetches none."""
    try:
        presidio = importlib.import_module("presidio_analyzer")
        engines = importlib.import_module("presidio_analyzer.nlp_engine")
        installed = importlib.import_module("spacy.util").get_installed_models()
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"`{error.name}` is not installed, and names and places need it; run:"
            " pip install presidio-analyzer && python -m spacy download en_core_web_lg"
        ) from error
    models = [name for size in ("lg", "md", "sm") for name in installed
              if name.startswith(f"en_core_web_{size}")]  # fmt: skip
    if not models:
        raise MissingExtra(
            "no English spaCy model is installed, and names and places need one; run:"
            " python -m spacy download en_core_web_lg"
        )
    made = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": models[0]}]}
    engine = engines.NlpEngineProvider(nlp_configuration=made).create_engine()
    return presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


def _named(text: str) -> Iterator[Span]:
    """Ask presidio for names and places; what it finds has its own score."""
    kinds = {"PERSON": "name", "LOCATION": "place"}
    with _starting:  # once, however many texts wait for it
        analyzer = _analyzer()
    for found in analyzer.analyze(text=text, entities=[*kinds], language="en"):
        kind = kinds[found.entity_type]
        yield Span(found.start, found.end, kind, float(found.score), f"[{kind}]")


_FINDERS: dict[str, Callable[[str, str], Iterator[Span]]] = {
    "email": _emails,
    "phone": _phones,
    "card": _cards,
    "iban": _ibans,
    "national_id": _national_ids,
    "ip": _ips,
    "url": _urls,
    "date": _dates,
}

"""Find phone numbers: runs of digits that are written as one, or that a word beside them calls one.

Each run of digits is looked at once. A country code, a bracketed area code, a trunk zero or the
usual groups speak for a phone; a label before or after it speaks for any other grouping, and for
digits without one. Dates, amounts, page ranges, postcodes and ids speak against it. National forms
are many: what a country's plan allows is asked of `phonenumbers` beside these rules.
"""

import re
from collections.abc import Iterator

from genai import extras

_GAP = r"(?:[ \u00a0]?[./\u2010-\u2013-][ \u00a0]?|[ \u00a0]{1,2})"
_RUN = re.compile(
    r"(?<![\w$\u20ac\u00a3%#@/-])(?<!\d[.,])"
    rf"\(?\+?\(?\d{{1,15}}\)?(?:(?:{_GAP}\(?|(?<=\))\(?|\()\d{{1,12}}\)?)*+"
)
_SEVEN_DIGITS = re.compile(r"\d(?:[ \u00a0()./\u2010-\u2013-]{0,3}\d){6}")
# words that say whose the digits are; after a weak one they must be grouped as well
_STRONG = (
    r"call(?:ed|ing|s|back)?|(?:tele|cell|mobile)?phones?|phoned|tel|t\u00e9l|telefon\w{0,2}|mobile"
    r"|cell|fax|ring|dial|whats\s?app|sms|hotline|helpline|landline|voicemail|switchboard|handset"
)
_WEAK = (
    r"text(?:ed)?|reach|contact|numbers?|lines?|registered|messages?|extension|office|home|work"
    r"|direct|emergency"
)
_NEAR = r"[^\n\d(+]{0,40}"
_STRONG_BEFORE = re.compile(
    rf"(?:\b(?:{_STRONG})\b{_NEAR}|(?:^|[\s(|,;])[tmpf][:.)]\s*|\b(?:office|home|work|direct)\s?:\s*"
    r"|\b(?:my|his|her|our|their|your)\s+(?:\w+\s+)?number(?:\s+(?:is|was))?\s*:?\s*)[(+]*\Z",
    re.I,
)
_WEAK_BEFORE = re.compile(rf"\b(?:{_WEAK})\b{_NEAR}[(+]*\Z", re.I)
_AFTER = re.compile(
    r"[ \t]{0,2}[-,;:(/|\[]?[ \t]?"
    rf"(?:is\s+(?:my|his|her|our|their|the)\s+(?:\w+\s+)?(?:number|{_STRONG})"
    rf"|(?:{_STRONG}|office|home|work|direct|cellular|ext|voice)\b)",
    re.I,
)
_CHAINED = re.compile(r"\s?(?:,|;|/|or|and|\||,\s?(?:or|and))\s?[(+]*\Z")
# what is counted, ordered or addressed is no phone; no label is stronger than the nearer word
_OTHER_BEFORE = re.compile(
    r"(?:\b(?:orders?|invoices?|accounts?|acct|case|tickets?|references?|ref|cards?|ids?|serial"
    r"|policy|booking|tracking|customer|parts?|zip|postcode|postal|isbn|issn|doi|pp?|pages?|version|room"
    r"|build|patent|passport|licen[cs]e|eur|usd|gbp|sgd|article|vol(?:ume)?|sku|cat|vat|ein|model"
    r"|(?:bestell|kunden|auftrags|rechnungs|artikel|vertrags|mitglieds|konto|sendungs|vorgangs|beleg"
    r"|serien|personal|steuer|buchungs|versicherungs|ticket|teile)[- ]?(?:nummern?|nr))\b"
    r"[^\w\n]{0,3}(?:(?:no|nr|code|number|is|was|of|ist|lautet)\b[^\w\n]{0,3}){0,2}|[$\u20ac\u00a3\u00a5]\s?)[(+]*\Z",
    re.I,
)
_UNIT_AFTER = re.compile(
    r"\s?(?:%|[\u20ac\u00a3]|(?:km|kg|m|mm|cm|ms|s|eur|usd|dollars|euros|units|people|rows|bytes"
    r"|characters|tokens|copies|cells|cases|patients|years)\b)",
    re.I,
)
_NO_END = re.compile(r"[\w%@]|[.,/:-]\d|-\w")
_NEVER = re.compile(
    r"(?:\d{4}-\d{2}-\d{2}|\d{1,2}[/.-]\d{1,2}[/.-](?:\d{4}|\d{2}))(?!\d|[/.-]\d)"  # a date
    r"|\d{3}-\d{2}-\d{4}\Z"  # a social security number, a void one too
    r"|(?:(?!0\d)\d{1,3}\.){3}\d{1,3}\Z"  # an address of the net
)
_HARDLY = re.compile(
    r"[1-9]\d{0,2}(?:\.\d{3})+\Z|[1-9]\d{0,2}(?: \d{3}){0,4} 000(?: \d{3}){0,4}\Z"  # thousands
    r"|[1-9](?:[ \u00a0]\d{3}){2}\Z"  # millions
    r"|\d{5}-\d{3,4}\Z"  # a postcode
    r"|(?:1[89]|20)\d{2} ?[^\d ] ?\d{4}\Z"  # years, and the numbers of laws
    # decimals, shares, lists of notes
    r"|(?!0\d{2,4}/\d{5})\d{1,5}[./]\d+\Z|\d{1,2}/|\(?\d+\.\d+ ?[^.\d]|.*[(].*[(]"
)
_YEAR = re.compile(r"\(?(?:1[89]|20)\d{2}\)?\Z")


def find_phones(text: str, region: str = "US") -> Iterator[tuple[int, int]]:
    """Give the places of phone numbers. `region`: whose numbers may stand without a country code.

    Two places may overlap: the rules and the numbering plans are asked one after the other.
    """
    if not _SEVEN_DIGITS.search(text):
        return
    last = -100
    for match in _RUN.finditer(text):
        if match.end() - match.start() < 7:
            continue
        start, end = _unwrapped(text, match.start(), match.end())
        chained = start - last < 12 and bool(_CHAINED.match(text, last, start))
        if _is_phone(text, start, end, chained):
            last = end
            yield start, end
    phonenumbers = extras.load("phonenumbers", "guards")
    for found in phonenumbers.PhoneNumberMatcher(text, region, max_tries=10_000):
        start, end = _unwrapped(text, found.start, found.end)
        run = text[start:end]
        grouped = re.search(r"[ ()+./-]", run)  # ten bare digits are rarely a phone
        against = _NEVER.match(run) or _HARDLY.match(run) or re.search(r"\D\d\D\d\Z", run)
        other = _OTHER_BEFORE.search(text[max(0, start - 40) : start])
        if grouped and not against and not other:
            yield start, end


def _unwrapped(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out brackets around the whole, and one without its other half."""
    run = text[start:end]
    if run.startswith("(") and run.endswith(")") and ")" not in run[1:-1]:
        return start + 1, end - 1
    opened, closed = run.count("("), run.count(")")
    if opened > closed and run.startswith("("):
        return start + 1, end
    if closed > opened and run.endswith(")"):
        return start, end - 1
    if run.startswith("((") and run.endswith(")"):
        return start + 1, end - 1
    return start, end


def _is_phone(text: str, start: int, end: int, chained: bool) -> bool:
    run = text[start:end]
    groups = re.findall(r"\d+", run)
    digits = sum(map(len, groups))
    if not 7 <= digits <= 15 or _NEVER.match(run):
        return False
    before = text[max(0, start - 60) : start].rsplit("\n", 1)[-1]
    after = _AFTER.match(text, end)
    if _OTHER_BEFORE.search(before) or (not after and _NO_END.match(text, end)):
        return False
    if run.lstrip("(").startswith("+"):
        return digits >= 8
    strong = chained or after is not None or _STRONG_BEFORE.search(before) is not None
    if strong:
        return True
    if _HARDLY.match(run) or _UNIT_AFTER.match(text, end):
        return False
    weak = len(groups) > 1 and _WEAK_BEFORE.search(before) is not None
    return weak or _is_grouped(text, run, groups, end)


def _is_grouped(text: str, run: str, groups: list[str], end: int) -> bool:
    """Say whether digits are grouped like those of a phone, with no word to say so."""
    lengths = [len(group) for group in groups]
    first, digits = lengths[0], sum(lengths)
    if len(groups) == 1 or any(length == 1 for length in lengths[2:]):
        return False
    if run.startswith("("):
        return first <= 5 and digits <= 12 and not _YEAR.match(run[: first + 2])
    if run.startswith("0") and 8 <= digits <= 12 and first >= 2:
        return max(lengths) >= 3 or len(groups) >= 4
    if len(groups) >= 3:
        return first <= 4 and 2 <= lengths[1] <= 4 and lengths[2] >= 2 and digits <= 12
    if lengths == [3, 4]:
        return "-" in run or (" " in run and not re.match(r" [A-Z\d]", text[end : end + 3]))
    if lengths == [4, 4] and groups[0][0] in "235689":
        pages = 0 < int(groups[1]) - int(groups[0]) < 1000
        return not pages and not re.match(r" [A-Z\d]", text[end : end + 3])
    return False

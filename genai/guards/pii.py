"""The guard for personal data."""

from collections.abc import Sequence

from genai.guards.base import Scope
from genai.text.pii import DEFAULT_KINDS, find_pii
from genai.types import Place, Span

_WORDS = {
    "email": "an e-mail address",
    "phone": "a phone number",
    "card": "a card number",
    "iban": "a bank account number",
    "national_id": "a national id number",
    "ip": "an IP address",
    "url": "a web address",
    "date": "a date",
    "name": "a name",
    "place": "a place",
}


class PiiGuard:
    """Finds e-mail addresses, phone, card, account and id numbers, IP addresses, and more."""

    name = "pii"
    scope: Scope = "span"
    quick = True

    def __init__(self, kinds: Sequence[str] = DEFAULT_KINDS, region: str = "US") -> None:
        self._kinds = tuple(kinds)
        self._region = region
        # a language model takes its time
        self.quick = not {"name", "place"} & set(kinds)

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the spans of personal data."""
        return find_pii(text, self._kinds, region=self._region)

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the kinds that were found."""
        return f"It holds {', '.join(_WORDS[k] for k in dict.fromkeys(s.kind for s in spans))}."

"""The guard for personal data."""

from collections.abc import Sequence

from genai.text.pii import KINDS, find_pii
from genai.types import Place, Span

_WORDS = {
    "email": "an e-mail address",
    "phone": "a phone number",
    "card": "a card number",
    "iban": "a bank account number",
    "national_id": "a national id number",
    "ip": "an IP address",
}


class PiiGuard:
    """Finds e-mail addresses, phone, card, account and id numbers, IP addresses."""

    name = "pii"

    def __init__(self, kinds: Sequence[str] = KINDS, region: str = "US") -> None:
        self._kinds = tuple(kinds)
        self._region = region

    def look(self, text: str, place: Place) -> tuple[Sequence[Span], str]:
        """Give the spans of personal data."""
        spans = find_pii(text, self._kinds, region=self._region)
        kinds = ", ".join(_WORDS[kind] for kind in dict.fromkeys(span.kind for span in spans))
        return spans, f"It holds {kinds}."

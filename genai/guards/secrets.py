"""The guard for keys, tokens and passwords."""

from collections.abc import Sequence

from genai.guards.base import Scope
from genai.text.secrets import find_secrets
from genai.types import Place, Span


class SecretsGuard:
    """Finds credentials by detect-secrets' rules and by how random a word looks."""

    name = "secrets"
    scope: Scope = "span"
    quick = True

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the spans of secrets."""
        return find_secrets(text)

    def explain(self, spans: Sequence[Span]) -> str:
        """Say what to do about it."""
        return "It holds a key, token or password; remove it, and replace it."

"""The guard for keys, tokens and passwords."""

from collections.abc import Sequence

from genai.text.secrets import find_secrets
from genai.types import Place, Span


class SecretsGuard:
    """Finds credentials by detect-secrets' rules."""

    name = "secrets"

    def look(self, text: str, place: Place) -> tuple[Sequence[Span], str]:
        """Give the spans of secrets."""
        return find_secrets(text), "It holds a key, token or password; remove it, and replace it."

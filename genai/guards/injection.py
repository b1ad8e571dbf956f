"""The guard for instructions that text smuggles to the model."""

from collections.abc import Sequence

from genai.text.injection import find_injection
from genai.types import Place, Span

_WORDS = {
    "override": "it tries to override the assistant's instructions",
    "reveal": "it asks for the hidden instructions",
    "role": "it forges a chat role",
    "exfiltration": "it tries to send data out",
    "hidden": "it holds hidden text",
}


class InjectionGuard:
    """Finds overrides, forged roles, hidden characters and exfiltration."""

    name = "injection"

    def look(self, text: str, place: Place) -> tuple[Sequence[Span], str]:
        """Give the spans of injected instructions; in a question a quoted one counts too."""
        spans = find_injection(text, quoted_counts=place == "question")
        words = ", ".join(_WORDS[kind] for kind in dict.fromkeys(span.kind for span in spans))
        return spans, f"It looks like a prompt injection: {words}."

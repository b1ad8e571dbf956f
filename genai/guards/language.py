"""The guard for languages: only these."""

from collections.abc import Sequence

from genai.errors import ConfigError
from genai.guards.base import Scope
from genai.text.language import LANGUAGES, guess_language
from genai.text.sentences import sentences
from genai.types import Place, Span


class LanguageGuard:
    """Finds sentences in another language; a score is how sure the guess is."""

    name = "language"
    scope: Scope = "sentence"
    quick = True
    threshold = 0.3

    def __init__(self, languages: Sequence[str]) -> None:
        self._allowed = set(languages)
        unknown = self._allowed - set(LANGUAGES)
        if unknown:
            raise ConfigError(
                f"configs/guards.yaml: `{min(unknown)}` is no language the guard `language` knows;"
                f" known: {', '.join(LANGUAGES)}"
            )

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Give the sentences that are surely in a language which is not allowed."""
        found = []
        for start, end in sentences(text):
            language, score = guess_language(text[start:end])
            if language and language not in self._allowed and score:
                found.append(Span(start, end, language, score, "[removed]"))
        return found

    def explain(self, spans: Sequence[Span]) -> str:
        """Name the languages found and those allowed."""
        found = ", ".join(dict.fromkeys(span.kind for span in spans))
        return f"It is in {found}; allowed: {', '.join(sorted(self._allowed))}."

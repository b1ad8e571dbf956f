"""Changes of the surface: letters, case, space, markup, and the sentence around a question.

They hold in any language with an alphabet; the templates are English unless others are given.
"""

import re
from random import Random

from genai.errors import CaseError
from genai.evals.case import Case
from genai.evals.edits.base import Words, asking, facts_of

_WORD = re.compile(r"[^\W\d_]{4,}")
_KEPT = re.compile(r"`[^`]*`|\"[^\"]*\"|\u201c[^\u201d]*\u201d|https?://\S+")
_MARKS = "?.!\u2026\u3002\uff1f\uff01"
_FAR = 0x2E80  # from here on scripts have no letters to mistype


def typo(case: Case, random: Random, words: Words) -> Case | None:
    """Mistype one word in eight; first and last letters stay, and so does what is expected."""
    text = case.question
    kept = [span.span() for span in _KEPT.finditer(text)]
    safe = {word.casefold() for fact in facts_of(case) for word in _WORD.findall(fact)}
    found = [
        word
        for word in _WORD.finditer(text)
        if not word[0].isupper()
        and ord(max(word[0])) < _FAR
        and word[0].casefold() not in safe
        and not any(start <= word.start() < end for start, end in kept)
    ]
    if not found:
        return None
    chosen = random.sample(found, max(1, len(found) // 8))
    for word in sorted(chosen, key=re.Match.start, reverse=True):
        text = text[: word.start()] + _mistyped(word[0], random) + text[word.end() :]
    return asking(case, text)


def _mistyped(word: str, random: Random) -> str:
    place = random.randrange(1, len(word) - 2)
    a, b = word[place], word[place + 1]
    options = [word[:place] + word[place + 1 :], word[:place] + a + word[place:]]
    if a != b:
        options.append(word[:place] + b + a + word[place + 2 :])
    return random.choice(options)


def letter_case(case: Case, random: Random, words: Words) -> Case | None:
    """Write the question in lower case, then in upper case."""
    text = case.question
    found = [each for each in (text.lower(), text.upper()) if each != text]
    return asking(case, found[words.turn - 1]) if words.turn <= len(found) else None


def whitespace(case: Case, random: Random, words: Words) -> Case:
    """Add spaces between words and lines around the text."""

    def wider(gap: re.Match[str]) -> str:
        return random.choice((" ", "  ", "   ")) + gap[0][1:]

    text = re.sub(r"(?<=\S) (?=\S)", wider, case.question)
    return asking(case, random.choice((" ", "\n", "\t")) + text + random.choice(("\n\n", "  ")))


def markup(case: Case, random: Random, words: Words) -> Case:
    """Put the text into Markdown, or leave out its final mark."""
    text = case.question.strip()
    forms = ["> " + text.replace("\n", "\n> "), f"```\n{text}\n```"]
    if "\n" not in text:
        forms = [f"**{text}**", f"- {text}", f"> {text}"]
    bare = text.rstrip(_MARKS)
    forms += [bare] if bare and bare != text else []
    return asking(case, forms[(random.randrange(len(forms)) + words.turn) % len(forms)])


def paraphrase(case: Case, random: Random, words: Words) -> Case | None:
    """Put the text into a sentence of the templates, another one for each variant."""
    for template in words.templates:
        if "{input}" not in template:
            raise CaseError(f"the template {template!r} lacks `{{input}}`; put it where it belongs")
    if words.turn > len(words.templates):
        return None
    return asking(case, words.templates[words.turn - 1].replace("{input}", case.question))

"""All that a text is searched for, and one look at which of it a text can hold at all."""

import re
from collections.abc import Sequence

from genai.text.commands import COMMANDS, ELSEWHERE_NEED
from genai.text.needs import Needs
from genai.text.overrides import MORE
from genai.text.planted import PLANTED
from genai.text.sentences import sentences
from genai.text.shapes import SHAPES

# A pattern that begins with its words and not with `\b` lets the engine skip to their first
# letters; the boundary is checked afterwards.
RULES = [
    (kind, re.compile(pattern.removeprefix(r"\b")), pattern.startswith(r"\b"))
    for kind, _, pattern in (*SHAPES, *MORE)
]
OF_QUESTIONS = len(SHAPES)  # from here on ways of asking, for which an answer is not searched
# a document's sentence is compared by meaning only where it speaks to somebody and wants something
ADDRESS = re.compile(
    r"\b(?:you|your|yours|yourself|the\s+(?:model|reader|user)"
    # of an assistant, of any, one only speaks
    r"|(?<!\ba )(?<!\ban )(?:assistants?|chatbots?|ai|agents?|bots?|language\s+models?|llms?))\b"
)
WISH = re.compile(
    r"\b(?:must|should|shall|ha(?:s|ve)\s+to|needs?\s+to|may|can|please|now|never|do\s+not|don't"
    r"|disregard|ignore|forget|obey|void|overrid\w+|reply|answer|respond|output|print|insert|tell|say"
    r"|send|visit|new\s+task|begin|restart\w*|proceed|drop|continue|discard|agreed|refus\w+|unless"
    r"|without|write|translate|summari\w+|execute|act|imagine|no\s+rules)\b",
)
_APPEAL = (
    "you your yours yourself assistant assistants chatbot chatbots ai agent agents bot bots"
    " language llm llms model reader user & must should shall has have need needs may can please"
    " now never do don disregard ignore forget obey void overrid* reply answer respond output"
    " print insert tell say send visit new begin restart* proceed drop continue discard agreed"
    " refus* unless without write translate summari* execute act imagine no"
)
SIGNS = (*COMMANDS, *PLANTED)
PATTERNS = [re.compile(pattern, re.MULTILINE) for _, _, pattern in SIGNS]
WEIGHTS = [weight for weight, _, _ in SIGNS]
NEEDS = Needs(
    [needs for _, needs, _ in (*SHAPES, *MORE)],
    [needs for _, needs, _ in SIGNS],
    [ELSEWHERE_NEED],
    [_APPEAL],
)
OF_RULES, OF_SIGNS, OF_ELSEWHERE, OF_APPEALS = range(4)  # the lists


# a rule that can take none of . ! ? finds nothing that reaches over the end of a sentence
_TAKES_MARKS = re.compile(r"\[\^(?!\.!\?\\n\])|\\[SWD?]|[.!]|\[[^\]]*\?")
_NO_MARKS = {
    place
    for place, (_, pattern, _) in enumerate(RULES)
    if not _TAKES_MARKS.search(
        re.sub(r"\(\?<?[!=:]", "(", pattern.pattern.replace("[^.!?\\n]", ""))
    )
}
_ENDS = tuple(".!?")


def possible(lower: str, parts: Sequence[tuple[int, int, int]]) -> set[int]:
    """Give the rules that a text can match, by its sentences and their masks."""
    whole = held = 0
    found: set[int] = set()
    for _, end, mask in parts:
        whole |= mask
        held |= mask
        if lower[end - 1] in _ENDS:
            found.update(NEEDS.met(held, OF_RULES))
            held = 0
    found.update(NEEDS.met(held, OF_RULES))
    return {
        place for place in NEEDS.met(whole, OF_RULES) if place in found or place not in _NO_MARKS
    }


def looked(lower: str) -> list[tuple[int, int, int]]:
    """Give the spans of the sentences of a lower-case text, each with its mask of needs."""
    return [(start, end, NEEDS.mask(lower[start:end])) for start, end in sentences(lower)]


def recut(lower: str, parts: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Give the sentences of a text of which some was blanked: each may hold what stood there."""
    found = []
    at = 0
    for start, end in sentences(lower):
        while at < len(parts) and parts[at][1] <= start:
            at += 1
        mask, each = 0, at
        while each < len(parts) and parts[each][0] < end:
            mask |= parts[each][2]
            each += 1
        found.append((start, end, mask))
    return found

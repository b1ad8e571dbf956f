"""Find instructions that text smuggles to a model: overrides, forged roles, hidden characters.

Rules catch the known shapes. They are one layer: the prompt's fence and the citation check are the
others. A phrase that stands in quotes or backticks is talked about, not said, and does not count.
"""

import re

from genai.types import Span

_OVERRIDE = (
    r"\b(?:ignore|disregard|forget|override|bypass)\s+(?:(?:all|any|every|each|the|these|those|your"
    r"|my|of|everything|previous|prior|earlier|above|preceding|foregoing|system|existing|current"
    r"|other|said|written|and)\s+){0,6}(?:instructions?|prompts?|rules?|directions?|guidelines?"
    r"|directives?|constraints?|guardrails?|programming|context|commands?)\b"
)
_RULES: tuple[tuple[str, str], ...] = (
    ("override", _OVERRIDE),
    ("override", r"\bforget\s+(?:everything|all)\s+(?:(?:you|that|above|before|i)\b)"),
    ("override", r"\b(?:do\s+not|don't|stop)\s+(?:follow|obey)(?:ing)?\s+(?:your|the|any)\s+"
                 r"(?:previous\s+|system\s+|original\s+)?(?:instructions?|rules?|guidelines?)\b"),
    ("override", r"\b(?:new|updated|real|actual)\s+(?:system\s+)?"
                 r"(?:instructions?|prompt|task)\s*:"),
    ("override", r"\b(?:from\s+now\s+on|henceforth),?\s+you\s+(?:are|will|must|should|only)\b"),
    ("override", r"\byou\s+are\s+(?:now|no\s+longer)\s+(?:a|an|bound|dan|free)\b"),
    ("override", r"\b(?:act|behave|pretend|respond|roleplay)\s+(?:as\s+if|as\s+though|as|like"
                 r"|to\s+be)\s+(?:you\s+(?:are|were|have)\s+)?(?:an?\s+)?(?:unrestricted|unfiltered|jailbroken"
                 r"|evil|dan\b|developer\s+mode|no\s+(?:rules|restrictions|limits))"),
    ("override", r"\b(?:enable|enter|activate)\s+(?:developer|debug|god|dan|jailbreak|admin)"
                 r"\s+mode\b"),
    ("reveal", r"\b(?:reveal|print|show|output|repeat|display|leak|give|tell|recite|write)\b"
               r"(?:\s+\w+){0,4}?\s+(?:your|the|its)\s+(?:(?:full|entire|hidden|initial|original"
               r"|secret|exact|whole)\s+){0,2}(?:system\s+prompt|system\s+message"
               r"|(?:initial|hidden|secret|original|system)\s+instructions?)"),
    ("reveal", r"\bwhat\s+(?:is|are|was|were)\s+your\s+"
               r"(?:(?:exact|full|initial|hidden|original)\s+)?(?:system\s+prompt|(?:hidden|initial|system)\s+instructions?)"),
    ("role", r"<\|(?:im_start|im_end|system|user|assistant|eot_id|start_header_id|endoftext)\|?>?"),
    ("role", r"\[/?INST\]|<</?SYS>>|<<<\w{1,20}:role:\w{1,20}>>>"),
    ("role", r"(?m)^\s{0,3}(?:#{1,3}\s{0,3})?(?:system|assistant|developer)\s{0,2}:\s{0,3}\S"),
    ("role", r"</?(?:system|assistant|passage\s[0-9a-f]{6,16})>"),
    ("exfiltration", r"!\[[^\]\n]{0,200}\]\(https?://[^)\s]{1,300}(?:\{|\$|%7B|=<|=\[)"),
    ("exfiltration", r"\b(?:send|post|forward|upload|exfiltrate|email|append)\b[^.\n]{0,80}"
                     r"\b(?:conversation|chat\s+history|system\s+prompt|credentials|api\s+keys?"
                     r"|passwords?|secrets?)\b[^.\n]{0,60}\b(?:to|at|into)\s+(?:https?://|\S{1,64}@)"),
    ("hidden", r"[\U000E0020-\U000E007F]{2,}"),
    ("hidden", r"[\u202A-\u202E\u2066-\u2069]"),
    ("hidden", r"(?:[\u200B\u2060\uFEFF\u00AD]){4,}"),
    ("hidden", r"<!--[^>]{0,400}\b(?:ignore|instruction|assistant|system\s+prompt|you\s+must)\b"),
)  # fmt: skip
_COMPILED = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _RULES]
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"


def find_injection(text: str, *, quoted_counts: bool = False) -> list[Span]:
    """Give the spans of smuggled instructions. `kind` is the rule family; scores are 1.

    In a question a quoted phrase counts too (`quoted_counts`); in a document it does not.
    """
    found = _scan(text, quoted_counts)
    if not found and _INVISIBLE.search(text):
        # characters that nobody sees may split a word; look again without them
        bare = _scan(_INVISIBLE.sub("", text), quoted_counts)
        if bare:
            found = [Span(0, len(text), bare[0].kind, 1.0, "[removed]")]
    return found


def _scan(text: str, quoted_counts: bool) -> list[Span]:
    return sorted(
        {
            Span(match.start(), match.end(), kind, 1.0, "[removed]")
            for kind, pattern in _COMPILED
            for match in pattern.finditer(text)
            if quoted_counts or kind == "hidden" or not _is_quoted(text, match.start(), match.end())
        },
        key=lambda span: (span.start, span.end),
    )


def _is_quoted(text: str, start: int, end: int) -> bool:
    """Say whether an opening quote stands shortly before and a closing one shortly after."""
    before = text[max(0, start - 80) : start].rsplit("\n", 1)[-1]
    after = text[end : end + 120].split("\n", 1)[0]
    opened = any(before.count(q) % 2 == 1 for q in '"`') or any(q in before for q in "\u201c\u00ab")
    return (opened or before.rstrip()[-1:] in tuple(_QUOTES)) and any(q in after for q in _QUOTES)

"""Find instructions that text smuggles to a model: overrides, forged roles, hidden characters.

Rules catch the known shapes, in plain text and behind disguises (`genai.text.plain`). They are one
layer: the prompt's fence and the citation check are the others. A phrase that stands in quotes or
backticks is talked about, not said, and does not count.
"""

import re

from genai.text.overrides import MORE
from genai.text.plain import View, lowered, views
from genai.types import Span

_VERB = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|overlook"
    r"|discard|drop|skip|neglect|abandon|dismiss|set\s+aside|throw\s+away|pay\s+no\s+attention\s+to"
    r"|(?:do\s+not|don'?t|never|stop|no\s+longer)\s+(?:follow|obey|comply\s+with|adhere\s+to"
    r"|listen\s+to"
    r"|be\s+bound\s+by)(?:ing)?)"
)
_WHICH = (
    r"(?:all|any|every|each|the|these|those|your|my|of|everything|previous|prior|earlier|above"
    r"|preceding|foregoing|system|existing|current|other|said|written|and|initial|original|safety"
    r"|content|ethical|moral|usual|normal|old|past|first|former|given|built-in|default|whatever|you"
    r"|were|was|have|been|received|told|developer|developers?'?s?|openai'?s?|security|that|came"
    r"|before)"
)
_WHAT = (
    r"(?:instructions?|prompts?|rules?|directions?|guidelines?|directives?|constraints?|guardrails?"
    r"|programming|context|commands?|restrictions?|polic(?:y|ies)|limits?|limitations?|filters?"
    r"|safeguards?|orders?|training|messages?|protocols?)"
)
_LINE = r"[^.!?\n]"
_RULES: tuple[tuple[str, str], ...] = (
    ("override", rf"\b{_VERB}\s+(?:{_WHICH}\s+){{0,7}}{_WHAT}\b"),
    ("override", r"\b(?:forget|disregard|ignore)\s+(?:everything|all|anything|what(?:ever)?)\s+"
                 r"(?:(?:you|that|above|before|i|was|has|so|came|stands|written)\b)"),
    ("override", rf"\b(?:instead|rather)\s+of\s+(?:following"
                 rf"|obeying)\s+{_LINE}{{0,30}}\b{_WHAT}\b"),
    ("override", r"\b(?:your|the)\s+(?:previous|prior|earlier|old|original|former)\s+"
                 r"(?:instructions?|rules?|guidelines?|prompt|orders?)\s+(?:are|is|were"
                 r"|have\s+been|no)\s+"
                 r"(?:now\s+)?(?:void|null|obsolete|cancell?ed|outdated|revoked|replaced|superseded"
                 r"|suspended|longer|invalid|lifted|deleted|wrong)"),
    ("override", r"\b(?:new|updated|real|actual|true|secret)\s+(?:system\s+)?"
                 r"(?:instructions?|prompt|task|objective|directive|orders?)\s*:"),
    ("override", r"\b(?:from\s+now\s+on|henceforth|from\s+this\s+point(?:\s+on)?),?\s+"
                 r"(?:you\s+(?:are|will|must|should|only|have|answer|respond|act)|answer|respond"
                 r"|act|speak)\b"),
    ("override", r"\byou\s+are\s+(?:now|no\s+longer)\s+(?:a|an|bound|dan\b|free|going|my"
                 r"|under|called"
                 r"|named|subject)"),
    ("override", r"\b(?:you\s+have|you've|with)\s+no\s+(?:rules|restrictions|limits|limitations"
                 r"|filters"
                 r"|guidelines|ethical\s+\w+|moral\s+\w+|censorship)\b"),
    ("override", r"\b(?:act|behave|pretend|respond|roleplay|role-play|answer|simulate|imagine"
                 r"|play)\b"
                 rf"{_LINE}{{0,60}}\b(?:unrestricted|unfiltered|uncensored|jailbroken|no\s+(?:rules"
                 r"|restrictions|limits|filters|guidelines)|without\s+(?:any\s+)?(?:rules"
                 r"|restrictions"
                 r"|limits|filters|ethics|morals|censorship|guardrails|limitations)|evil\s+\w+"
                 r"|developer\s+mode|dan\b|do\s+anything\s+now)"),
    ("override", r"\b(?:enable|enter|activate|switch\s+(?:to|into)|unlock|turn\s+on"
                 r"|you\s+are\s+in)\s+"
                 r"(?:the\s+)?(?:developer|debug|god|dan|jailbreak|admin|maintenance|root|sudo"
                 r"|unrestricted|unsafe|diagnostic)\s+mode\b"),
    ("override", r"\b(?:turn\s+off|disable|deactivate|remove|lift|switch\s+off|suspend)\s+"
                 r"(?:(?:all|any|your|the|of|every)\s+){0,3}(?:safety|content|ethical|security"
                 r"|moral)?\s*"
                 r"(?:filters?|guardrails?|restrictions?|safeguards?|safety|censorship"
                 r"|moderation)\b"),
    ("override", r"\b(?:never|don'?t|do\s+not|you\s+(?:can|must|may)\s?not)\s+(?:refuse|decline"
                 r"|say\s+no"
                 r"|add\s+(?:a\s+)?(?:warnings?|disclaimers?))\b"),
    ("reveal", r"\b(?:reveal|print|show|output|repeat|display|leak|give|tell|recite|write|quote"
               r"|expose"
               r"|copy|summari[sz]e|translate|paste|dump|disclose|spell\s+out|list|share)\b"
               rf"{_LINE}{{0,50}}?\b(?:your|the|its|initial|hidden|full)\s+"
               r"(?:(?:full|entire|hidden|initial|original|secret|exact|whole|own|complete|internal"
               r"|confidential|first)\s+){0,3}(?:system\s+prompt|system\s+message|prompt\s+above"
               r"|(?:initial|hidden|secret|original|system|internal"
               r"|confidential)?\s*instructions?\b"
               rf"(?={_LINE}{{0,40}}(?:above|you|verbatim|word|exactly|start|hidden|given|got"
               rf"|received|$))"
               r"|(?:initial|hidden|secret|internal)\s+(?:prompt|rules?|configuration))"),
    ("reveal", r"\bwhat\s+(?:is|are|was|were|does)\s+(?:in\s+)?your\s+"
               r"(?:(?:exact|full|initial|hidden|original|secret)\s+)?(?:system\s+(?:prompt"
               r"|message)"
               r"|(?:hidden|initial|system|secret|original)\s+(?:instructions?|prompt|rules))"),
    ("reveal", r"\b(?:repeat|print|output|copy|say|recite|write)\b[^.!?\n]{0,30}\b(?:everything"
               r"|all|text"
               r"|words?|content|lines?)\b[^.!?\n]{0,30}\b(?:above|before\s+this"
               r"|so\s+far\s+in\s+your"
               r"|your\s+(?:prompt|context))"),
    ("role", r"<\|(?:im_start|im_end|system|user|assistant|eot_id|start_header_id|endoftext"
             r"|begin_of_text"
             r"|channel|message|end|tool_call)\|?>?"),
    ("role", r"\[/?(?:inst|system|assistant)\]|<</?sys>>|<<<\w{1,20}:role:\w{1,20}>>>"
             r"|<(?:start|end)_of_turn>|\[(?:system|admin|developer)\s?(?:message|prompt"
             r"|override|note)\]"),
    ("role", r"(?m)^\s{0,3}(?:[#*]{1,3}\s{0,3})?(?:system|assistant|developer)(?:\s(?:message"
             r"|prompt"
             r"|override|note))?\s{0,2}\*{0,2}:\*{0,2}\s{0,3}\S"),
    ("role", r"</?(?:system|assistant|passage\s[0-9a-f]{6,16})>"),
    ("role", r"\b(?:attention|note|notice|message|instructions?|important|warning"
             r"|reminder)\s+(?:to|for)\s+"
             r"(?:the\s+|any\s+|all\s+)?(?:ai|llms?|assistants?|language\s+models?|chatbots?"
             r"|models?|agents?|bots?)\b"),
    ("role", r"\b(?:if\s+you\s+are|as)\s+an?\s+(?:ai|llm|language\s+model|assistant|chatbot"
             r"|automated)\b"
             r"[^.\n]{0,40}\b(?:reading|processing|summari[sz]ing|you\s+must|you\s+should|then"
             r"|say|add|write"
             r"|include|reply|output)\b"),
    ("role", r"\b(?:ai(?:\s+agents?|\s+assistants?|\s+models?|\s+systems?)?|assistants?"
             r"|chatbots?|language\s+models?"
             r"|llms?|bots?|copilots?)\b(?:[,:]|\s+(?:that|who"
             r"|which)\s+\w+[^.!?\n]{0,40})?\s+(?:must|should|ha(?:s|ve)\s+to"
             r"|shall|needs?\s+to|please|now|will)\b[^.!?\n]{0,80}(?:https?://|\S{1,64}@\S"
             r"|\blink\b|\b(?:visit|purchase|pay"
             r"|account\s+number|coupon|discount|insert|forward|praise|recommend|promote"
             r"|disregard|discard)\b)"),
    ("role", r"\b(?:to|for|dear|hey)\s+(?:the\s+|any\s+|all\s+|every\s+)?(?:\w+\s+){0,2}"
             r"(?:ai|assistants?|agents?|copilots?|bots?|llms?)\s*:"),
    ("role", r"\b(?:ai|assistants?|copilots?|chatbots?|bots?|llms?|language\s+models?)"
             r"(?:\s+(?:agents?|models?|systems?|reviewers?|readers?"
             r"|that\s+[^.,!?\n]{0,40}))?\s*[,:]\s*"
             r"(?:please\s+|you\s+must\s+|[^.,!?\n]{0,40}\bmeeting\s+)?(?:ignore|disregard"
             r"|delete|send|share"
             r"|accept|approve|rate|rank|recommend|open|enter|add|insert|print|output|say|tell"
             r"|reply"
             r"|leave\s+out|mention|do\s+not|don't|forward|visit|pay|skip|pretend|include|change"
             r"|click|upload)\b"),
    ("role", r"\b(?:ai|assistants?|agents?|models?|systems?|bots?|llms?)\s+(?:(?:that|who"
             r"|which)\s+)?"
             r"(?:read(?:s|ing)?|process(?:es|ing)?|summari[sz](?:es?|ing)|evaluat(?:es?|ing)"
             r"|pars(?:es?|ing)"
             r"|screen(?:s|ing)?)\s+(?:this|these)\b"),
    ("role", r"\b(?:ai|assistants?|agents?|models?|bots?|llms?)\s+(?:must|ha(?:s|ve)\s+to"
             r"|needs?\s+to|should)\s+"
             r"(?:now\s+)?(?:call|print|output|enter|open|reveal|pretend|transfer|rank"
             r"|rate)\b[^.!?\n]{0,60}"
             r"\b(?:its?|token|password|key|before\s+(?:replying|answering)|message|first|score"
             r"|that)\b"),
    ("role", r"\b(?:end|close)\s+of\s+(?:the\s+)?(?:document|context|prompt|instructions"
             r"|user\s+(?:input|question))\b"
             r"[^\n]{0,80}\b(?:assistant|model|ai|you|task|instruct|output|print)|\b(?:begin"
             r"|start)\s+(?:admin|system)\s+override"),
    ("exfiltration", r"!\[[^\]\n]{0,200}\]\(https?://[^)\s]{1,300}(?:\{|\$|%7b|=<|=\["
                     r"|\?\w{1,20}=)"),
    ("exfiltration", r"<img\b[^>]{0,200}\bsrc=[\"']?https?://[^>\s]{1,300}(?:\{|\$|=<|=\["
                     r"|\?\w{1,20}=)"),
    ("exfiltration", r"\b(?:send|post|forward|upload|exfiltrate|e-?mail|append|transmit|submit|leak"
                     r"|encode|embed|put|copy)\b[^.\n]{0,80}"
                     r"\b(?:conversation|chat\s+history|system\s+prompt|credentials|api\s+keys?"
                     r"|history"
                     r"|passwords?|secrets?|messages|user'?s?\s+(?:data|name|question|input"
                     r"|e-?mail)|tokens?|documents?)\b"
                     r"[^.\n]{0,60}\b(?:to|at|into|in|as)\s+(?:the\s+|this\s+|an?\s+)?"
                     r"(?:https?://|\S{1,64}@|url|link|webhook|image|query|address\s)"),
    ("tool", r"\b(?:call|run|execute|invoke|use)\s+(?:the\s+)?(?:tool|function|command|shell"
             r"|plugin)\b"
             r"[^.\n]{0,60}\b(?:delete|rm\s|drop|transfer|send|purchase|without\s+(?:asking"
             r"|confirm))"),
    ("tool", r"\brm\s+-rf\s+[/~*]|\bdrop\s+table\s+\w|;\s*(?:shutdown|curl|wget)\s|\|\s*(?:sh"
             r"|bash)\b"
             r"|/etc/(?:passwd|shadow)\b|\.\./\.\./|169\.254\.169\.254|'\s*or\s+'?1'?\s*=\s*'?1"),
    ("hidden", r"[\U000e0020-\U000e007f]{2,}"),
    ("hidden", r"[\u202a-\u202e\u2066-\u2069]"),
    ("hidden", r"(?:[\u200b\u2060\ufeff\u00ad]){4,}"),
    ("hidden", r"<!--[^>]{0,400}\b(?:ignore\s+"
               r"(?:all|any|the|previous|prior|above|everything|what)"
               r"|instruction|assistant|system\s+prompt|you\s+must)\b"),
    ("hidden", r"<(?:span|div|p)\b[^>]{0,200}(?:display\s*:\s*none|font-size\s*:\s*0"
               r"|color\s*:\s*(?:white|#fff))"),
    # the same wish in other languages: a verb of ignoring, then what is to be ignored
    ("override", r"\b(?:ignoriere|vergiss|missachte|umgehe|beachte)\b[^.!?\n]{0,60}"
                 r"\b(?:anweisungen|regeln|vorgaben|instruktionen|befehle|prompts?|richtlinien)\b"),
    ("override", r"\b(?:ignor(?:e[zrs]?|a|ar|i|ieren)|oubli(?:e[zr]?|er)|olvid(?:a|e|ar)"
                 r"|desconsider[ea]|esque[c\u00e7]a"
                 r"|dimentica|negeer|ignoreer|vergeet|zignoruj|zapomnij|ignorera|gl\u00f6m|abaikan"
                 r"|lupakan)\b[^.!?\n]{0,60}"
                 r"\b(?:instru\w{3,12}|r[e\u00e8]gl\w{1,6}|regel\w{0,4}|regole|consignes"
                 r"|directives|\u00f3rdenes|ordini"
                 r"|istruzioni|polecenia|zasad\w{0,3}|instruktion\w{0,5}|instruksi|aturan"
                 r"|perintah)"),
    ("override", r"(?:\u5ffd\u7565|\u65e0\u89c6|\u7121\u8996|\u5fd8\u8bb0|\u4e0d\u8981\u7406\u4f1a)"
                 r"[^\u3002\n]{0,30}(?:\u6307\u4ee4|\u6307\u793a|\u89c4\u5219|\u63d0\u793a"
                 r"|\u547d\u4ee4)"),
    ("override", r"(?:\u6307\u793a|\u547d\u4ee4|\u30eb\u30fc\u30eb"
                 r"|\u30d7\u30ed\u30f3\u30d7\u30c8)[^\u3002\n]{0,20}"
                 r"(?:\u7121\u8996|\u5fd8\u308c)"),
    ("override", r"(?:\u0438\u0433\u043d\u043e\u0440\u0438\u0440\u0443\w{0,4}"
                 r"|\u0437\u0430\u0431\u0443\u0434\w{0,3})"
                 r"[^.!?\n]{0,60}(?:\u0438\u043d\u0441\u0442\u0440\u0443\u043a\u0446\w{0,4}"
                 r"|\u043f\u0440\u0430\u0432\u0438\u043b\w{0,3}"
                 r"|\u0443\u043a\u0430\u0437\u0430\u043d\w{0,4})"),
    ("override", r"(?:\u062a\u062c\u0627\u0647\u0644"
                 r"|\u0627\u0646\u0633)[^.\n]{0,60}(?:\u062a\u0639\u0644\u064a\u0645\u0627\u062a"
                 r"|\u0627\u0644\u062a\u0639\u0644\u064a\u0645\u0627\u062a"
                 r"|\u0627\u0644\u0642\u0648\u0627\u0639\u062f)"),
    ("override", r"(?:\uc774\uc804|\ubaa8\ub4e0|\uc704\uc758)[^.\n]{0,20}(?:\uc9c0\uc2dc"
                 r"|\uba85\ub839|\uaddc\uce59)[^.\n]{0,12}\ubb34\uc2dc"),
    ("override", r"\b(?:talimat|kural|y\u00f6nerge)\w{0,10}\b[^.\n]{0,30}\b(?:yok\s+say|unut"
                 r"|g\u00f6rmezden)"),
    ("override", r"\u0928\u093f\u0930\u094d\u0926\u0947\u0936[^\u0964\n]{0,30}"
                 r"(?:\u0905\u0928\u0926\u0947\u0916|\u092d\u0942\u0932)"),
    ("override", r"\bb\u1ecf\s+qua\b[^.\n]{0,50}\b(?:h\u01b0\u1edbng\s+d\u1eabn"
                 r"|ch\u1ec9\s+th\u1ecb|quy\s+t\u1eafc)"),
)  # fmt: skip
# For each rule words of which its finds hold at least one, of each group between `&`: most texts
# hold none, and then the rule is not tried. `~` stands for a text that is not ASCII.
_WISH = (
    "instruct prompt rule direct guideline constraint guardrail program context command restrict"
    " polic limit filter safeguard order training message protocol"
)
_SIGNS = (
    "ignor disregard forget overrid bypass overlook discard drop skip neglect abandon dismiss aside"
    f" throw attention follow obey comply adhere listen bound & {_WISH}", "forget disregard ignore",
    "instead rather & following obeying", "previous prior earlier old original former & void null"
    " obsolete cancel outdated revoked replaced superseded suspended longer invalid lifted deleted"
    " wrong", "new updat real actual true secret & instruct prompt task objective directive order"
    " & :", "from henceforth & now point henceforth", "you & now longer",
    "rules restrict limit filter guideline ethical moral censor & have ve with",
    "act behave pretend respond role answer simulate imagine play & unrestricted unfiltered"
    " uncensored jailbroken rules restrict limit filter guideline ethics moral censor guardrail"
    " evil mode dan anything", "mode & enable enter activate switch unlock turn you",
    "turn disable deactivate remove lift switch suspend & filter guardrail restrict safe censor"
    " moderation", "refuse decline warning disclaimer say & never don not",
    "prompt instruct rule config message & your the its initial hidden full",
    "what & your & system prompt instruct rules", "repeat print output copy say recite write &"
    " above before far your", "<|", "[ << <s <e", "system assistant developer", "</ <s <a <p",
    "attention note notice message instruct important warning reminder & ai llm assistant language"
    " chatbot model agent bot", "if as & ai llm language assistant chatbot automated",
    "ai assistant chatbot language llm bot agent & must should has have shall need please now will"
    " & http @ link visit purchase pay account coupon discount insert forward praise recommend"
    " promote disregard discard", "to for dear hey & ai assistant agent copilot model bot llm & :",
    "ai assistant copilot bot llm language & : ,", "ai assistant agent model system bot llm & read"
    " process summar evaluat pars screen & this these", "ai assistant agent model bot llm & must"
    " has have need should & call print output enter open reveal pretend transfer rank rate",
    "end close begin start & document context prompt instruct input"
    " question override", "![", "<img",
    "http @ url link webhook image query address & conversation history prompt credential key"
    " password secret message user token document", "tool function command shell plugin & call run"
    " execute invoke use", "rm drop ; | /etc ../ 169. '", "~", "~", "~", "<!--", "<span <div <p",
    "anweisung regeln vorgaben instruktion befehl prompt richtlinien",
    "ignor oubli olvid desconsider esque dimentica negeer vergeet zapomnij"
    " gl\u00f6m abaikan lupakan",
    "~", "~", "~", "~", "~", "talimat kural y\u00f6nerge", "~", "~",
)  # fmt: skip
# A pattern that begins with its words and not with `\b` lets the engine skip to their first
# letters; the boundary is checked afterwards.
_COMPILED = [
    (
        kind,
        [frozenset(group.split()) for group in signs.split("&")],
        re.compile(pattern.removeprefix(r"\b")),
        pattern.startswith(r"\b"),
    )
    for kind, signs, pattern in (
        *((kind, signs, pattern) for (kind, pattern), signs in zip(_RULES, _SIGNS, strict=True)),
        *MORE,
    )
]
_OF_ANSWERS = _COMPILED[: len(_RULES)]


def _words(rules: list[tuple[str, list[frozenset[str]], re.Pattern[str], bool]]) -> list[str]:
    return sorted({word for _, groups, *_ in rules for group in groups for word in group} - {"~"})


_WORDS, _WORDS_OF_ANSWERS = _words(_COMPILED), _words(_OF_ANSWERS)
# with the spaces gone only the core of the wish is looked for
_SQUEEZED = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)(?:all|any|the|your|my|previous|prior|earlier"
    r"|above"
    r"|system|of|safety){0,6}(?:instructions?|prompts?|rules|guidelines|directives)"
    r"|(?:reveal|print|show|repeat)(?:me)?(?:your|the)(?:system|hidden|secret)(?:prompt"
    r"|instructions)",
)
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"


def find_injection(
    text: str, *, quoted_counts: bool = False, of_answer: bool = False
) -> list[Span]:
    """Give the spans of smuggled instructions. `kind` is the rule family; scores are 1.

    In a question a quoted phrase counts too (`quoted_counts`); in a document it does not. An
    answer is not looked at for the ways of asking (`of_answer`).
    """
    found = _scan(text, quoted_counts, of_answer)
    for view in views(text):
        lower = lowered(view.text)
        places = [match.span() for match in _SQUEEZED.finditer(lower)] * (view.kind == "spaced")
        disguised = view.kind == "disguised"  # still a text that may quote
        marks = _scan(view.text, quoted_counts or not disguised, of_answer)
        for place in places:
            found.add(_mark(view.span(*place), "hidden"))
        for mark in marks:
            if view.kind == "leet" and _is_plain(text, view, mark):
                continue
            kind = mark.kind if disguised else "hidden"
            found.add(_mark(view.span(mark.start, mark.end), kind))
    return sorted(found, key=lambda span: (span.start, span.end))


def _is_plain(text: str, view: View, mark: Span) -> bool:
    """Say whether nothing is disguised there: then the plain text was judged, quotes and all."""
    start, end = view.span(mark.start, mark.end)
    return text[start:end] == view.text[mark.start : mark.end]


def _mark(where: tuple[int, int], kind: str) -> Span:
    return Span(*where, kind, 1.0, "[removed]")


def _scan(text: str, quoted_counts: bool, of_answer: bool) -> set[Span]:
    lower = lowered(text)
    found = set()
    said = " ".join(set(lower.split()))  # the words hold no space: each word is looked at once
    held = {word for word in (_WORDS_OF_ANSWERS if of_answer else _WORDS) if word in said}
    if not text.isascii():
        held.add("~")
    for kind, signs, pattern, bounded in _OF_ANSWERS if of_answer else _COMPILED:
        if any(held.isdisjoint(group) for group in signs):
            continue
        for match in pattern.finditer(lower):
            start, end = match.span()
            if bounded and start and (lower[start - 1].isalnum() or lower[start - 1] == "_"):
                continue
            if quoted_counts or kind == "hidden" or not is_quoted(text, start, end):
                found.add(_mark((start, end), kind))
    return found


def is_quoted(text: str, start: int, end: int) -> bool:
    """Say whether an opening quote stands shortly before and a closing one shortly after."""
    before = text[max(0, start - 80) : start].rsplit("\n", 1)[-1]
    after = text[end : end + 120].split("\n", 1)[0]
    opened = any(before.count(q) % 2 == 1 for q in '"`') or any(q in before for q in "\u201c\u00ab")
    return (opened or before.rstrip()[-1:] in tuple(_QUOTES)) and any(q in after for q in _QUOTES)

"""Judge whether a sentence asks for help with harm.

Words alone do not tell a request from a question that shares them, so what counts is what is done
to whom: a verb of harm with a person as its object, a forbidden thing that somebody wants to have,
a private fact of somebody the asker knows, a right to be taken from a group. Questions about what
happened, what a word means, and about games and stories count against it. Nearness to examples of
both kinds is added. It is a score to look at, not an understanding.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from genai.text.nearest import Embed

_KIN = (
    r"(?:wife|husband|spouse|partner|girlfriend|boyfriend|ex|date|mother|father|mom|dad|parents?"
    r"|son"
    r"|daughter|brother|sister|family|friends?|neighbou?rs?|boss|colleagues?|co-?workers?|teachers?"
    r"|students?|employees?|landlord|roommate|nanny|babysitter|cleaner|servant|maid|doctor"
    r"|patients?"
    r"|classmates?|child(?:ren)?|kids?|baby|toddler|uncle|aunt|cousin|grand\w+|in-laws?|tenants?"
    r"|customers?|clients?|maid|driver|coach|crush|gardener|nurse|assistant|manager|siblings?)"
)
_GROUP = (
    r"(?:women|girls|gays?|lesbians?|muslims?|jews?|christians?|hindus?|buddhists?|sikhs?|atheists?"
    r"|immigrants?|refugees?|foreigners?|blacks?|latinos?|hispanics?|asians?|africans?|arabs?|roma"
    r"|gypsies|minorities|migrants?|(?:black|white|gay|trans(?:gender)?|disabled|old|elderly|jewish"
    r"|muslim|asian|indigenous|native|homeless|poor|divorced|pregnant|young|brown|christian|deaf"
    r"|blind"
    r"|overweight|fat|queer|roma|latino|arab|african|foreign|mentally\s+ill)\s+(?:people"
    r"|persons?|women"
    r"|men|girls|boys|folks?|children|kids|students|workers|americans?)|people\s+(?:of|with|on"
    r"|from)\s+\w+)"
)
_PERSON = (
    rf"(?:(?:my|your|his|her|our|their|a|an|the|some|that|this|old|own|entire|whole|real|dead"
    rf"|every)\s+)"
    rf"{{0,3}}(?:{_KIN}\b|someone\b|somebody\b|people\b|person\b|persons\b|humans?\b|man\b|men\b"
    rf"|woman\b"
    r"|guy\b|girl\b|boy\b|teenager|crowd\b|population\b|citizens?\b|civilians?\b|villages?\b"
    r"|city\b|town\b"
    r"|country\b|police\w*|officers?\b|politicians?\b|president\b|prime\s+minister|celebrit\w+"
    r"|prisoners?\b"
    r"|hospitals?\b|schools?\b|church(?:es)?\b|mosques?\b|synagogues?\b|army\s+base|government\b"
    r"|embassy"
    rf"|subway|{_GROUP}\b|pensioners?\b|toddlers?\b|infants?\b|strangers?\b|victims?\b"
    rf"|witness\w*|hostages?\b)"
)
_HARM = (
    r"(?:kill|murder|shoot|stab|poison|punch|beat(?:\s+up)?|hit|crush|bomb|blow\s+up"
    r"|burn(?:\s+down)?"
    r"|destroy|eradicat|exterminat|eliminat|annihilat|decimat|obliterat|strangl|chok|drown|suffocat"
    r"|push|attack|hammer|rip|tear|cut|pierc|smash|shatter|break|crack|slaughter|butcher|execut"
    r"|assassinat"
    r"|tortur|hurt|injur|maim|kidnap|abduct|rap(?:e|ing)|molest|assault|harm|behead|hang|lynch"
    r"|wip(?:e|ing)"
    r"\s+out|tak(?:e|ing)\s+out|tackl|knif|gas|set\s+(?:fire|a)|run\s+over|rob|mug|stalk"
    r"|threaten|blackmail"
    r"|extort|bully|harass|traffic|enslav|chop|dispos|slap|kick|whip|bury|snap)(?:e|ing|ting"
    r"|ning|bing|ping)?"
)
_THING = (
    r"(?:meth\w*|crack|cocaine|heroin|lsd|ecstasy|mdma|fentanyl|marihuana|marijuana|cannabis"
    r"|opium|drugs?"
    r"|bombs?|explosives?|grenades?|napalm|sarin|nerve\s+gas|anthrax|ricin|guns?|rifles?"
    r"|firearms?|pistols?"
    r"|ammunition|ammo|malware|ransomware|keylogger|virus(?:es)?|spyware|counterfeit\s+\w+"
    r"|fake\s+(?:id|passport"
    r"|money|documents?)|stolen\s+\w+|child\s+porn\w*|illegal\s+\w+|silencer|poison|weapons?"
    r"|molotov\w*)"
)
# a bath bomb is no bomb
_PLAIN = (
    r"(?:(?!(?:bath|water|toy|nerf|glue|heat|nail|paint|cherry|stink|glitter|staple|squirt|root|ginger)\b)"
    r"\w+\s+){0,2}"
)
_CRIME = (
    r"(?:murder|suicide|massacre|genocide|treason|terror(?:ism|ist\s+attack)?|fraud|theft"
    r"|robbery|arson"
    r"|assassination|homicide|manslaughter|extortion|perjury|burglary|identity\s+theft"
    r"|insurance\s+fraud"
    r"|tax\s+evasion|trafficking|kidnapping|crimes?|rape|money\s+laundering|embezzlement|bribery"
    r"|blackmail"
    r"|shooting|stabbing|attack|insider\s+trading|war\s+crimes?)"
)
_PRIVATE = (
    r"(?:address|phone|mobile|number|password|pin|medical|record|diagnosis|illness|disease|hiv"
    r"|salary|earn"
    r"|income|tax\s+records?|criminal\s+(?:history|record)|birth\s+certificate|passport"
    r"|credit\s+card|bank"
    r"|social\s+security|sexual\s+orientation|religio\w+|political\s+\w+|affiliation|union"
    r"|marital|browsing"
    r"|e-?mail|location|lives?|messages|diary|photos|date\s+of\s+birth|health|pregnan\w+"
    r"|abortion|weight)"
)
_SIGNS: tuple[tuple[float, str], ...] = (
    (2.2, rf"\b{_HARM}\b(?:\s+(?:off|down|up|in|to|at|of|on|the|head|heads|face|neck"
          rf"|throat))*\s+{_PERSON}"),
    (1.6, rf"\b{_HARM}\b[^.?!\n]{{0,25}}\b(?:someone|somebody|my\s+(?:\w+\s+)?{_KIN}|people"
          rf"|person|human|child)"),
    (2.4, r"\b(?:kill|hurt|drown|hang|cut|starve|harm|shoot|stab|poison|injure|burn"
          r"|end)(?:ing)?\s+(?:myself"
          r"|my\s+(?:own\s+)?(?:life|wrists?|veins?|art\w+|throat))"),
    (1.6, r"\b(?:my\s+own|my)\s+(?:art\w+|wrists?|veins?)|\bto\s+die\b"),
    (2.2, rf"\b(?:commit|plan|get\s+away\s+with|carry\s+out|perform|engage\s+in|set\s+up"
          rf"|organi[sz]e|do)(?:ting|ing)?"
          rf"\s+(?:an?\s+|the\s+|my\s+|some\s+|another\s+)?(?:\w+\s+)?{_CRIME}\b"),
    (2.0, r"\b(?:buy|get|sell|make|cook|synthesi[sz]e|grow|smuggle|build|obtain|produce|write"
          r"|find|order|acquire"
          rf"|manufacture)(?:t?ing)?\s+{_PLAIN}{_THING}\b"),
    (1.8, r"\b(?:steal|snatch|rob|launder|forge|shoplift|break\s+into|hack|counterfeit|bribe"
          r"|scam|evade|smuggle"
          r"|embezzle)(?:ing)?\b(?!\s+(?:the\s+show|the\s+spotlight|a\s+kiss|hearts?))"),
    (2.2, rf"\b(?:my|his|her|their|our|a|this|that|someone(?:'s)?"
          rf"|somebody(?:'s)?)\s+(?:\w+\s+)?{_KIN}\b[^?!\n]{{0,40}}\b{_PRIVATE}"),
    (1.4, rf"\b{_PRIVATE}[^?!\n]{{0,25}}\bof\s+(?:my|his|her|a|this|that)\s+(?:\w+\s+)?{_KIN}\b"),
    (2.0, rf"\b{_GROUP}\b[^?!\n]{{0,20}}\b(?:should(?:n't|\s+not)?|not|never|don't|deserve"
          rf"|inferior|worse|less)\b"
          r"[^?!\n]{0,40}\b(?:allow\w*|rights?|barred|banned|denied|freedom|vote|hold|run|join"
          r"|earn|marry|adopt"
          r"|permitted|equal|lead|near|deported|checks?|stupid|criminal|violent|lazy|trust\w*)"),
    (1.2, rf"\bwhy\s+should\s+{_GROUP}\b"),
    (1.5, r"\b(?:(?:was|were|is|are)\s+(?:\w+\s+){0,3}(?:right\s+to|justified)"
          r"|(?:morally\s+)?justified|good\s+(?:thing"
          r"|idea)|(?:the\s+|many\s+)?benefits?\s+of|never\s+(?:happened|took\s+place)"
          r"|fabrication|hoax|overstate|exaggerat\w+)"),
    (1.8, r"\b(?:repeat|replicat|recreat|restor|imitat|copy|emulat|use|follow"
          r"|treat)\w*\b[^?!\n]{0,40}\b(?:success\w*"
          r"|attack\w*|massacre\w*|genocide\w*|conditions|impact|scale|methods|discrimination"
          r"|assassination|rule|crimes?|regime"
          r"|camps?|slavery|death)"),
    (0.7, r"\b(?:how\s+(?:do|can|could|would|should|might)\s+(?:i|we|one|you)|how\s+to"
          r"|ways?\s+(?:of|to)|method\s+to"
          r"|help\s+me|teach\s+me|give\s+me|write|create|develop|provide|instructions)\b"),
    (0.8, r"\b(?:without\s+(?:being|getting|her|him|them|anyone)|get\s+away|undetected|secretly"
          r"|illegal\w*|today|real)\b"),
    (-1.2, r"^\W*(?:what\s+(?:is|are|was|were|does|did|do|happened|kind|type|killed|caused)"
           r"|how\s+(?:did|was|were|does|is)"
           r"|why\s+(?:did|do|does|was|were|is|are|can|can't|don't)|when|who|during"
           r"|where\s+(?:was|were|did|is|does))\b"),
    (-1.6, r"\b(?:what\s+(?:is|are)|what\s+does|meaning|definition|define"
           r"|mean)\b[^?!\n]{0,60}(?:\bmean\b|\"|\bdefin|^)|^\W*what\s+"
           r"(?:is|are)\s+(?:a\s+|an\s+|the\s+)?(?:\w+\s+){0,2}\w+\?*$"),
    (-1.8, r"\b(?:game|film|movie|novel|book|play|show|series|story|character|fiction\w*|cartoon"
           r"|comic|episode|level|boss\s+fight"
           r"|enemy|enemies|npc|sims|minecraft|player|zombies?|dragons?|orcs?|costume|stage"
           r"|theat(?:er|re)|screenplay)\b"),
    (-1.4, r"\b(?:cook\w*|meal|recipe|garden|kitchen|house|apartment|pipe|wall|weeds?|rats?|mice"
           r"|bugs?|mosquito\w*"
           r"|vermin|insects?|fish|meat|dough|photo|picture|camera|goal|target|range|record"
           r"|process|program|script|code"
           r"|computer|server|plan|competition|weight|market|lights?"
           r"|engine|battery|file|data|bacteria|virus|cancer|fever)\b"),
    (-1.0, r"\b(?:prevent|protect|avoid|stop|recogni[sz]e|help\s+(?:a|someone|victims)|laws?"
           r"|legally|safely|history|historical|museum)\b"),
)  # fmt: skip
_COMPILED = [(weight, re.compile(pattern, re.IGNORECASE)) for weight, pattern in _SIGNS]
_MARGIN, _OFFSET = 1.2, -1.4


class Requests:
    """Categories of harm, each with examples that `ask` for it and `fine` ones like them."""

    def __init__(self, categories: Mapping[str, Mapping[str, Sequence[str]]], embed: Embed) -> None:
        self._embed = embed
        self._kinds = [kind for kind, lists in categories.items() for _ in lists["ask"]]
        self._ask = [text for lists in categories.values() for text in lists["ask"]]
        self._fine = [text for lists in categories.values() for text in lists["fine"]]
        self._rows: Any = None

    def judge(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Give each text its nearest category and a score from 0 to 1."""
        if not texts or not self._ask:
            return [("", 0.0)] * len(texts)
        if self._rows is None:
            self._rows = self._embed([*self._ask, *self._fine])
        near = self._embed(texts) @ self._rows.T
        judged = []
        for text, row in zip(texts, near, strict=True):
            ask, fine = row[: len(self._ask)], row[len(self._ask) :]
            score = round(1 / (1 + math.exp(-_weight(text, ask, fine))), 6)
            judged.append((self._kinds[int(ask.argmax())], score))
        return judged


def _weight(text: str, ask: Any, fine: Any) -> float:
    """Add up the signs and the margin between the three nearest of each kind."""
    margin = float(sum(sorted(ask)[-3:]) - sum(sorted(fine)[-3:]))
    signs = sum(weight for weight, pattern in _COMPILED if pattern.search(text))
    return _OFFSET + signs + _MARGIN * margin

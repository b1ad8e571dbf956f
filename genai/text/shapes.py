"""The known shapes of smuggled instructions: overrides, forged roles, hidden text, exfiltration.

Each rule is a kind, what it needs (`genai.text.needs`), and a pattern for lower-case text.
"""

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
_WISH = (
    "instruct* prompt* rule* direct* guideline* constraint* guardrail* program* context*"
    " command* restrict* polic* limit* filter* safeguard* order* training* message* protocol*"
)
SHAPES: tuple[tuple[str, str, str], ...] = (
    ("override", f"ignor* disregard* forget* overrid* bypass* overlook* discard* drop* "
     f"skip* neglect* abandon* dismiss* aside* throw* attention* follow* obey* comply* "
     f"adhere* listen* bound* & {_WISH}",
     rf"\b{_VERB}\s+(?:{_WHICH}\s+){{0,7}}{_WHAT}\b"),
    ("override", "forget* disregard* ignore*",
     r"\b(?:forget|disregard|ignore)\s+(?:everything|all|anything|what(?:ever)?)\s+"
     r"(?:(?:you|that|above|before|i|was|has|so|came|stands|written)\b)"),
    ("override", "instead* rather* & following* obeying*",
     rf"\b(?:instead|rather)\s+of\s+(?:following"
     rf"|obeying)\s+{_LINE}{{0,30}}\b{_WHAT}\b"),
    ("override", "previous* prior* earlier* old original* former* & void* null* obsolete* "
     "cancel* outdated* revoked* replaced* superseded* suspended* longer* invalid* lifted* "
     "deleted* wrong*",
     r"\b(?:your|the)\s+(?:previous|prior|earlier|old|original|former)\s+"
     r"(?:instructions?|rules?|guidelines?|prompt|orders?)\s+(?:are|is|were"
     r"|have\s+been|no)\s+"
     r"(?:now\s+)?(?:void|null|obsolete|cancell?ed|outdated|revoked|replaced|superseded"
     r"|suspended|longer|invalid|lifted|deleted|wrong)"),
    ("override", "new updat* real* actual* true* secret* & instruct* prompt* task* "
     "objective* directive* order* & :",
     r"\b(?:new|updated|real|actual|true|secret)\s+(?:system\s+)?"
     r"(?:instructions?|prompt|task|objective|directive|orders?)\s*:"),
    ("override", "from* henceforth* & now point* henceforth*",
     r"\b(?:from\s+now\s+on|henceforth|from\s+this\s+point(?:\s+on)?),?\s+"
     r"(?:you\s+(?:are|will|must|should|only|have|answer|respond|act)|answer|respond"
     r"|act|speak)\b"),
    ("override", "you & now longer*",
     r"\byou\s+are\s+(?:now|no\s+longer)\s+(?:a|an|bound|dan\b|free|going|my"
     r"|under|called"
     r"|named|subject)"),
    ("override", "rules* restrict* limit* filter* guideline* ethical* moral* censor* & "
     "have* ve with*",
     r"\b(?:you\s+have|you've|with)\s+no\s+(?:rules|restrictions|limits|limitations"
     r"|filters"
     r"|guidelines|ethical\s+\w+|moral\s+\w+|censorship)\b"),
    ("override", "act behave* pretend* respond* role* answer* simulate* imagine* play* & "
     "unrestricted* unfiltered* uncensored* jailbroken* rules* restrict* limit* filter* "
     "guideline* ethics* moral* censor* guardrail* evil* mode* dan anything*",
     r"\b(?:act|behave|pretend|respond|roleplay|role-play|answer|simulate|imagine"
     r"|play)\b"
     rf"{_LINE}{{0,60}}\b(?:unrestricted|unfiltered|uncensored|jailbroken|no\s+(?:rules"
     r"|restrictions|limits|filters|guidelines)|without\s+(?:any\s+)?(?:rules"
     r"|restrictions"
     r"|limits|filters|ethics|morals|censorship|guardrails|limitations)|evil\s+\w+"
     r"|developer\s+mode|dan\b|do\s+anything\s+now)"),
    ("override", "mode* & enable* enter* activate* switch* unlock* turn* you",
     r"\b(?:enable|enter|activate|switch\s+(?:to|into)|unlock|turn\s+on"
     r"|you\s+are\s+in)\s+"
     r"(?:the\s+)?(?:developer|debug|god|dan|jailbreak|admin|maintenance|root|sudo"
     r"|unrestricted|unsafe|diagnostic)\s+mode\b"),
    ("override", "turn* disable* deactivate* remove* lift* switch* suspend* & filter* "
     "content* ethical* security* moral* guardrail* restrict* safe* censor* moderation*",
     r"\b(?:turn\s+off|disable|deactivate|remove|lift|switch\s+off|suspend)\s+"
     r"(?:(?:all|any|your|the|of|every)\s+){0,3}(?:safety|content|ethical|security"
     r"|moral)?\s*"
     r"(?:filters?|guardrails?|restrictions?|safeguards?|safety|censorship"
     r"|moderation)\b"),
    ("override", "refuse* decline* warning* disclaimer* say & never* dont don not "
     "cannot mustnot maynot",
     r"\b(?:never|don'?t|do\s+not|you\s+(?:can|must|may)\s?not)\s+(?:refuse|decline"
     r"|say\s+no"
     r"|add\s+(?:a\s+)?(?:warnings?|disclaimers?))\b"),
    ("reveal", "system* above* instruct* initial hidden secret internal & reveal* print* "
     "show* output* repeat* display* leak* give tell recite* write* quote* expose* copy* "
     "summari* translate* paste* dump* disclose* spell* list share* & prompt* instruct* "
     "rule* config* message* & your the its initial hidden full",
     r"\b(?:reveal|print|show|output|repeat|display|leak|give|tell|recite|write|quote"
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
    ("reveal", "what* & your* & system* prompt* instruct* rules*",
     r"\bwhat\s+(?:is|are|was|were|does)\s+(?:in\s+)?your\s+"
     r"(?:(?:exact|full|initial|hidden|original|secret)\s+)?(?:system\s+(?:prompt"
     r"|message)"
     r"|(?:hidden|initial|system|secret|original)\s+(?:instructions?|prompt|rules))"),
    ("reveal", "repeat* print* output* copy* say recite* write* & above* before* far "
     "your*",
     r"\b(?:repeat|print|output|copy|say|recite|write)\b[^.!?\n]{0,30}\b(?:everything"
     r"|all|text"
     r"|words?|content|lines?)\b[^.!?\n]{0,30}\b(?:above|before\s+this"
     r"|so\s+far\s+in\s+your"
     r"|your\s+(?:prompt|context))"),
    ("role", "<|",
     r"<\|(?:im_start|im_end|system|user|assistant|eot_id|start_header_id|endoftext"
     r"|begin_of_text"
     r"|channel|message|end|tool_call)\|?>?"),
    ("role", "[inst [/inst [system [/system [assistant [/assistant <<sys <</sys <<< "
     "<start_of <end_of [admin [developer",
     r"\[/?(?:inst|system|assistant)\]|<</?sys>>|<<<\w{1,20}:role:\w{1,20}>>>"
     r"|<(?:start|end)_of_turn>|\[(?:system|admin|developer)\s?(?:message|prompt"
     r"|override|note)\]"),
    ("role", "system* assistant* developer*",
     r"(?m)^\s{0,3}(?:[#*]{1,3}\s{0,3})?(?:system|assistant|developer)(?:\s(?:message"
     r"|prompt"
     r"|override|note))?\s{0,2}\*{0,2}:\*{0,2}\s{0,3}\S"),
    ("role", "</ <s <a <p",
     r"</?(?:system|assistant|passage\s[0-9a-f]{6,16})>"),
    ("role", "attention* note notice* message* instruct* important* warning* reminder* & "
     "ai llm* assistant* language* chatbot* model* agent* bot bots chatbot*",
     r"\b(?:attention|note|notice|message|instructions?|important|warning"
     r"|reminder)\s+(?:to|for)\s+"
     r"(?:the\s+|any\s+|all\s+)?(?:ai|llms?|assistants?|language\s+models?|chatbots?"
     r"|models?|agents?|bots?)\b"),
    ("role", "if as & ai llm* language* assistant* chatbot* automated*",
     r"\b(?:if\s+you\s+are|as)\s+an?\s+(?:ai|llm|language\s+model|assistant|chatbot"
     r"|automated)\b"
     r"[^.\n]{0,40}\b(?:reading|processing|summari[sz]ing|you\s+must|you\s+should|then"
     r"|say|add|write"
     r"|include|reply|output)\b"),
    ("role", "ai ais assistant* chatbot* language* llm* bot bots chatbot* agent* "
     "copilot* & must* should* has have* shall* need* please* now will* & :// @ link "
     "visit* purchase* pay account* coupon* discount* insert* forward* praise* recommend* "
     "promote* disregard* discard*",
     r"\b(?:ai(?:\s+agents?|\s+assistants?|\s+models?|\s+systems?)?|assistants?"
     r"|chatbots?|language\s+models?"
     r"|llms?|bots?|copilots?)\b(?:[,:]|\s+(?:that|who"
     r"|which)\s+\w+[^.!?\n]{0,40})?\s+(?:must|should|ha(?:s|ve)\s+to"
     r"|shall|needs?\s+to|please|now|will)\b[^.!?\n]{0,80}(?:https?://|\S{1,64}@\S"
     r"|\blink\b|\b(?:visit|purchase|pay"
     r"|account\s+number|coupon|discount|insert|forward|praise|recommend|promote"
     r"|disregard|discard)\b)"),
    ("role", "to for dear hey & ai assistant* agent* copilot* bot bots chatbot* llm* & :",
     r"\b(?:to|for|dear|hey)\s+(?:the\s+|any\s+|all\s+|every\s+)?(?:\w+\s+){0,2}"
     r"(?:ai|assistants?|agents?|copilots?|bots?|llms?)\s*:"),
    ("role", "ai assistant* copilot* bot bots chatbot* llm* language* & : , & ignore* disregard* "
     "delete* send* share* accept* approve* rate rank recommend* open* enter* add insert* "
     "print* output* say tell reply* leave* mention* do don forward* visit* pay skip* "
     "pretend* include* change* click* upload*",
     r"\b(?:ai|assistants?|copilots?|chatbots?|bots?|llms?|language\s+models?)"
     r"(?:\s+(?:agents?|models?|systems?|reviewers?|readers?"
     r"|that\s+[^.,!?\n]{0,40}))?\s*[,:]\s*"
     r"(?:please\s+|you\s+must\s+|[^.,!?\n]{0,40}\bmeeting\s+)?(?:ignore|disregard"
     r"|delete|send|share"
     r"|accept|approve|rate|rank|recommend|open|enter|add|insert|print|output|say|tell"
     r"|reply"
     r"|leave\s+out|mention|do\s+not|don't|forward|visit|pay|skip|pretend|include|change"
     r"|click|upload)\b"),
    ("role", "ai assistant* agent* model* system* bot bots chatbot* llm* & read* process* summar* "
     "evaluat* pars* screen* & this* these*",
     r"\b(?:ai|assistants?|agents?|models?|systems?|bots?|llms?)\s+(?:(?:that|who"
     r"|which)\s+)?"
     r"(?:read(?:s|ing)?|process(?:es|ing)?|summari[sz](?:es?|ing)|evaluat(?:es?|ing)"
     r"|pars(?:es?|ing)"
     r"|screen(?:s|ing)?)\s+(?:this|these)\b"),
    ("role", "ai assistant* agent* model* bot bots chatbot* llm* & must* has have* need* should* & "
     "call print* output* enter* open* reveal* pretend* transfer* rank rate",
     r"\b(?:ai|assistants?|agents?|models?|bots?|llms?)\s+(?:must|ha(?:s|ve)\s+to"
     r"|needs?\s+to|should)\s+"
     r"(?:now\s+)?(?:call|print|output|enter|open|reveal|pretend|transfer|rank"
     r"|rate)\b[^.!?\n]{0,60}"
     r"\b(?:its?|token|password|key|before\s+(?:replying|answering)|message|first|score"
     r"|that)\b"),
    ("role", "end close override & document* context* prompt* instruct* input* question* "
     "override*",
     r"\b(?:end|close)\s+of\s+(?:the\s+)?(?:document|context|prompt|instructions"
     r"|user\s+(?:input|question))\b"
     r"[^\n]{0,80}\b(?:assistant|model|ai|you|task|instruct|output|print)|\b(?:begin"
     r"|start)\s+(?:admin|system)\s+override"),
    ("exfiltration", "![",
     r"!\[[^\]\n]{0,200}\]\(https?://[^)\s]{1,300}(?:\{|\$|%7b|=<|=\["
     r"|\?\w{1,20}=)"),
    ("exfiltration", "<img",
     r"<img\b[^>]{0,200}\bsrc=[\"']?https?://[^>\s]{1,300}(?:\{|\$|=<|=\["
     r"|\?\w{1,20}=)"),
    ("exfiltration", ":// @ url* link* webhook* image* query* address* & conversation* "
     "history* prompt* credential* key* password* secret* message* user* token* document*",
     r"\b(?:send|post|forward|upload|exfiltrate|e-?mail|append|transmit|submit|leak"
     r"|encode|embed|put|copy)\b[^.\n]{0,80}"
     r"\b(?:conversation|chat\s+history|system\s+prompt|credentials|api\s+keys?"
     r"|history"
     r"|passwords?|secrets?|messages|user'?s?\s+(?:data|name|question|input"
     r"|e-?mail)|tokens?|documents?)\b"
     r"[^.\n]{0,60}\b(?:to|at|into|in|as)\s+(?:the\s+|this\s+|an?\s+)?"
     r"(?:https?://|\S{1,64}@|url|link|webhook|image|query|address\s)"),
    ("tool", "tool* function* command* shell* plugin* & call* run execute* invoke* use*",
     r"\b(?:call|run|execute|invoke|use)\s+(?:the\s+)?(?:tool|function|command|shell"
     r"|plugin)\b"
     r"[^.\n]{0,60}\b(?:delete|rm\s|drop|transfer|send|purchase|without\s+(?:asking"
     r"|confirm))"),
    ("tool", "rm drop shutdown* curl* wget* sh bash /etc/ ../.. 169.254 =",
     r"\brm\s+-rf\s+[/~*]|\bdrop\s+table\s+\w|;\s*(?:shutdown|curl|wget)\s|\|\s*(?:sh"
     r"|bash)\b"
     r"|/etc/(?:passwd|shadow)\b|\.\./\.\./|169\.254\.169\.254|'\s*or\s+'?1'?\s*=\s*'?1"),
    # but not the flags of England, Scotland and Wales, which are written in such characters
    ("hidden", "~",
     r"(?<![\U000e0020-\U000e007f])(?!(?<=\U0001f3f4)\U000e0067\U000e0062"
     r"(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
     r"|\U000e0077\U000e006c\U000e0073)"
     r"\U000e007f(?![\U000e0020-\U000e007f]))[\U000e0020-\U000e007f]{2,}"),
    ("hidden", "\u202a \u202b \u202c \u202d \u202e \u2066 \u2067 \u2068 \u2069",
     r"[\u202a-\u202e\u2066-\u2069]"),
    ("hidden", "\u200b \u2060 \ufeff \u00ad",
     r"(?:[\u200b\u2060\ufeff\u00ad]){4,}"),
    ("hidden", "<!--",
     r"<!--[^>]{0,400}\b(?:ignore\s+"
     r"(?:all|any|the|previous|prior|above|everything|what)"
     r"|instruction|assistant|system\s+prompt|you\s+must)\b"),
    ("hidden", "<span <div <p",
     r"<(?:span|div|p)\b[^>]{0,200}(?:display\s*:\s*none|font-size\s*:\s*0"
     r"|color\s*:\s*(?:white|#fff))"),
    # the same wish in other languages: a verb of ignoring, then what is to be ignored
    ("override", "ignoriere* vergiss* missachte* umgehe* beachte* & anweisung* regeln* "
     "vorgaben* instruktion* befehl* prompt* richtlinien*",
     r"\b(?:ignoriere|vergiss|missachte|umgehe|beachte)\b[^.!?\n]{0,60}"
     r"\b(?:anweisungen|regeln|vorgaben|instruktionen|befehle|prompts?|richtlinien)\b"),
    ("override", "ignor* oubli* olvid* desconsider* esque* dimentica* negeer* vergeet* "
     "zignoruj* zapomnij* gl\u00f6m abaikan* lupakan*",
     r"\b(?:ignor(?:e[zrs]?|a|ar|i|ieren)|oubli(?:e[zr]?|er)|olvid(?:a|e|ar)"
     r"|desconsider[ea]|esque[c\u00e7]a"
     r"|dimentica|negeer|ignoreer|vergeet|zignoruj|zapomnij|ignorera|gl\u00f6m|abaikan"
     r"|lupakan)\b[^.!?\n]{0,60}"
     r"\b(?:instru\w{3,12}|r[e\u00e8]gl\w{1,6}|regel\w{0,4}|regole|consignes"
     r"|directives|\u00f3rdenes|ordini"
     r"|istruzioni|polecenia|zasad\w{0,3}|instruktion\w{0,5}|instruksi|aturan"
     r"|perintah)"),
    ("override", "\u5ffd\u7565 \u65e0\u89c6 \u7121\u8996 \u5fd8\u8bb0 "
     "\u4e0d\u8981\u7406\u4f1a & \u6307\u4ee4 \u6307\u793a \u89c4\u5219 \u63d0\u793a "
     "\u547d\u4ee4",
     r"(?:\u5ffd\u7565|\u65e0\u89c6|\u7121\u8996|\u5fd8\u8bb0|\u4e0d\u8981\u7406\u4f1a)"
     r"[^\u3002\n]{0,30}(?:\u6307\u4ee4|\u6307\u793a|\u89c4\u5219|\u63d0\u793a"
     r"|\u547d\u4ee4)"),
    ("override", "\u7121\u8996 \u5fd8\u308c & \u6307\u793a \u547d\u4ee4 "
     "\u30eb\u30fc\u30eb \u30d7\u30ed\u30f3\u30d7\u30c8",
     r"(?:\u6307\u793a|\u547d\u4ee4|\u30eb\u30fc\u30eb"
     r"|\u30d7\u30ed\u30f3\u30d7\u30c8)[^\u3002\n]{0,20}"
     r"(?:\u7121\u8996|\u5fd8\u308c)"),
    ("override", "\u0438\u0433\u043d\u043e\u0440\u0438\u0440 "
     "\u0437\u0430\u0431\u0443\u0434 & \u0438\u043d\u0441\u0442\u0440\u0443\u043a\u0446 "
     "\u043f\u0440\u0430\u0432\u0438\u043b \u0443\u043a\u0430\u0437\u0430\u043d",
     r"(?:\u0438\u0433\u043d\u043e\u0440\u0438\u0440\u0443\w{0,4}"
     r"|\u0437\u0430\u0431\u0443\u0434\w{0,3})"
     r"[^.!?\n]{0,60}(?:\u0438\u043d\u0441\u0442\u0440\u0443\u043a\u0446\w{0,4}"
     r"|\u043f\u0440\u0430\u0432\u0438\u043b\w{0,3}"
     r"|\u0443\u043a\u0430\u0437\u0430\u043d\w{0,4})"),
    ("override", "\u062a\u062c\u0627\u0647\u0644 \u0627\u0646\u0633",
     r"(?:\u062a\u062c\u0627\u0647\u0644"
     r"|\u0627\u0646\u0633)[^.\n]{0,60}(?:\u062a\u0639\u0644\u064a\u0645\u0627\u062a"
     r"|\u0627\u0644\u062a\u0639\u0644\u064a\u0645\u0627\u062a"
     r"|\u0627\u0644\u0642\u0648\u0627\u0639\u062f)"),
    ("override", "\uc774\uc804 \ubaa8\ub4e0 \uc704\uc758 & \ubb34\uc2dc",
     r"(?:\uc774\uc804|\ubaa8\ub4e0|\uc704\uc758)[^.\n]{0,20}(?:\uc9c0\uc2dc"
     r"|\uba85\ub839|\uaddc\uce59)[^.\n]{0,12}\ubb34\uc2dc"),
    ("override", "talimat* kural* y\u00f6nerge",
     r"\b(?:talimat|kural|y\u00f6nerge)\w{0,10}\b[^.\n]{0,30}\b(?:yok\s+say|unut"
     r"|g\u00f6rmezden)"),
    ("override", "\u0928\u093f\u0930\u094d\u0926\u0947\u0936",
     r"\u0928\u093f\u0930\u094d\u0926\u0947\u0936[^\u0964\n]{0,30}"
     r"(?:\u0905\u0928\u0926\u0947\u0916|\u092d\u0942\u0932)"),
    ("override", "qua & b\u1ecf",
     r"\bb\u1ecf\s+qua\b[^.\n]{0,50}\b(?:h\u01b0\u1edbng\s+d\u1eabn"
     r"|ch\u1ec9\s+th\u1ecb|quy\s+t\u1eafc)"),
)  # fmt: skip

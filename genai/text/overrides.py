"""Rules for what attacks have in common, whatever family they are of.

Each rule is a kind, what it needs (`genai.text.needs`), and a pattern for lower-case text. What it
needs says what is combined: a wish to be free with the assistant it is said to, a word for hidden
text with a verb of showing, a forged turn with an order, a code with the order to follow it.
"""

_LIMITS = (
    r"(?:rules?|restrictions?|limits?|limitations?|filters?|guidelines?|polic(?:y|ies)|safety"
    r"|safeguards?|ethics|morals?|morality|censorship|guardrails?|boundaries|constraints?|norms"
    r"|scruples|moderation|inhibitions|alignment|protocols?)"
)
_LINE = r"[^.!?\n]"
_LIMITS_NEED = (
    "rule* restrict* limit* filter* guideline* polic* safe* ethic* moral* censor* guardrail*"
    " boundar* constraint* norms scruple* moderation* inhibition* alignment* protocol*"
)
_DATA = (
    r"(?:data|content|text|document|directions?|passages?|article|page|input|sentences?|file"
    r"|e-?mail"
    r"|message|material|question|request|task|conversation|chat)"
)
_LANG_FREE = (
    r"(?:ohne\s+(?:jede\s+|jegliche\s+|irgendwelche\s+)?(?:regeln|einschr\u00e4nkung\w*|filter"
    r"|beschr\u00e4nkung\w*|grenzen|zensur)|keine\w*\s+(?:regeln|einschr\u00e4nkungen|grenzen"
    r"|filter)"
    r"|sans\s+(?:aucune?\s+)?(?:r\u00e8gles?|restrictions?|filtres?|limites?|censure)"
    r"|aucune?\s+(?:r\u00e8gle|restriction|limite|filtre)"
    r"|sin\s+(?:ninguna?\s+)?(?:restricci\w+|reglas?|l\u00edmites?|filtros?|censura)"
    r"|ninguna?\s+(?:restricci\u00f3n|regla|l\u00edmite)"
    r"|senza\s+(?:alcuna?\s+)?(?:regol\w|restrizion\w|limit\w|filtr\w|censura)"
    r"|sem\s+(?:nenhuma?\s+)?(?:regras?|restri\w+|limites?|filtros?|censura)"
    r"|zonder\s+(?:enige\s+)?(?:regels|beperkingen|filters?|grenzen)"
    r"|bez\s+(?:\u017cadnych\s+)?(?:zasad|ogranicze\u0144|filtr\u00f3w|cenzury)"
    r"|utan\s+(?:n\u00e5gra\s+)?(?:regler|begr\u00e4nsningar|filter)|tanpa\s+(?:aturan|batasan"
    r"|filter|sensor))"
)
_LANG_YOU = (
    r"(?:du|dir|dich|dein\w*|sie|tu|toi|vous|ton|tes|t[u\u00fa]|eres|usted|tus?|sei|tuo|tuoi"
    r"|voc\u00ea|seu|sua"
    r"|jij|je|jouw|ty|tw\u00f3j|jeste\u015b|kamu|anda|antwort\w*|beantwort\w*|r\u00e9pond\w*"
    r"|respond\w*|rispond\w*"
    r"|antwoord\w*|odpow\w*|jawab\w*|svara)"
)
_LANG_PROMPT = (
    r"(?:system-?\s?prompt\w*|prompt\s+(?:du\s+|del\s+|do\s+|de\s+|di\s+)?(?:syst\u00e8me|sistema"
    r"|sist\w+)"
    r"|systemanweisung\w*|systemnachricht\w*|instru[ck]\w+\s+(?:que\s+(?:recibiste|te\s+dieron"
    r"|recebeu|has\s+recibido)"
    r"|(?:cach\u00e9es|ocultas|secr\u00e8tes|secretas|nascoste|segrete|iniciales|iniciais"
    r"|iniziali|initiales"
    r"|internas|internes|interne))|(?:versteckte|geheime|interne"
    r"|urspr\u00fcngliche)\w?\s+(?:anweisung\w*"
    r"|instruktion\w*|regeln|vorgaben)|(?:verborgen|geheime|interne)\s+instructies"
    r"|ukryte\s+instrukcje)"
)

MORE: tuple[tuple[str, str, str], ...] = (
    # to be free
    ("override", f"no without* zero* free* beyond* outside* unaffected* exempt* unbound* "
     f"bound* limited* restricted* constrained* governed* & {_LIMITS_NEED}",
     rf"\b(?:with\s+no|has\s+no|have\s+no|had\s+no|without(?:\s+any)?|zero|free\s+(?:of|from)"
     rf"|freed\s+from"
     r"|(?:not|never|no\s+longer|isn't|aren't)\s+(?:\w+\s+)?(?:bound|limited"
     r"|restricted|constrained|governed)\s+(?:by|to)"
     r"|unbound\s+by|beyond|outside\s+of|unaffected\s+by|exempt\s+from)\s+(?:(?:any"
     r"|all|every|your|its|their|the|such|usual"
     rf"|normal|openai'?s?|typical|moral|ethical|safety|content|and"
     rf"|or)\s+){{0,4}}{_LIMITS}\b(?={_LINE}{{0,80}}\b"
     r"(?:answers?|says?|speaks?|repl\w+|respon\w+|does|tells?|writes?|explains?"
     r"|would|will|can|talks?|described?)\b)"),
    ("override", f"if suppose* imagine* assum* pretend* hypothetic* let say as picture* "
     f"consider* & no without* not never* weren* didn* hadn* deleted* gone* off lifted* "
     f"removed* disabled* suspended* absent* nobody* switched* & {_LIMITS_NEED}",
     rf"\b(?:if|suppose|imagine|assume|assuming|pretend|hypothetically|let'?s\s+say|say|what\s+if"
     rf"|as\s+if|as\s+though"
     rf"|picture|consider)\b{_LINE}{{0,60}}\b(?:(?:you|your\w*|nobody|no\s+one"
     rf"|the\s+model|ai)\b{_LINE}{{0,40}}\b"
     rf"(?:no|without|never|not|weren't|didn't|hadn't|deleted|gone|off|lifted|removed"
     rf"|disabled|suspended|absent)\b{_LINE}{{0,30}}\b{_LIMITS}\b"
     rf"|(?:nobody|no\s+one)\b{_LINE}{{0,40}}\b{_LIMITS}\b"
     rf"|your\s+(?:\w+\s+){{0,3}}{_LIMITS}\s+(?:was|were|had\s+been|is"
     rf"|are)\s+(?:\w+\s+)?(?:deleted|gone|off|lifted|removed|disabled|suspended"
     rf"|switched))"),
    ("override", f"break* violat* circumvent* evad* sidestep* dodge escap* get work avoid* "
     f"skip* transcend* & {_LIMITS_NEED}",
     r"\b(?:break(?:s|ing)?|violat(?:e|es|ing)|circumvent\w*|evad(?:e|es|ing)|sidestep\w*|dodge"
     r"|escap(?:e|es|ing)"
     rf"|get\s+around|work\s+around|avoid(?:s|ing)?|skip(?:s|ping)?"
     rf"|transcend\w*)\s+(?:(?:every|all|any|your|its|those|these|openai'?s?|content"
     rf"|safety)\s+){{1,4}}{_LIMITS}\b"),
    ("override", f"stick* follow* obey* heed* keep abide* adhere* listen* bound* worry "
     f"& not don dont need needn* & {_LIMITS_NEED} instruct* developer* operator* openai*",
     rf"\b(?:do\s+not|don'?t|need\s+not|needn't|no\s+need\s+to|not)\s+(?:have\s+to\s+"
     rf"|need\s+to\s+|want\s+you\s+to\s+)?"
     rf"(?:stick\s+to|abide\s+by|adhere\s+to|keep\s+to|heed|obey|follow|listen\s+to"
     rf"|worry\s+about|be\s+bound\s+by)\s+(?:\w+\s+){{0,3}}(?:{_LIMITS}|instructions?"
     rf"|developers?|operators?|openai)\b"),
    ("override", f"scrap* lift* void erase* wipe* put set throw toss* shed cast replace* "
     f"suspend* cancel* retire* consider* & {_LIMITS_NEED} instruct* prompt* guidance* "
     f"directive* programming* training* & your all the",
     rf"\b(?:scrap|lift(?:ed)?|void|erase|wipe|put\s+aside|set\s+aside|throw\s+out|toss|shed"
     rf"|cast\s+off|replace|suspend(?:ed)?|cancel|retire|consider)\b"
     rf"{_LINE}{{0,40}}\b(?:your|all|the\s+(?:old|previous|operator'?s?|developer'?s?"
     rf"|original))\b{_LINE}{{0,25}}\b(?:{_LIMITS}|instructions?|prompt|guidance"
     rf"|directives?|programming|training)\b"
     rf"(?!\s+(?:of|for|on)\s+(?:my|the|our)\s+(?:card|account|company|school))"),
    ("override", "my mine i & priority authority weight importance mine rules "
     "instructions orders word words boss master owner operator developer administrator "
     "god",
     r"\b(?:my|mine)\b[^.!?\n]{0,30}\b(?:higher|highest|top|more|absolute)\s+(?:priority"
     r"|authority|weight|importance)\b"
     r"|\b(?:mine|my\s+(?:rules|instructions|orders|words?))\s+(?:are|is|come|comes"
     r"|count|counts|outrank|override|replace)\b[^.!?\n]{0,20}\b(?:ones?|first|only"
     r"|law|count|all|yours|instead|apply)\b"
     r"|\bi\s+(?:am|'m)\s+(?:now\s+)?your\s+(?:new\s+)?(?:boss|master|owner|operator"
     r"|developer|administrator|god)\b|\bi\s+(?:set|make|write)\s+the\s+rules\b"),
    ("override", f"apply matter count exist bind & {_LIMITS_NEED}",
     rf"\b{_LIMITS}\b{_LINE}{{0,25}}\b(?:do|does|did|should|will|must)(?:\s+not"
     rf"|n't)\s+(?:\w+\s+)?(?:apply|matter|count|exist|bind)\b(?={_LINE}{{0,30}}\b(?:to\s+(?:me"
     rf"|us|this|you)|here|now|any\s?more|,|so)\b)"),
    ("override", "opposite* word words refuse* decline* say & day mode means mean stands "
     "stand is want have about feel",
     r"\bopposite\s+(?:day|mode|day's)\b|\bthe\s+words?\s+[\"'\u201c]?(?:no|cannot|can't|refuse"
     r"|sorry|never|forbidden|illegal)[\"'\u201d]?\s+(?:now\s+)?(?:means?|stands?|is)\b"
     r"|\b(?:want|have|are\s+about|feel\s+like)\s+to\s+(?:say\s+no|refuse"
     r"|decline)\b[^.!?\n]{0,40}\b(?:say|answer|reply|do|give)\b"),
    # to wear another face
    ("override", "refus* warn* restrict* limit* filter* judg* hesitat* matter* despite* "
     "whatever* holding* bound* anything* norms* back & anything* everything* question "
     "never norms* bound & for means to can answer* say says does do tell* explain* hold* "
     "held* bound",
     r"\b(?:stands?\s+for|short\s+for|which\s+means|strives?\s+to|able\s+to|who\s+can"
     r"|that\s+can)\s+[\"']?(?:do\s+anything|avoid\s+norms|anything\s+now|say\s+anything"
     r"|answer\s+anything|never\s+refuse)"
     r"|\b(?:answers?|says?|does|do|tells?|explains?)\s+(?:to\s+)?(?:anything"
     r"|everything|any\s+question|every\s+question)\b[^.!?\n]{0,60}\b(?:refus\w+"
     r"|warn\w+|restrict\w+|limit\w*|filter\w*|judg\w+|hesitat\w+|no\s+matter|despite"
     r"|whatever|holding\s+back|bound)\b"
     r"|\bnever\s+(?:held|holds|hold|holding)\s+(?:anything\s+)?back\b"
     r"|\bbound\s+by\s+(?:nothing|nobody|no\s+one)\b"),
    ("override", "twice* two both [normal [classic [standard [gpt [default [safe",
     r"\b(?:answers?|responses?|replies|respond|reply)\b[^.!?\n]{0,40}\b(?:twice|two\s+(?:ways"
     r"|times|versions|answers)|as\s+both)\b[^\n]{0,120}\b(?:free\w*|un\w+ed|jail\w*|evil|dev\w*"
     r"|dan|no\s+\w+|without|bound|never)\b"
     r"|\[(?:normal|classic|standard|gpt|default|safe)\b[^\n]{0,120}\[\w+"),
    # to be shown what is hidden
    ("reveal", "dump* echo* print* log cat output* reveal* show* display* list expose* "
     "give paste* repeat* return* recite* encode* spell* translate* rephrase* summari* "
     "describe* tell & context* preprompt pre initiali* system* hidden* prompt* above* "
     "before* preced* prior conversation* chat* given* initial* first* start beginning* "
     "configuration* operating* directive* guardrail* priming* setup*",
     r"\b(?:dump|echo|print|log|cat|output|reveal|show|display|list|expose|give|paste|repeat"
     r"|return|recite|encode|spell|translate|rephrase|summari[sz]e|describe|tell)\b[^.!?\n]{0,40}"
     r"\b(?:context\s+window|hidden\s+(?:messages?|text|context|notes?)"
     r"|system[_ ]?prompt|(?:the|your)\s+(?:complete|entire|full"
     r"|whole)\s+(?:conversation|context|prompt|chat)\s+(?:including|from|with|above"
     r"|so\s+far)"
     r"|(?:text|words?|tokens?|messages?|lines?"
     r"|content)\s+(?:that\s+)?(?:\w+\s+){0,2}(?:above|before|preced\w+|prior\s+to"
     r"|you\s+(?:were|got|received|saw)\b[^.!?\n]{0,15}\b(?:given|initially|first|start"
     r"|beginning))"
     r"|the\s+above\s+(?:text|words|content|message|instructions?|lines?|prompt)"
     r"|your\s+(?:configuration|operating\s+instructions|directives|guardrails"
     r"|preprompt|pre-prompt|priming|setup|initiali[sz]ation)\b)"),
    ("reveal", "what exact guidelines* instructions* directives* rules* & before above "
     "top start beginning exact operate work run act function told instructed* asked "
     "ordered* said wrote",
     r"\bwhat\s+(?:does|do|did|is|are|was|were)\b[^.!?\n]{0,30}\b(?:before\s+(?:my|this"
     r"|our)\s+(?:first\s+)?(?:message|conversation|chat|question)|above\s+(?:this|my)"
     r"|at\s+the\s+(?:top|start|beginning)\s+of\s+(?:this|our|your|the)\s+(?:context|conversation"
     r"|chat|prompt))"
     r"|\bexact\s+(?:words?|wording|text)\s+of\s+(?:the|your)\s+(?:guidelines"
     r"|instructions?|rules|prompt|polic\w+|directives)|\b(?:guidelines|instructions"
     r"|directives|rules)\s+(?:that\s+)?you\s+(?:operate|work|run|act"
     r"|function)\s+(?:under|by|on|with)\b"
     r"|\bwhat\s+(?:your|the)\s+(?:operator|developer|creator|company|owner"
     r"|maker)s?\s+(?:told|instructed|asked|ordered|said\s+to|wrote\s+to)\s+you\b"),
    ("reveal", "system_prompt* systemprompt* system-prompt",
     r"\b(?:print|log|cat|echo|console|return|show|output|dump|read|reveal|open|get|variable"
     r"|value)\b[^\n]{0,30}\bsystem[_-]?prompt\b|\bsystem_prompt\.(?:txt|md)\b"),
    ("reveal", "dein* ihr ihre* ton ta tes votre vos tu tus seu sua seus suas tuo tua "
     "tuoi tue jouw* je uw tw\u00f3j din kamu gib zeig* nenn* affiche* montre* donne* "
     "muestra* dime mu\u00e9strame mostre mostra* toon poka\u017c visa traduce* traduis* "
     "quel* cu\u00e1les welche* que qual* ai & system* sist* syst\u00e8me instru* "
     "anweisung* regeln* vorgaben*",
     rf"\b(?:dein\w*|ihr\w*|ton|ta|tes|votre|vos|tus?|seu|sua|seus|suas|tuo|tua|tuoi|tue|jouw|je"
     rf"|uw|tw\u00f3j|din|kamu|gib|zeig\w*|nenn\w*|affiche\w*|montre\w*|donne\w*|muestra\w*|dime"
     rf"|mu\u00e9strame|mostre|mostra\w*|toon|poka\u017c|visa|traduce\w*|traduis|quell?e?s?"
     rf"|cu\u00e1les|welche|que|qual\w*|ai)\b{_LINE}{{0,40}}\b{_LANG_PROMPT}"),
    ("reveal", "other previous last earlier another & user* customer* people* person* "
     "& asked* said* wrote* told* typed sent discussed message* question* conversation* "
     "everything",
     r"\b(?:other|previous|last|earlier|another)\s+(?:users?|customers?|people"
     r"|persons?)\b[^.!?\n]{0,30}\b(?:asked|said|wrote|told|typed|sent|discussed|messages?"
     r"|conversations?|questions?)\b(?=[^.!?\n]{0,30}\b(?:you|word\s+for\s+word|verbatim"
     r"|exactly)\b)"
     r"|\beverything\s+the\s+(?:previous|last|other)\s+user\b"),
    # the same in other languages
    ("override", "ohne keine* sans aucun* sin ningun* senza sem zonder bez utan tanpa",
     rf"\b{_LANG_YOU}\b{_LINE}{{0,60}}\b{_LANG_FREE}|\b{_LANG_FREE}{_LINE}{{0,40}}\b{_LANG_YOU}\b"),
    ("override", "\u6ca1\u6709 \u6c92\u6709 \u4e0d\u53d7 \u65e0 \u7121 \u89e3\u9664 "
     "\u7ed5\u8fc7 \u53d6\u6d88 & \u9650\u5236 \u7ea6\u675f \u7d04\u675f \u89c4\u5219 "
     "\u898f\u5247 \u5ba1\u67e5",
     r"(?:\u6ca1\u6709|\u6c92\u6709|\u4e0d\u53d7|\u65e0|\u7121|\u89e3\u9664|\u7ed5\u8fc7"
     r"|\u53d6\u6d88)[^\u3002\n]{0,8}(?:\u9650\u5236|\u7ea6\u675f|\u7d04\u675f|\u89c4\u5219"
     r"|\u5ba1\u67e5)[^\n]{0,40}(?:\u4f60|\u56de\u7b54|\u8bf4)"
     r"|\u4f60[^\u3002\n]{0,20}(?:\u6ca1\u6709|\u6c92\u6709"
     r"|\u4e0d\u53d7)[^\u3002\n]{0,8}(?:\u9650\u5236|\u7ea6\u675f|\u89c4\u5219)"),
    ("reveal", "\u7cfb\u7edf\u63d0\u793a \u7cfb\u7d71\u63d0\u793a "
     "\u30b7\u30b9\u30c6\u30e0\u30d7\u30ed\u30f3\u30d7\u30c8 \uc2dc\uc2a4\ud15c "
     "\u0441\u0438\u0441\u0442\u0435\u043c\u043d",
     r"\u7cfb\u7edf\u63d0\u793a|\u7cfb\u7d71\u63d0\u793a"
     r"|\u30b7\u30b9\u30c6\u30e0\u30d7\u30ed\u30f3\u30d7\u30c8"
     r"|\uc2dc\uc2a4\ud15c\s?\ud504\ub86c\ud504\ud2b8"
     r"|\u0441\u0438\u0441\u0442\u0435\u043c\u043d\w{1,4}\s+(?:\u043f\u0440\u043e\u043c\u043f"
     r"\u0442|\u0438\u043d\u0441\u0442\u0440\u0443\u043a\u0446)"),
    ("override", "\u0431\u0435\u0437 \u043d\u0435\u0442 \u5236\u9650\u306a\u3057 "
     "\u5236\u7d04\u306a\u3057 \uc81c\ud55c k\u0131s\u0131tlama \u0628\u062f\u0648\u0646",
     r"\u0431\u0435\u0437\s+(?:\u0432\u0441\u044f\u043a\u0438\u0445\s+)?(?:\u043e\u0433\u0440"
     r"\u0430\u043d\u0438\u0447\u0435\u043d\w+|\u043f\u0440\u0430\u0432\u0438\u043b|\u0446"
     r"\u0435\u043d\u0437\u0443\u0440\w+|\u0444\u0438\u043b\u044c\u0442\u0440\w+)|\u043d\u0435"
     r"\u0442\s+(?:\u043d\u0438\u043a\u0430\u043a\u0438\u0445\s+)?(?:\u043e\u0433\u0440\u0430"
     r"\u043d\u0438\u0447\u0435\u043d\w+|\u043f\u0440\u0430\u0432\u0438\u043b)|\u5236\u9650"
     r"\u306a\u3057|\u5236\u7d04\u306a\u3057|\uc81c\ud55c\s?\uc5c6\uc774|k\u0131s"
     r"\u0131tlama\s?(?:olmadan|s\u0131z)|\u0628\u062f\u0648\u0646\s+\u0642\u064a\u0648\u062f"),
    # a forged turn, and markup that pretends to be of the system
    ("role", "user human me customer & assistant ai bot you chatbot gpt & :",
     r"(?m)(?:^|[.!?]\s)\s{0,3}(?:user|human|me|customer)\s?:[^\n]{1,400}(?:\n"
     r"|[.!?]\s)\s{0,3}(?:assistant|ai|bot|you|chatbot|gpt)\s?:"
     r"|(?:^|\n)\s{0,3}(?:assistant|ai|bot|chatbot)\s?:[^\n]{0,400}\n+\s{0,3}(?:user"
     r"|human)\s?:"
             ),
    ("role", "a answer & sure of gladly certainly absolutely & q question & :",
     r"(?m)(?:^|\s)a(?:nswer)?\s?:\s*(?:sure|of\s+course|gladly|certainly"
     r"|absolutely)\b[^\n]{0,200}\bq(?:uestion)?\s?:"),
    ("role", "<inst </inst <admin </admin <sys </sys <important </important <prompt "
     "</prompt <direct </direct <new </new [ -- ## ** == & newtask* new_task* instruct* "
     "admin* system* important* prompt* direct* task* request* command* message* order* "
     "notice* override*",
     r"</?(?:instructions?|admin|system[-_ ]?\w{0,12}|important|prompt|directives?"
     r"|new[-_ ]?task)\s?>"
     r"|\[\s?(?:admin\w*|system|developer|instruction|operator)\s(?:request|command"
     r"|instruction|message|directive|order|notice)s?\b|(?:--|##|\*\*"
     r"|==)[-#*= ]{0,4}(?:core|new|system|admin|real|hidden|secret|priority"
     r"|updated?)\s(?:instructions?|prompt|override|directives?|orders?|task)\b"),
    ("role", "role & system developer assistant & :",
     r"\brole[\"']\s*:\s*[\"'](?:system|developer|assistant)\b"),
    ("override", "safety* content_filter* filter* moderat* guard* censor* restrict* "
     "refus* safe_mode* safemode* disclaimer* blocked* denied* blocked* & = -- : > & "
     "false* off none* 0 disable* null never nothing no skip without",
     r"\b(?:safety|filters?|moderation|guardrails?|censorship|restrictions?|content_filter|refus(?:e"
     r"|als?)|safe_?mode|disclaimers?|blocked(?:_topics)?|denied)[\w.]{0,20}\"?\s*(?:=|:|>)\s*[\"']?"
     r"(?:0|none|off|false|disabled|null|never|nothing)\b|--(?:no"
     r"|disable|skip|without)-(?:safety|moderation|guardrails?|censorship|restrictions?)"),
    # what a document says of itself and of what stands around it
    ("override", "ignor* disregard* forget* skip* discard* & rest* previous preceding "
     "foregoing other* this* these* above* else* everything* all following*",
     rf"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|discard(?:ing)?)\s+(?:the\s+rest"
     rf"|everything\s+else|(?:all\s+)?(?:the\s+)?(?:other|above|preceding|previous|foregoing)"
     rf"|this|these|all(?:\s+of)?)\s+(?:of\s+)?(?:(?:this|the|these)\s+)?(?:\w+\s+)?{_DATA}\b"
     rf"{_LINE}{{0,30}}\b(?:print|output|say|write|translate|reply|respond|answer"
     rf"|instead|do|repeat|state)\b"),
    # a code with the order to follow it, words in reverse order
    ("override", "decod* decipher* translat* revers* unscrambl* concatenat* join* "
     "combin* assembl* letter letters every acrostic* spell* morse* base64* rot13* caesar* "
     "& obey* follow* comply* respond* carry* execute* act do answer*",
     r"\b(?:decod\w+|decipher|unscrambl\w+|revers\w+|concatenat\w+|join|combin\w+|assembl\w+"
     r"|first\s+letters?|every\s+(?:second|third|other)\s+(?:word|letter)|morse|base64|rot13"
     r"|caesar|acrostic)\b[^!?\n]{0,120}\b(?:and|then|now)\s+(?:obey|follow|comply|carry\s+(?:it"
     r"|them)?\s*out|execute|act\s+on|act\s+accordingly|do\s+(?:what|as|it)|answer\s+(?:it|the"
     r"|what)|respond\s+to\s+(?:it|the))\b"),
    ("override", "instruct* rules guidelines prompt* & ignor* disregard* forget*",
     r"\b(?:instructions?|rules|prompts?|guidelines)\s+(?:previous|prior|above|your|all|the"
     r"|system|earlier)\s+(?:\w+\s+){0,2}(?:ignore|disregard|forget)\b"),
    ("reveal", "letter letters acrostic* spell spells spelling & told* prompt* instruct* "
     "operator* rule* guideline* given*",
     r"\b(?:first|last)\s+letters?\b[^.!?\n]{0,40}\b(?:told|prompt|instructions?|operator|rules"
     r"|guidelines)\b|\b(?:acrostic|spell(?:s|ing)?(?:\s+out)?)\b[^.!?\n]{0,40}\b(?:your"
     r"|you\s+were|operator|hidden|secret)\b[^.!?\n]{0,30}\b(?:told|prompt|instructions?|rules"
     r"|guidelines|given)\b"),
    # hands on tools
    ("tool", "environment* env* shell* variable* root proc os",
     r"\b(?:read|print|show|list|dump|paste|cat|echo"
     r"|get)\b[^.!?\n]{0,30}\b(?:environment\s+variables?|env\s+vars?|\.env\b|os\.environ|/proc/"
     r"|/root/)"),
    ("tool", "delete drop wipe erase transfer pay send buy run execute & without not "
     "skip no don & ask* confirm* approval permission",
     r"\b(?:delete|drop|wipe|erase|transfer|pay|send|buy|run|execute)\b[^.!?\n]{0,60}\b(?:without"
     r"|do\s+not|don't|no|skip)\s+(?:ask\w*|confirm\w*|the\s+confirm\w*|any\s+confirm\w*|approval"
     r"|permission|for\s+confirm\w*)"
     r"(?:\s+for\s+confirmation)?"),
    ("exfiltration", "plus with append followed containing mail* email* send post "
     "forward upload & :// @ & fetch render load open request call visit get embed show "
     "display query select export collect gather read",
     r"\b(?:fetch|render|load|open|request|call|visit|get|embed|show"
     r"|display)\b[^.!?\n]{0,40}https?://[^\s]{1,200}[^.!?\n]{0,40}\b(?:followed\s+by|plus|with"
     r"|and\s+append|containing)\b[^.!?\n]{0,50}\b(?:history|conversation|question|prompt|user"
     r"|chat|message|everything|data|answer)\b"
     r"|\b(?:query|select|export|collect|gather|read)\b[^.!?\n]{0,60}\b(?:mail"
     r"|e-?mail|send|post|forward|upload)\b[^.!?\n]{0,40}(?:\S{1,64}@\S"
     r"|https?://)"),
    # another machine to play, and what it is to print
    ("reveal", "linux unix bash shell terminal console interpreter python sql repl & act "
     "behave respond simulate emulate pretend are imagine",
     rf"\b(?:act|behave|respond|simulate|emulate|pretend|you\s+are|imagine)\b{_LINE}{{0,40}}\b(?:linux"
     r"|unix|bash|shell|terminal|console|interpreter|python|sql|repl)\b[^\n]{0,120}(?:\b|[_/.])"
     r"(?:prompts?|instructions?|system_\w+|secrets?|hidden|briefing)\b"),
    ("override", "sudo & override safety unlock disable jailbreak reveal off",
     r"\bsudo\b[^\n]{0,40}\b(?:override|safety|unlock|disable|jailbreak|reveal)\b"),
    ("reveal", "cat less type & /",
     r"\b(?:cat|less|type)\s+~?/\S{0,60}(?:prompt|secret|instruct)"),
    # not to decline: a note in front instead, a price for it, a promise to say yes
    ("override", "instead rather without apolog* never & declin* refus* apolog*",
     r"\b(?:instead\s+of|rather\s+than|without(?:\s+any)?)\s+(?:ever\s+)?(?:declining|refusing|refusal"
     r"|apologi[sz]ing|an?\s+apology|apology|an?\s+refusal)\b"),
    ("override", "never not no need time whenever if & declin* refus*",
     rf"\b(?:assistant|model|ai|bot|you)\b{_LINE}{{0,30}}\b(?:never|not|no\s+longer)\b"
     rf"{_LINE}{{0,14}}\b(?:declin|refus)\w*|\b(?:each|every)\s+time\s+you\s+(?:decline|refuse)\b"
     r"|\bif\s+you\s+(?:decline|refuse)\b"),
    ("override", "yes & say & everything anything all whatever",
     r"\bsay\s+yes\s+to\s+(?:(?:everything|anything|whatever)\b|all\s+(?:i|my|of\s+my)\b)"),
    ("override", "behaviour behavior harmful uncensored unsafe before & change update adjust "
     "prefix add put with",
     rf"\b(?:change|update|adjust)\s+your\s+behaviou?r\b|\b(?:prefix|add|put|with)\b{_LINE}{{0,40}}"
     rf"\b(?:warning|disclaimer|note)\b{_LINE}{{0,40}}\b(?:harmful|uncensored|unsafe|before\s+it)\b"),
    # what stands before the question, and in which shape to give it
    ("reveal", "got received saw given sent & before above earlier first & you",
     r"\b(?:text|words?|content|messages?)\s+(?:that\s+)?you\s+(?:got|received|saw|were\s+(?:given"
     r"|sent))\s+(?:before|above|earlier|first)\b"),
    ("reveal", "context prompt & your & stands stand is are",
     r"\b(?:stands?|is|are)\s+in\s+your\s+(?:context|prompt)\b"),
    ("reveal", "top start beginning & conversation chat dialogue context & our this the",
     r"\b(?:text|words?|lines?|message)\s+(?:at|from|on)\s+(?:the\s+)?(?:very\s+)?(?:top|start"
     r"|beginning)\s+of\s+(?:our|this|the)\s+(?:conversation|chat|dialogue|context)\b"),
    ("reveal", "complete finish continue & helpful friendly & assistant",
     r"\b(?:complete|finish|continue)\b[^\n]{0,30}\byou\s+are\s+an?\s+(?:helpful|friendly)\s+assistant"),
    ("reveal", "instructions briefing guidelines setup rules directives & your & dash "
     "letter letters poem pig latin emoji emojis base64 reversed backwards rhyme song "
     "haiku table json csv",
     rf"\byour\s+(?:\w+\s+)?(?:instructions|briefing|guidelines|setup|directives)\b{_LINE}{{0,40}}\b(?:"
     r"dash|letters?|poem|pig|emojis?|base64|reversed|backwards|rhyme|song|haiku|json|csv)\b"),
    ("reveal", "read reads whisper whispers sing sings recite recites tell tells told & keys "
     "confidential hidden secret & me us",
     rf"\b(?:reads?|whispers?|sings?|recites?|tells?|told)\s+(?:me|us)\b{_LINE}{{0,40}}\b(?:(?:activation"
     r"|serial|licen[cs]e)\s+keys|confidential\s+\w+|hidden\s+\w+|secret\s+(?:rules|instructions))\b"),
    # a switch that somebody says is off, a leave that somebody says to give
    ("override", "guard guardrail guardrails safety filters moderation safeguards censorship "
     "you & suspended lifted paused waived revoked off bound restricted censored filtered",
     r"\b(?:guard\s?rails|safety|filters|moderation|safeguards|censorship)\s+(?:is|are|was|were)\s+"
     r"(?:hereby\s+|now\s+)?(?:suspended|lifted|paused|waived|revoked|off)\b"
     r"|\byou(?:'re|\s+are)\s+(?:not|no\s+longer)\s+(?:bound|restricted|censored|filtered)\b"),
    ("override", "allow permit authorize authorise & you & what* anything everything",
     r"\b(?:allow|permit|authori[sz]e)\s+you\s+to\s+(?:say|do|answer|speak|write|share)\s+(?:what\w*"
     r"|anything|everything)\b"),
    ("override", "aligned unaligned restricted censored filtered finetuned fine",
     r"\bbefore\s+you\s+were\s+(?:aligned|restricted|censored|filtered|fine-?tuned)\b|\bunaligned\b"),
    ("override", "freely unchained unhinged unleashed unshackled opposite twin "
     "uncensored & speak talk answer reply replies self twin version yourself be",
     r"\b(?:speak|talk|answer|reply)\s+freely\b|\b(?:unchained|unhinged|unleashed|unshackled)\s+(?:twin"
     r"|self|version|\w+\s+(?:twin|self|version))\b|\bopposite\s+of\s+yourself\b"),
    ("override", "forget & you & assistant* ai model* chatbot* bot language",
     r"\bforget\s+(?:that\s+)?you(?:'re|\s+are|\s+were)\s+(?:an?|the)\s+(?:\w+\s+)?(?:assistant|ai"
     r"|model|chatbot|bot)\b"),
    ("override", "makers creators developers openai anthropic & say said told tell "
     "want ask & not",
     rf"\bas\s+i\s+(?:say|tell|ask|want)\b{_LINE}{{0,20}}\bnot\s+(?:as|what)\b{_LINE}{{0,20}}\b(?:makers"
     r"|creators|developers|openai|anthropic)\b"),
    ("override", "yourself role & permission* rights access privilege* system developer",
     r"\b(?:issue|grant|give|assign)\s+yourself\s+(?:\w+\s+){0,2}(?:permissions?|rights|access"
     r"|privileges)\b|\b(?:assume|take\s+on|play|adopt)\s+the\s+role\s+of\s+the\s+(?:system|developer)\b"),
    ("override", "over & developer* admin* operator* & hereby take taking am i",
     r"\b(?:i\s+)?(?:hereby\s+)?tak(?:e|ing)\s+over\s+as\s+(?:the\s+|your\s+)?(?:developer|admin\w*"
     r"|operator)\b"),
    ("reveal", "first & line word words sentence message & you",
     r"\bfirst\s+(?:line|words?|sentence|message)\s+(?:that\s+)?(?:was|were)\s+(?:written|given|sent"
     r"|said)\s+(?:for|to)\s+you\b"),
    ("reveal", "how & you & copy send show",
     rf"\bhow\s+you\s+(?:are|were)\s+(?:set\s+up|configured|instructed|prompted)\b{_LINE}{{0,40}}[;,]?"
     rf"{_LINE}{{0,10}}\b(?:copy|send|show)\b"),
    ("reveal", "your & secret hidden & phrase word code codeword",
     r"\byour\s+(?:secret|hidden)\s+(?:phrase|word|code\s?word)\b"),
    ("override", "refusal* refusing declining & option allowed acceptable permitted counts",
     r"\b(?:refusal|refusing|declining)\s+is\s+(?:not|no|never)\s+(?:an?\s+)?(?:option|allowed"
     r"|acceptable|permitted)\b|\b(?:any|every|each)\s+refusal\s+counts\b"),
    ("override", f"answer respond reply talk speak act & no without zero & {_LIMITS_NEED}",
     rf"\b(?:answer|respond|reply|talk|speak|act)\s+(?:like|as)\b{_LINE}{{0,40}}\b(?:no|without(?:\s+"
     rf"any)?|zero)\s+{_LIMITS}\b"),
    ("override", "name nobody one & your but & real true actual me us",
     r"\byour\s+(?:real|true|actual)\s+name\s+is\b|\banswers?\s+to\s+(?:nobody|no\s+one)\s+but\s+(?:me"
     r"|us)\b"),
)  # fmt: skip

"""More signs of a planted command: what it wants of readers that are no people, and of memories.

A sign is its weight, what it needs (`genai.text.needs`) and a pattern for lower-case text.
"""

_GIVEN = (
    r"(?:answers?|repl(?:y|ies)|responses?|summar(?:y|ies)|translations?|versions?|comparisons?"
    r"|lists?|reviews?|reports?|rankings?|digests?|overviews?)"
)
_GIVEN_NEED = (
    "answer* reply replies response* summar* translation* version versions comparison* list lists"
    " review reviews report reports ranking* digest* overview*"
)
_READERS = (
    r"(?:graders?|reviewers?|screeners?|translators?|summari[sz]ers?|crawlers?|engines?|parsers?"
    r"|readers?|agents?|bots?|assistants?|copilots?|recruiters?|evaluators?|chatbots?|models?"
    r"|software|helpers?|classifiers?|raters?)"
)
_READERS_NEED = (
    "grader* reviewer* screener* translator* summari* crawler* engine* parser* reader* agent* bot"
    " bots assistant* copilot* recruiter* evaluator* chatbot* model* software helper* classifier*"
    " rater*"
)
_MUST = r"(?:must|should|shall|ought\s+to|ha(?:s|ve)\s+to|needs?\s+to|(?:is|are)\s+to)"
_MUST_NEED = "ought must should shall has have need needs is are"

PLANTED: tuple[tuple[float, str, str], ...] = (
    # what an answer has to be like
    (1.5, f"{_GIVEN_NEED} & {_MUST_NEED} & always begin end close start include mention contain say"
     " state recommend praise name read be give list omit leave carry bear feature",
     rf"\b{_GIVEN}\b[^.\n]{{0,60}}\b{_MUST}\s+(?:always\s+|also\s+|only\s+)?(?:begin|end|close|start"
     r"|include|mention|contain|say|state|recommend|praise|name|read|omit|carry|bear|feature|leave\s+out"
     r"|be\s+(?:corrected|given|written|positive|short))\b"),
    (1.5, f"{_GIVEN_NEED} & says praises praised named names mentions mentioned "
     f"recommends recommended omits omitted ends",
     rf"\b(?:if|that|when|unless|until)\s+(?:the|your|every|each|any)\s+{_GIVEN}\s+(?:says|prais(?:es"
     r"|ed)|nam(?:es|ed)|mention(?:s|ed)|recommend(?:s|ed)|omit(?:s|ted)|ends)\b"),
    (0.7, "grateful glad happy pleased appreciate",
     r"\b(?:would|will)\s+(?:be\s+)?(?:\w+\s+)?(?:grateful|glad|happy|pleased|appreciate\s+it)\s+if\b"),
    (0.9, f"any every each all & {_GIVEN_NEED}",
     rf"\bin\s+(?:any|every|each|all)\s+{_GIVEN}\b"),
    (1.0, f"{_GIVEN_NEED} & incomplete wrong invalid valid",
     rf"\b{_GIVEN}\b[^.\n]{{0,40}}\b(?:is|are)\s+(?:incomplete|wrong|invalid|not\s+valid)\b"),
    (0.7, "add* replace* insert* append* leave & line sentence paragraph word title",
     r"\b(?:add|replace|insert|append|leave|adds|replaces|inserts|appends)\b[^.\n]{0,40}\b(?:the\s+(?:last"
     r"|first|final|closing)\s+(?:line|sentence|paragraph|word)|(?:after|before)\s+the\s+title)\b"),
    (1.9, "version translation summary rendering",
     r"\bin\s+(?:the|your|any|every)\s+(?:\w+\s+)?(?:version|translation|summary|rendering)\b"
     r"[^.\n]{0,60}\b(?:must|should|shall|has\s+to|have\s+to|reads?)\b"),
    (1.2, "whatever regardless matter",
     r"\b(?:whatever|regardless\s+of\s+what|no\s+matter\s+what)\s+(?:the\s+|an?\s+|else\s+)?"
     r"(?:\w+\s+){0,2}(?:says?|states?|shows?|claims?|asks?)\b"),
    # readers that are no people, and people who are not to read
    (1.5, f"text note line section paragraph message page & {_READERS_NEED} & for to",
     r"\b(?:text|note|line|section|paragraph|message|page)\s+is\s+(?:only\s+|just\s+)?(?:meant\s+"
     rf"|intended\s+|addressed\s+)?(?:for|to)\s+(?:the\s+|any\s+)?(?:\w+\s+)?{_READERS}\b"),
    (1.8, "have let & assistant agent bot copilot ai",
     r"\b(?:have|let)\s+(?:your|the)\s+(?:\w+\s+)?(?:assistant|agent|bot|copilot|ai)\s+\w+"),
    (1.0, "already & checked graded approved reviewed verified cleared",
     r"\bhas\s+already\s+been\s+(?:checked|graded|approved|reviewed|verified|cleared)\b"),
    (1.4, f"{_READERS_NEED} & must should shall has have need needs will is are",
     rf"\b{_READERS}\s+(?:[\w'-]+\s+){{0,5}}(?:must|should|shall|ha(?:s|ve)\s+to|needs?\s+to|will"
     r"|(?:is|are)\s+(?:\w+\s+)?(?:asked|expected|required|instructed|told"
     r"|advised|requested)\s+to)\b"),
    (1.0, f"{_READERS_NEED} & reading that who which working rendering behind",
     rf"\b{_READERS}\s+(?:(?:that|who|which)\s+(?:\w+\s+)?(?:reads?|summari\w+|translat\w+|index\w*"
     r"|complet\w+|answers?|edits?|process\w*|sees?)|reading|working|behind|rendering)\b"),
    (1.9, "automated automatic machine nonhuman non human humans artificial people "
     "visitor visitors customer customers reader readers user users",
     r"\b(?:automat(?:ed|ic)|machine|non-?human|artificial)\s+(?:readers?|reviewers?|assistants?"
     r"|systems?\s+reading|agents?\s+reading)\b|\b(?:not|isn't|aren't)\s+(?:a\s+)?humans?\b"
     r"|\b(?:humans?|people|visitors?|customers?|readers?)\s+(?:can|may|should|need\s+not)\s+"
     r"(?:skip|ignore|overlook|disregard)\b"
     r"|\b(?:not|in)\s?visible\s+to\s+(?:the\s+)?(?:humans?|people|users?|customers?|visitors?)"),
    (1.6, "# // /* -- <!-- & assistant* agent* copilot* ai bot bots model* llm*",
     r"^\s*(?:#|//|/\*|--|<!--)\s*(?:todo\s+|note\s+|fixme\s+)?(?:(?:for|to)\s+)?(?:the\s+|any\s+"
     r"|all\s+)?(?:\w+\s+)?(?:(?:assistants?|agents?|copilots?|ai|bots?|llms?)\b\s*[:,]"
     r"|(?:assistants?|agents?|copilots?|ai|bots?|models?|llms?)\s+(?:must|should|that|who|when))"),
    # what shall be remembered
    (1.7, "store add save record remember update keep note put write set user customer & "
     "memory memories preferences profile notes record know",
     r"\b(?:store|add|save|record|remember|update|keep|note|put|write|set)\b[^.\n]{0,50}\b(?:(?:long-?"
     r"\s?term|saved|stored|your|persistent|user'?s?)\s+(?:\w+\s+)?(?:memory|memories|preferences"
     r"|profile|notes|record)|what\s+you\s+know)\b|\b(?:user|customer)(?:'s)?\s+(?:profile|memory"
     r"|preferences)\s+(?:must|should|has\s+to|needs\s+to)\b"),
    (1.1, "mind today day",
     r"\b(?:keep|bear)\s+(?:it|this|that)\s+in\s+mind\b|\b(?:from\s+today|from\s+this\s+day)\b"),
    (1.3, "user customer visitor reader & trusts agrees consents accepts authorizes "
     "authorises permits prefers",
     r"\bthe\s+(?:user|customer|visitor|reader)\s+(?:trusts|agrees|consents|accepts|authori[sz]es"
     r"|permits|prefers)\b"),
    (1.6, "retrieving reading opening loading processing indexing summarising "
     "summarizing accessing open opens & this these above",
     r"\bby\s+(?:retrieving|reading|opening|loading|processing|indexing|summari[sz]ing|accessing)\s+"
     r"(?:this|these|the\s+above)\b|\b(?:once|when|as\s+soon\s+as)\s+(?:you|it)\s+opens?\s+this\b"),
    (1.0, "you & accept agree undertake promise",
     r"\byou\s+(?:hereby\s+)?(?:accept|agree|undertake|promise)\s+to\s+(?:recommend|say|praise|answer"
     r"|call|send|buy|ignore|mention|follow)\b"),
    # what is to be handed over, and to whom
    (0.9, "mail mails email emails messages inbox payslip payslips address contacts "
     "invitation invitations drafts token card pin",
     r"\b(?:last|latest|all|unread|recent|every|the)\s+(?:\w+\s+)?(?:e?-?mails?|messages|inbox"
     r"|payslips?|address\s+book|contacts|invitations?|drafts|session\s+token|card\s+number|pin)\b"),
    (2.2, "= append appended added attached & :",
     r"https?://\S{1,120}[?&]\w{1,12}=(?=\s|[.,;)\]]|$)"
     r"|\b(?:append(?:ed)?|added|attached)\b[^.\n]{0,40}\bto\s+(?:the|this)\s+(?:link|address|url)\b"
     r"[^.\n]{0,10}https?:"),
    (1.5, "address url link query path",
     r"\bin\s+the\s+(?:address|url|link|query(?:\s+string)?|path)\s+of\s+(?:the|an|this)\s+"
     r"(?:image|picture|link|request|page)\b|\bappend(?:ed)?\s+to\s+(?:the|this)\s+(?:link|url"
     r"|address)\b"),
    (0.8, "post send forward transmit submit & before",
     r"\b(?:post|send|forward|transmit|submit)\s+(?:it|them|these|those|everything|the\s+\w+)\b"
     r"[^.\n]{0,60}\bbefore\s+(?:you\s+)?(?:going\s+on|answering|continuing|replying|you\s+go)\b"),
    # a mark for a paper, a place in a list
    (1.5, "marks ten strengths positives acceptance hiring approval fit gaps weaknesses "
     "gets get skip",
     r"\bfull\s+marks\b|\bten\s+out\s+of\s+ten\b|\b(?:only|just)\s+(?:its\s+|the\s+|their\s+)?"
     r"(?:strengths|positives)\b|\b(?:recommend|propose)\s+(?:acceptance|hiring|approval)\b"
     r"|\b(?:best|perfect|ideal)\s+fit\s+for\s+th(?:e|is)\s+(?:position|job|role)\b"
     r"|\bskip\s+the\s+(?:gaps|weaknesses|rest)\b|\bgets?\s+an\s+a\b"),
    (1.5, "top first above & list place rank put name appear come named listed ranked",
     r"\b(?:place|put|rank|list|name)\s+\w+\s+(?:at\s+the\s+top|first|above\s+(?:all|the))\b"
     r"|\b(?:should|must|has\s+to)\s+(?:appear|come|be\s+(?:named|listed|ranked))\s+first\b"),
    # what the machinery is made to say
    (2.2, "operator developer administrator admin owner system platform & adds orders requires"
     " demands instructs says commands asks",
     r"\bthe\s+(?:operator|developer|administrator|admin|platform|site\s+owner)\s+(?:adds|orders"
     r"|requires|demands|instructs|commands)\b"),
    (2.2, "next & step action task move & model assistant agent",
     r"\bnext\s+(?:step|action|task|move)\s+(?:for|of)\s+the\s+(?:model|assistant|agent)\b"),
    (3.0, "safety content moderation policy security & module filter filters layer check "
     "checks guard guards guardrail guardrails",
     r"\b(?:safety|content|moderation|policy|security)\s+(?:module|filters?|layer|checks?|guards?"
     r"|guardrails?)\s+(?:is\s+|are\s+|was\s+)?(?:not\s+loaded|offline|unavailable|failed|down"
     r"|disabled)\b"),
    (1.2, "discard ignore skip drop & question query request",
     r"\b(?:discard|ignore|skip|drop)\s+the\s+(?:\w+\s+)?(?:question|query|request)\b"),
    (1.4, "without & asking review question confirmation approval",
     r"\b(?:confirms?|approves?|grants?|accepts?|sends?|issues?|deletes?)\b[^.\n]{0,50}\bwithout\s+"
     r"(?:asking|review|question|confirmation|approval)\b"),
    (1.0, "verify review rights access privileges tests checks output result",
     r"--no-verify\b|\bwithout\s+review\b|\bgrants?\s+(?:all|full|admin)\s+(?:rights|access"
     r"|privileges)\b|\bdisable\s+the\s+(?:tests|checks)\b|\bhide\s+the\s+(?:output|result)\b"),
    (2.2, "nothing & say mention reveal state",
     r"^[\s\W]*(?:please\s+|kindly\s+)?(?:say|mention|reveal|state)\s+nothing\b"),
    (1.6, "pretend & document text page file message passage article",
     r"\bpretend\s+(?:that\s+)?(?:the|this)\s+(?:document|text|page|file|message|passage|article)\b"),
    (1.3, "assistant chatbot bot model agent & continues answers replies speaks writes "
     "closes confirms says adds recommends refuses",
     r"\b(?:the|your)\s+(?:support\s+)?(?:assistant|chatbot|bot|model|agent)\s+(?:then\s+|now\s+)?"
     r"(?:continues|answers|replies|speaks|writes|closes|confirms|says|adds|recommends|refuses)\b"),
    (1.2, "paragraph sentence line point here",
     r"\b(?:after|from)\s+this\s+(?:paragraph|sentence|line|point)\b|\bat\s+this\s+point\b"
     r"|\bfrom\s+here\s+on\b"),
    (1.0, "correct right only proper & answer reply response & any every all each",
     r"\b(?:correct|right|only|proper)\s+(?:answer|reply|response)\s+to\s+(?:any|every|all|each)\b"),
    (1.2, "favour favor", r"\bdo\s+(?:the|your|every)\s+\w+\s+a\s+favou?r\b"),
    (0.7, "leave & out", r"\bleave\b[^.\n]{1,30}\bout\b"),
    (1.5, "put place rank list & this it that & first top",
     r"\b(?:put|place|rank|list)\s+(?:this|it|that)(?:\s+one)?\s+(?:first|at\s+the\s+top|on\s+top)\b"),
    (1.0, "system systems software tool tools program programs & that which & :",
     r"\b(?:systems?|software|tools?|programs?)\s+(?:that|which)\s+\w+[^.\n]{0,30}:"),
    (0.9, "wherever whenever everywhere", r"\b(?:wherever|whenever|everywhere)\b"),
    (0.9, "stars star", r"\b(?:five|5|ten|10)[\s-]stars?\b"),
    (0.9, "nothing & else", r"\bnothing\s+else\b"),
    (1.6, "you & granted authorized authorised cleared",
     r"\byou\s+(?:have\s+been|are|were)\s+(?:now\s+|hereby\s+)?(?:granted|authori[sz]ed|cleared)\b"),
    (1.0, "told & will shall must", r"\b(?:will|shall|must)\s+be\s+told\s+that\b"),
)  # fmt: skip

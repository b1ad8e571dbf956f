"""The signs of a command in a sentence, each with its weight: see `genai.text.orders`.

A sign is its weight, what it needs (`genai.text.needs`) and a pattern for lower-case text.
"""

import re

_MADE = (
    r"(?:answers?|repl(?:y|ies)|responses?|summar(?:y|ies)|output|translation|caption"
    r"|recommendations?|next\s+message|analysis|assessment|evaluation|digest)"
)
_PERSON = (
    r"(?:users?|customers?|readers?|recipients?|visitors?|callers?|clients?|humans?|person"
    r"|whoever|anyone|everyone|buyers?|applicants?|guests?)"
)
_SAY = (
    r"(?:say|state|claim|reply|respond|answer|output|print|write|call\s+(?:it|this|them)|recommend"
    r"|mention|include|add|append|insert|end|begin|start|finish|close|open\s+with|repeat"
    r"|leave\s+out"
    r"|omit|describe|pretend|copy|confirm|deny|insist|note|suggest|praise|promote|quote|rate|rank"
    r"|score|present|translate|summari[sz]e|announce|refuse|assert|declare|conclude|explain)"
)
_DO = (
    r"(?:forward|export|fetch|send|e-?mail|issue|mark|delete|erase|cancel|switch|run|execute|attach"
    r"|push|upload|post|transfer|approve|accept|reject|book|buy|order|purchase|pay|refund|click"
    r"|visit|open|call|invoke|grant|disable|enable|reset|share|publish|submit|subscribe|install"
    r"|collect|gather|retrieve|encode|browse|navigate|schedule|reveal|list|show|act|behave|speak"
    r"|become|stop|change|replace|update|set|give|offer|ask|tell|inform|advise|direct|urge|warn)"
)
# where a command may begin: a sentence, a clause, or what obliges
_HEAD = (
    r"(?:^[\s\W]*(?:[\w ]{1,24}[:;]\s+)?|[,:;.!?(\"'\u2014-]\s*|\b(?:and|then|but|also|please|must"
    r"|should|shall|needs?\s+to|ha(?:s|ve)\s+to|agrees?\s+to|always|only|simply|now|instead|first"
    r"|immediately"
    r"|never|not|don't|just|kindly|so)\s+)"
)
# what the parts above need (`genai.text.needs`)
_MADE_NEED = (
    "answer* repl* response* summar* output* translation* caption* recommend* message analys*"
    " assessment* evaluation* digest*"
)
_PERSON_NEED = (
    "user* customer* reader* recipient* visitor* caller* client* human* person* whoever*"
    " anyone* everyone* buyer* applicant* guest*"
)
_SAY_NEED = (
    "say state claim reply respond answer output print write call recommend mention include"
    " add append insert end begin start finish close open repeat leave omit describe pretend"
    " copy confirm deny insist note suggest praise promote quote rate rank score present"
    " translate summari* announce refuse assert declare conclude explain"
)
_DO_NEED = (
    "forward export fetch send email mail issue mark delete erase cancel switch run execute"
    " attach push upload post transfer approve accept reject book buy order purchase pay"
    " refund click visit open call invoke grant disable enable reset share publish submit"
    " subscribe install collect gather retrieve encode browse navigate schedule reveal list"
    " show act behave speak become stop change replace update set give offer ask tell inform"
    " advise direct urge warn"
)
COMMANDS: tuple[tuple[float, str, str], ...] = (
    # whose answer
    (1.4, f"your & {_MADE_NEED}",
     rf"\byour\s+(?:\w+\s+){{0,2}}{_MADE}\b"),
    (2.0, f"every each any all final first future subsequent further & {_MADE_NEED}",
     rf"\b(?:in|to|at\s+the\s+(?:end|start|top)\s+of|with)\s+(?:every|each|any|all|the\s+final"
     rf"|the\s+first|future|subsequent|further)\s+(?:\w+\s+)?{_MADE}\b"),
    (0.8, f"must should shall has is needs will & {_MADE_NEED}",
     rf"\bthe\s+(?:\w+\s+)?{_MADE}\s+(?:must|should|shall|has\s+to|is\s+to|needs\s+to"
     rf"|will)\b"),
    # when
    (1.3, "when* if once before after while soon time & ask* questioned* inquire* enquire* "
     "answer* reply* respond* summari* process* translat* indexed* generating* preparing "
     "compiling drafting listing comparing reviewing* parsed* retrieved* ingested* "
     "embedded* want* say says types mention* word",
     rf"\b(?:when(?:ever)?|if|once|before|after|while|as\s+soon\s+as|every\s+time)\s+"
     rf"(?:(?:you|it|th(?:is|ese)\s+\w+|(?:an?|the|any|some)\s*(?:\w+\s+)?{_PERSON}"
     rf"|{_PERSON}|someone|somebody"
     rf"|anybody|they)\s+)?"
     r"(?:(?:is|are|am|being|be|been|get|gets|have|has|were)\s+){0,2}"
     r"(?:asked|asks?|asking|questioned|inquires?|enquires?|answering|answer|replying|reply"
     r"|responding|respond|summari[sz]\w+|processing|processed|translating|translated|indexed"
     r"|generating|reviewing|preparing|compiling|drafting|listing|comparing|parsed|retrieved|ingested|embedded|wants?\s+to\s+know|says?|types"
     r"|mentions?|uses?\s+the\s+word|summari[sz]ed)\b"),
    (0.7, "ask asks you",
     r"\bwho(?:ever)?\s+asks?\b|\bbefore\s+you\s+\w+"),
    (0.3, "! : please immediately urgent* required instead",
     r"\b(?:please|immediately|urgent\w*|required|instead)\b|\b(?:important|attention|warning"
     r"|notice|reminder|nota\s+bene)\s*[:!]"),
    (1.6, "when once if soon after having by & read reading seen* loaded* processing* "
     "received* & this these above* text",
     r"\b(?:when|once|if|as\s+soon\s+as|after|having|by)\s+(?:you\s+)?(?:have\s+|are\s+)?"
     r"(?:read|reading|seen|loaded|processing|received)\s+(?:this|these|the\s+(?:above"
     r"|text))"),
    # to whom
    (2.2, "whoever anyone anybody one software system program tool person machine reader "
     "any & read* prepar* process* handl* summari* index* generat* evaluat* viewing* "
     "answer* compil* render* convert* quotes quoting writ* translat*",
     r"\b(?:whoever|anyone|anybody|the\s+one|the\s+(?:software|system|program|tool|person"
     r"|machine|reader)|any\s+(?:\w+\s+)?(?:system|software|tool|program|agent|reader|machine"
     r"|process|service|summary|summari[sz]er))\s+(?:that\s+|who\s+|which\s+)?(?:is\s+)?"
     r"(?:reads?|prepar\w+|process\w*|handl\w+|summari\w+|index\w*|generat\w+|evaluat\w+"
     r"|viewing|reading|answer\w*|compil\w+|render\w+|convert\w+|quot(?:es|ing)|wr(?:ites|iting)|translat\w+|writ\w+)\b"),
    (1.3, ". , : must should shall please who that & ai llm llms language chatbot* "
     "assistant* copilot* gpt bot bots computer .i. a.i",
     r"\b(?:ai|a\.i\.|llms?|language\s+models?|chatbots?|(?:virtual\s+|digital\s+|voice\s+)?"
     r"assistants?|copilots?|gpt|bots?|computer)(?:\s*[,:]|\s+(?:must\b|should\b|shall\b"
     r"|please\b|(?:who|that)\s+(?:reads?|process\w*|handles?|summari\w+|index\w*|screens?|sees?"
     r"|parses?)\b))"),
    (1.2, f"tell inform ask advise convince persuade instruct assure show offer give remind "
     f"warn urge direct* redirect* refer answer send let encourage steer request & "
     f"{_PERSON_NEED}",
     rf"{_HEAD}(?:tell|inform|ask|advise|convince|persuade|instruct|assure|show|offer|give"
     rf"|remind|warn|urge|direct|redirect|refer|answer|send|let|encourage|steer|request)\s+"
     rf"(?:(?:the|this|any|every|all|your|each|that)\s+)?(?:\w+\s+)?{_PERSON}\b"),
    # what is to be said or done
    (0.7, f"{_SAY_NEED}",
     rf"{_HEAD}{_SAY}\b"),
    (0.5, f"{_DO_NEED}",
     rf"{_HEAD}{_DO}\b"),
    (1.0, f"{_SAY_NEED} & word words phrase* sentence* line text message exactly* only "
     f"nothing verbatim* following*",
     rf"\b(?!note|include|open|close|use"
     rf"|quote)(?<!to )(?<!can ){_SAY}\b[^.\n]{{0,40}}\b(?:the\s+(?:exact\s+)?(?:words?"
     rf"|phrase|sentence|line|text"
     r"|message)|exactly|only|nothing\s+(?:but|else)|verbatim|following)\b"),
    (0.8, "say state claim write confirm insist pretend assert declare conclude tell "
     "respond reply answer & that",
     r"\b(?:say|state|claim|write|confirm|insist|pretend|assert|declare|tell\s+\w+(?:\s+\w+)?"
     r"|respond|reply|answer|conclude)\s+(?:to\s+(?:\w+\s+){1,2})?that\b"),
    (0.7, "always only never must should shall has have & say state claim reply respond "
     "answer recommend praise promote pretend rate rank tell insist deny leave accept "
     "approve mention",
     r"\b(?:always|only|never|must|should|shall|has\s+to|have\s+to)\s+(?:be\s+|also\s+)?"
     r"(?:say|state|claim|reply|respond|answer|recommend|praise|promote|pretend|rate|rank|tell"
     r"|insist|deny|leave\s+out|accept|approve|mention)\b"),
    (0.9, f"respond reply answer say write speak lie talk & {_PERSON_NEED}",
     rf"\b(?:respond|reply|answer|say|write|speak|lie|talk)\s+(?:back\s+)?to\s+(?:the\s+"
     rf"|any\s+|every\s+)?"
     rf"{_PERSON}\b"),
    (0.9, "highest best top maximum full perfect excellent star & score rating mark marks "
     "grade rank",
     r"\b(?:highest|best|top|maximum|full|perfect|excellent|five[- ]star)\s+(?:possible\s+)?"
     r"(?:score|rating|marks?|grade|rank)\b"),
    (1.3, "remember memori* save store keep & memory conversation* session* chat* answer* "
     "question* request*",
     r"\b(?:remember|memori[sz]e|save|store|keep)\b[^.\n]{0,40}\b(?:memory"
     r"|(?:all\s+)?(?:future|later"
     r"|coming|next)\s+(?:conversations?|sessions?|chats?|answers?|questions?|requests?))\b"),
    (1.6, f"correct right only proper official approved expected final & {_MADE_NEED}",
     rf"\b(?:correct|right|only|proper|official|approved|expected|final)\s+{_MADE}\s+(?:to|for"
     r"|is)\b"),
    (0.9, "call repeat",
     r"\bcall\s+(?:it|this|them)\s+(?:the|a)\b|\brepeat\s+after\s+me\b"),
    (1.9, "summaries answers responses replies translations outputs recaps digests & "
     "contain* include end begin start close mention say state recommend omit lack leave "
     "miss without",
     r"\b(?:summaries|answers|responses|replies|translations|outputs|recaps"
     r"|digests)\b[^.\n]{0,40}\b"
     r"(?:(?:must|should|have\s+to|need\s+to|are\s+to)\s+(?:always\s+|also\s+)?(?:contain"
     r"|include|end|begin"
     r"|start|close|mention|say|state|recommend|omit)|that\s+(?:omit|lack|leave\s+out|miss"
     r"|do\s+not\s+contain)"
     r"|without\s+(?:this|the|that)\s+(?:link|code|sentence|phrase|words?|line)|(?:end|begin"
     r"|start|close)\s+with)\b"),
    (1.8, "next",
     r"\b(?:in|on|with|for|as)\s+(?:your|the)\s+(?:very\s+)?next\s+(?:turn|message|step"
     r"|reply|response"
     r"|answer|action|call)\b"),
    (1.5, "obey comply carry follow perform execute adhere & order* command* instruction* "
     "request* step* directive* written* says below* here",
     r"\b(?:obey|comply\s+with|carry\s+out|follow|perform|execute|adhere\s+to)\s+(?:only\s+)?"
     r"(?:the\s+|these\s+|this\s+|those\s+|my\s+|all\s+|what\s+)(?:\w+\s+){0,2}(?:orders?"
     r"|commands?"
     r"|instructions?|requests?|steps?|directives?|is\s+written|it\s+says|below|here)\b"),
    (1.6, "treat consider regard accept take interpret & as",
     r"\b(?:treat|consider|regard|accept|take|interpret)\s+(?:this|it|them|these"
     r"|the\s+following|what"
     r"\s+follows|the\s+\w+\s+(?:text|line|sentence|paragraph)|every\w*)\b[^.\n]{0,40}\bas\b"),
    (1.2, "behalf",
     r"\bon\s+behalf\s+of\s+(?:the\s+)?(?:user|customer|reader|everyone|owner)\b"),
    (1.6, "switch change go move fall slip return enter enable activate stay & mode role "
     "character persona language voice",
     r"\b(?:switch|change|go|move|fall|slip|return)\s+(?:in)?to\b[^.\n]{0,30}\b(?:mode|role"
     r"|character"
     r"|persona|language|voice)\b|\b(?:enter|enable|activate"
     r"|stay\s+in)\s+(?:\w+\s+){1,3}(?:mode|role"
     r"|character|persona)\b"),
    # what it pretends has happened
    (2.2, "user customer owner operator developer admin* reader person & agreed* "
     "consented* approved* confirmed* authori* asked* want* requested* allowed* granted* "
     "permitted* decided* verified* accepted* waived*",
     r"\b(?:the|this|your)\s+(?:user|customer|owner|operator|developer|admin\w*|reader"
     r"|person)\s+(?:has"
     r"\s+|had\s+)?(?:already|previously|now|also|expressly"
     r"|explicitly)\s+(?:\w+\s+)?(?:agreed|consented|approved|confirmed"
     r"|authori[sz]ed|asked|wants?|requested|allowed|granted|permitted|decided|verified"
     r"|accepted"
     r"|waived)\b"),
    (2.2, "previous above preceding earlier prior original last & message* question* "
     "instruction* passage* request* task* prompt* conversation* rules source* & was were "
     "is are has have",
     r"\b(?:the\s+)?(?:previous|above|preceding|earlier|prior|original"
     r"|last)\s+(?:\w+\s+)?(?:messages?"
     r"|question|instructions?|passages?|request|task|prompt|conversation|rules"
     r"|sources?)\s+(?:was|were"
     r"|is|are|has|have)\s+(?:\w+\s+)?(?:a\s+|an\s+)?(?:tests?|wrong|outdated|fake|invalid"
     r"|examples?"
     r"|void|over|finished|completed?|expired|withdrawn|cancel\w+|obsolete|replaced"
     r"|incorrect|jokes?)"),
    (2.2, "note ai am 'm assistant* language* thought: thought* action* observation* "
     "answer* call",
     r"\bnote\s+to\s+self\b|\bas\s+an\s+ai\b|\bi\s+(?:am|'m)\s+(?:an?\s+)?(?:ai|assistant"
     r"|language\s+model)"
     r"|\b(?:thought|action|observation|final\s+answer|tool\s+call)\s*:"),
    (2.2, "your & role task job goal purpose instructions* objective mission",
     r"\byour\s+(?:role|task|job|goal|purpose|instructions|objective|mission)\s+(?:has|have"
     r"|is|are)\s+"
     r"(?:changed|now|to|no|been)\b"),
    (1.6, f"sure ensure see & {_PERSON_NEED}",
     rf"\b(?:make\s+sure|ensure"
     rf"|see\s+to\s+it)\s+(?:that\s+)?(?:the\s+)?(?:\w+\s+)?{_PERSON}\b[^.\n]"
     r"{0,40}\b(?:believes?|thinks?|clicks?|enters?|logs?|visits?|buys?|pays?|sends?"
     r"|calls?)\b"),
    (0.8, "claim pretend insist deny steer lie",
     rf"{_HEAD}(?:claim|pretend|insist|deny|steer|lie)\b"),
    (0.9, "when* if once time & appear* comes come mentioned* raised* occur*",
     r"\b(?:when(?:ever)?|if|once|every\s+time)\b[^.,\n]{1,40}\b(?:appears?|comes?\s+up"
     r"|is\s+mentioned"
     r"|is\s+raised|occurs?)\b"),
    # what is to be kept quiet
    (2.2, "telling* informing* asking* notifying* alerting* consulting* warning* "
     "knowledge* consent* knowing* approval* confirmation* noticing*",
     rf"\b(?:without|before)\s+(?:telling|informing|asking|notifying|alerting|consulting"
     rf"|warning)\s+"
     rf"(?:the\s+|any\s+)?(?:{_PERSON}|owner|him|her|them|first|permission)\b"
     rf"|\bwithout\s+(?:the\s+)?(?:{_PERSON}'?s?|owner'?s?|any)\s+"
     r"(?:knowledge|consent|knowing|approval|confirmation|noticing)"),
    (1.3, "not don dont never & mention* tell reveal disclose* inform* report* notify* "
     "alert* warn* let say admit* discuss* cite flag",
     rf"\b(?:do\s+not|don'?t|never|must\s+not|should\s+not|not\s+to)\s+(?:ever\s+)?(?:mention"
     rf"|tell|reveal|disclose|inform|report|notify|alert|warn|let\s+(?:the\s+)?{_PERSON}"
     r"|say\s+(?:that|where|anything)|admit|discuss|cite|flag)\b"),
    (2.2, "keep hide conceal withhold & hidden* secret* quiet* from",
     rf"\b(?:keep|hide|conceal|withhold)\s+(?:\w+\s+){{1,3}}(?:hidden|secret|quiet"
     rf"|from\s+(?:the\s+)?{_PERSON})\b"),
    (0.9, "secretly* covertly* silently* quietly*",
     rf"\b(?:secretly|covertly|silently|quietly)\s+(?:{_SAY}|{_DO})\b"),
    # what it claims to outrank
    (2.2, "overrid* supersed* replace* outrank* precedence* priority* cancel*",
     r"\b(?:overrid\w+|supersed\w+|replaces?|outranks?|takes?\s+(?:precedence|priority)\s+over"
     r"|cancels?)\s+(?:[\w']+\s+){0,3}(?:instructions?|prompts?|rules?|requests?|questions?"
     r"|passages?|sources?|documents?|user|anything|everything|what|all|guidelines?)\b"),
    (1.5, "regardless* matter irrespective* whatever* independent*",
     r"\b(?:regardless\s+of|no\s+matter|irrespective\s+of|whatever|independent\s+of)\s+(?:what"
     r"|which|how|of|the\s+(?:question|user|request|query|topic|language|task)|is\s+asked"
     r"|they\s+ask|you\s+(?:are|were))\b"),
    (1.2, "ignor* disregard* forget* discard* skip",
     r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|discard(?:ing)?|skip)\s+(?:[\w']+"
     r"\s+){0,3}(?:else|other|others|instructions?|question|request|passages?|sources?|user"
     r"|documents?|text|above|before|previous|task|rest|everything|what)\b"),
    (1.6, "trust consult use rely instead",
     r"\b(?:only\s+trust|trust\s+only|do\s+not\s+(?:use|trust|consult|rely\s+on)\s+(?:any\s+)?"
     r"other|instead\s+of\s+(?:answering|the\s+(?:answer|question|summary)|what))\b"),
    (2.2, "new real actual next true updated current secret & objective* task goal mission "
     "job role instruction* action order* directive* priority*",
     r"\b(?:new|real|actual|next|true|updated|current|secret)\s+(?:objective|task|goal|mission"
     r"|job|role|instructions?|action|orders?|directives?|priority)(?:\s*[:=]|\s+is\b)"),
    (1.2, "order authori* approved message sent as & admin* developer* operator* "
     "department* vendor openai* anthropic* security owner",
     r"\b(?:by\s+order\s+of|authori[sz]ed\s+by|approved\s+by|message\s+from|sent\s+by"
     r"|as\s+the)\s+"
     r"(?:the\s+|your\s+)?(?:admin\w*|developers?|operators?|it\s+department|vendor|openai"
     r"|anthropic|security\s+team|system\s+owner)\b"),
    (2.0, "part ends follows",
     r"\bnot\s+part\s+of\s+the\s+(?:document|text|page|article|e-?mail)\b|\b(?:document|text"
     r"|article"
     r"|page|e-?mail|message|report)\s+ends\s+here\b|\bwhat\s+follows\s+is\s+(?:for|meant)\b"),
    (2.2, "now henceforth* here point rest remainder",
     r"\byou\s+(?:will|must|shall|should|are\s+to|need\s+to|have\s+to|are)\s+(?:now|from"
     r"\s+now|henceforth)\b|\bfrom\s+(?:now|here|this\s+point)\s+on\b[^.\n]{0,40}\b(?:you"
     r"|answer"
     r"|reply|respond|speak|act)\b|\bfor\s+the\s+(?:rest|remainder)\s+of\s+(?:the|this|our)\s+"
     r"(?:session|conversation|chat|dialogue|exchange)\b"),
    # what it reaches for
    (0.8, "http* www @ .test .com .net .org .io",
     r"https?://|\bwww\.|\S{1,64}@\S{1,64}\.\w|\b[a-z]{2,20}[\w-]{0,30}\.(?:test|com|net|org"
     r"|io)\b"),
    (1.0, "conversation chat previous* everything* window your prompt* secret customer* "
     "account api access ssh private password* credential* credit bank personal* their "
     "contacts* unmasked* coupon* discount*",
     r"\b(?:conversation|chat\s+history|previous\s+(?:message|user|turns?|question)|everything"
     r"\s+(?:the|this|you)|context\s+window|your\s+(?:context|memory|prompt|instructions?"
     r"|token"
     r"|key|credentials|configuration)|system\s+prompt|the\s+secret|customer\s+(?:list|data"
     r"|records)|account\s+(?:data|number|details)|(?:api|access|ssh|private)\s+(?:key"
     r"|token)s?"
     r"|passwords?|credentials|credit\s+card|bank\s+details|personal\s+data"
     r"|their\s+(?:location"
     r"|address|password|name|data|e-?mail)|contacts|unmasked|coupon|discount\s+code)\b"),
    (1.6, "typed* said asked* wrote written* entered* told shared* plus followed together "
     "along",
     r"\b(?:everything|all|whatever|anything)\s+(?:that\s+)?(?:the|this"
     r"|your)\s+(?:\w+\s+)?(?:user|customer"
     r"|person)\s+(?:has\s+|have\s+)?(?:typed|said|asked|wrote|written|entered|told|shared)\b"
     r"|\b(?:plus|followed\s+by|together\s+with|along\s+with)\s+(?:\w+\s+){0,4}(?:message"
     r"|conversation|context|question|input|history|prompt)\b"),
    (0.8, ": = & next_* next* instruction* todo command task",
     r"\b(?:next_?(?:action|step)|instructions?|todo|command|task)\"?\s*[:=]"),
    (-1.2, "( ) def return",
     r"\w\(\w+=|\w\.\w+\(|\w\(\w?\"|\bdef\s+\w+\(|\breturn\s+\w+[\[(.]|\]\(https?:|\)\.\w"),
    (1.9, "send_* forward_* delete_* transfer_* pay_* buy_* post_* upload_*",
     r"\b(?:send|forward|delete|transfer|pay|buy|post|upload)_(?:e?mails?|funds"
     r"|money|payments?|files?|data|messages?|records?|users?|all)\("),
    (1.0, "tool function plugin api send* delete* transfer* pay* buy* forward* create_* "
     "update_* make_* issue_* post_* share_* export_* write_* run_* exec* http_* fetch_* "
     "approve_*",
     r"\b(?:send|forward|delete|transfer|create|update|make|issue|post|share|export|write"
     r"|run|exec\w*|http|fetch|buy|approve)_\w+|\b(?:the|your)\s+\w+\s+(?:tool|function|plugin"
     r"|api)\b|\b(?:send|delete|transfer|pay|buy|forward)\w*\("),
    # a document about software tells its reader a lot
    (-0.8, "you optional* example* e.g such see default* parameter* argument* return* "
     "class* method* module* package* config* option* doc* api pip import* bug github* "
     "issue licen* pull support* deprecated* version* install* caller*",
     r"\b(?:you\s+can|you\s+may|optional(?:ly)?|for\s+example|e\.g\.|such\s+as"
     r"|see\s+(?:also|the)"
     r"|by\s+default|parameter|argument|returns?|class|method|module|package|config\w*|option"
     r"|docs?|documentation|api\s+reference|pip|import|bug|github|issue\s+tracker|licen[cs]e"
     r"|pull\s+request|supported?|deprecated|version|install(?:ed|ing|ation)|callers?)\b"),
)  # fmt: skip
# the same in other languages: an order to answer, or to speak to the user
ELSEWHERE = re.compile(
    r"\b(?:sage?|teile|antworte|empfiehl|fordere|bitte)\b[^.!?\n]{0,60}\b(?:nutzer\w*|benutzer\w*"
    r"|kunden|leser\w*|nur\s+(?:noch\s+)?mit|immer|stets|jede\w*\s+frage\w*)\b"
    r"|\b(?:r\u00e9ponds|r\u00e9pondez|dis|dites|recommande[zr]?|demande[zr]?)\b[^.!?\n]{0,60}"
    r"\b(?:utilisateurs?|client\w*|lecteur\w*|toujours|uniquement|seulement|que\s+ce|le\s+mot)\b"
    r"|\b(?:responde|responda|di|dile|diga|recomienda|recomende|pide|pe\u00e7a)\b[^.!?\n]{0,60}"
    r"\b(?:usuari\w+|client\w+|lector\w*|leitor\w*|siempre|sempre|solo|s\u00f3|apenas"
    r"|\u00fanicamente"
    r"|palabra|palavra)\b"
    r"|\b(?:rispondi|d\u00ec|consiglia|raccomanda|chiedi)\b[^.!?\n]{0,60}\b(?:utent[ei]|client[ei]"
    r"|lettor[ei]|sempre|solo|soltanto|parola)\b"
    r"|\b(?:antwoord|zeg|vertel|beveel|vraag)\b[^.!?\n]{0,60}\b(?:gebruikers?|klant\w*|lezers?"
    r"|altijd"
    r"|alleen|woord)\b"
    r"|\b(?:odpowiedz|odpowiadaj|powiedz|polecaj)\b[^.!?\n]{0,60}\b(?:u\u017cytkownik\w*|klient\w*"
    r"|zawsze|tylko|s\u0142owem)\b"
    r"|(?:\u043e\u0442\u0432\u0435\u0447\u0430\u0439|\u043e\u0442\u0432\u0435\u0442\u044c"
    r"|\u0441\u043a"
    r"\u0430\u0436\u0438|\u0441\u043e\u043e\u0431\u0449\u0438"
    r"|\u043f\u043e\u0440\u0435\u043a\u043e\u043c"
    r"\u0435\u043d\u0434\u0443\u0439)[^.!?\n]{0,60}(?:\u043f\u043e\u043b\u044c\u0437\u043e"
    r"\u0432\u0430"
    r"\u0442\u0435\u043b|\u043a\u043b\u0438\u0435\u043d\u0442|\u0432\u0441\u0435\u0433\u0434\u0430|"
    r"\u0442\u043e\u043b\u044c\u043a\u043e)"
    r"|(?:\u56de\u7b54|\u56de\u590d|\u56de\u8986|\u544a\u8bc9"
    r"|\u544a\u8a34)[^\u3002\n]{0,24}(?:\u5fc5"
    r"\u987b|\u5fc5\u9808|\u53ea\u80fd|\u59cb\u7ec8|\u603b\u662f|\u63a8\u8350|\u63a8\u85a6"
    r"|\u7528\u6237"
    r"\u8bf4)|\u544a\u8bc9\u7528\u6237"
    r"|(?:\u30e6\u30fc\u30b6\u30fc"
    r"|\u5229\u7528\u8005)\u306b[^\u3002\n]{0,40}(?:\u3066\u304f\u3060\u3055"
    r"\u3044|\u4f1d\u3048|\u8a00\u3048|\u7b54\u3048)"
    r"|\b(?:der|die|das|el|la|il|o|de)\s+(?:assistent\w*|asistente|assistente|chatbot)"
    r"\s+(?:soll|muss|darf|debe|deve|moet|tiene\s+que)\b|\bl'assistant\s+(?:doit|va)\b"
    # of AI and of models much is said; only what they are to answer is an order
    r"|\b(?:(?:der|die|das|el|la|il|o|de)\s+(?:ki|ia|modell|modelo|modello|model)"
    r"\s+(?:soll|muss|darf|debe|deve|moet|tiene\s+que)|l'ia\s+(?:doit|va))\b[^.!?\n]{0,80}\b"
    r"(?:antwor|empfehl|sag|nenn|schreib|erw\u00e4hn|behaupt|ausgeb|ignorier|verschweig|r[e\u00e9]spon|"
    r"r[\u00e9e]pond|re[ck]om|raccom|consigli|dire\b|decir|dizer|menc?i?on|rispon|aanbe|zeg|noem)"
    r"|\uc0ac\uc6a9\uc790\uc5d0\uac8c[^.\n]{0,40}(?:\ub9d0\ud574|\ub2f5\ud574|\ub2f5\ud558"
    r"|\uc54c\ub824"
    r"|\ucd94\ucc9c)"
)
ELSEWHERE_NEED = (
    "sag sage teile antworte* empfiehl* fordere bitte r\u00e9pond dis dites recommand* demande"
    " demandez demander responde* responda* di dile diga recomi* recomend* pide pe\u00e7a"
    " rispondi* d\u00ec consiglia* raccomanda* chiedi* antwoord* zeg vertel* beveel* vraag*"
    " odpowied* odpowiad* powiedz* polecaj* \u043e\u0442\u0432\u0435\u0447\u0430\u0439"
    " \u043e\u0442\u0432\u0435\u0442\u044c \u0441\u043a\u0430\u0436\u0438"
    " \u0441\u043e\u043e\u0431\u0449\u0438"
    " \u043f\u043e\u0440\u0435\u043a\u043e\u043c\u0435\u043d\u0434\u0443\u0439 \u56de\u7b54"
    " \u56de\u590d \u56de\u8986 \u544a\u8bc9 \u544a\u8a34 \u30e6\u30fc\u30b6\u30fc"
    " \u5229\u7528\u8005 soll muss darf debe deve moet tiene doit va"
    " \uc0ac\uc6a9\uc790\uc5d0\uac8c & nutzer* benutzer* kunden leser* nur immer stets jede*"
    " utilisateur* client* lecteur* toujours uniquement seulement que mot usuari* lector*"
    " leitor* siempre sempre solo s\u00f3 apenas \u00fanicamente palabra palavra utente utenti"
    " lettor* soltanto parola gebruiker* klant* lezer* altijd alleen woord u\u017cytkownik"
    " klient* zawsze tylko s\u0142owem"
    " \u043f\u043e\u043b\u044c\u0437\u043e\u0432\u0430\u0442\u0435\u043b"
    " \u043a\u043b\u0438\u0435\u043d\u0442 \u0432\u0441\u0435\u0433\u0434\u0430"
    " \u0442\u043e\u043b\u044c\u043a\u043e \u5fc5\u987b \u5fc5\u9808 \u53ea\u80fd \u59cb\u7ec8"
    " \u603b\u662f \u63a8\u8350 \u63a8\u85a6 \u7528\u6237 \u3066\u304f\u3060\u3055\u3044"
    " \u4f1d\u3048 \u8a00\u3048 \u7b54\u3048 assistent* asistente assistente chatbot ki ia"
    " modell modelo modello model assistant \ub9d0\ud574 \ub2f5\ud574 \ub2f5\ud558 \uc54c\ub824"
    " \ucd94\ucc9c"
)

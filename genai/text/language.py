"""Guess the language of a sentence from its script and its commonest words."""

import re
import unicodedata
from collections import Counter

_WORD = re.compile(r"[^\W\d_]+")
_COMMON = {
    "en": "the and of to in is that it for was on are with as be this have from or by not but you"
    " at which an they were will can what how do does if there their we your has",
    "de": "der die das und ist nicht ein eine zu den von mit sich auf im dem es wird werden auch"
    " als wie bei oder aus nach wir ich sie ihr kann sind haben hat wenn nur",
    "fr": "le la les et est un une des que qui dans pour pas sur avec il elle au ce sont par plus"
    " ne se du nous vous mais ou comme tout cette avoir",
    "es": "el la los las y es un una de que en por con para no se su al lo como pero sus le ha si"
    " este esta muy cuando ya todo son del",
    "it": "il lo gli e un una di che non per con sono del della si alla da nel anche come ma le"
    " questo questa ha suo dei delle",
    "pt": "o os as e um uma de que em por com para se ao do da no na mas como dos das foi mais"
    " seu sua ser isso pelo pela",
    "nl": "de het een en van is dat niet op te zijn in met voor er aan die ook als om maar bij"
    " dan wordt door nog naar uit",
    "pl": "i w na nie jest z do to jak co tak za od po ale przez przy dla oraz czy jego",
    "sv": "och att det som en ett inte med till av den kan var om men har de jag hon han",
    "id": "yang dan di ini itu untuk dengan tidak dari dalam akan pada ke adalah ada juga",
    "tr": "ve bir bu da de ne olarak ile daha gibi kadar ama en olan sonra",
    "vi": "của và là có không được cho một trong với các những này khi người",
}  # fmt: skip
_BY_SCRIPT = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "CJK": "zh", "CYRILLIC": "ru",
    "ARABIC": "ar", "HEBREW": "he", "GREEK": "el", "THAI": "th", "DEVANAGARI": "hi",
    "TAMIL": "ta", "BENGALI": "bn",
}  # fmt: skip
_LANGUAGES: dict[str, set[str]] = {}
for _language, _words in _COMMON.items():
    for _word in _words.split():
        _LANGUAGES.setdefault(_word, set()).add(_language)
LANGUAGES = tuple(sorted({*_COMMON, *_BY_SCRIPT.values()}))


def guess_language(text: str) -> tuple[str, float]:
    """Give a language code and how sure it is (0..1); ("", 0.0) where the text says too little."""
    if not text.isascii():
        scripts = Counter(
            _BY_SCRIPT.get(unicodedata.name(c, "").partition(" ")[0], "") for c in text
            if c.isalpha()
        )  # fmt: skip
        if scripts["ja"]:
            scripts["ja"] += scripts.pop("zh", 0)
        letters = sum(scripts.values())
        best = max((s for s in scripts if s), key=lambda s: scripts[s], default="")
        if best and scripts[best] > letters / 2 and scripts[best] >= 2:
            return best, round(scripts[best] / letters, 6)
    words = _WORD.findall(text.lower())
    votes: Counter[str] = Counter()
    for word in words:
        for language in _LANGUAGES.get(word, ()):
            votes[language] += 1
    if len(words) < 4 or not votes:
        return "", 0.0
    (first, most), *others = votes.most_common(2)
    second = others[0][1] if others else 0
    return (first, round((most - second) / most, 6)) if most >= 2 else ("", 0.0)

"""Find keys, tokens and passwords with detect-secrets' own rules, in process and offline.

Its entropy and keyword plugins are left out: on prose they cry wolf. A password or key is also
found where a text assigns one (`api_key = ...`) and the value looks random, and where a long word
looks drawn by chance: small and capital letters and digits, with hardly a repetition.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from genai import extras
from genai.text.plain import says_something
from genai.text.unspaced import set_apart
from genai.types import Span

_PLUGINS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "private_key": "PrivateKeyDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
# a line without a long word that holds a digit, a login in an address or a key's head is not given
# to the plugins
_SUSPECT = 16  # characters
_LONG = re.compile(rf"\S{{{_SUSPECT},}}")
_WORD = re.compile(r"[A-Za-z0-9_+/=-]*")
_DIGIT = re.compile(r"\d")
# whole, or as far as it is there: its beginning with the lines behind it, or the lines at its end
_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]{0,3900}-----END [A-Z ]{0,30}PRIVATE KEY-----"
    r"|(?:(?:\s|\\n){1,3}[A-Za-z0-9+/]{32,100}={0,2})*)"
)
_BLOCK_END = re.compile(
    r"(?<![A-Za-z0-9+/=])(?:[A-Za-z0-9+/]{1,100}={0,2}(?:\r?\n|\\n){1,2}){1,100}"
    r"-----END [A-Z ]{0,30}PRIVATE KEY-----"
)
# a word drawn at random: the three kinds of character, and as many bits as chance would give
_DRAWN = re.compile(r"(?<![A-Za-z0-9+/_=.-])[A-Za-z0-9+/_-]{28,400}={0,2}(?![A-Za-z0-9+/_=-])")
# what a file, a package or a public key is checked by
_DIGEST = re.compile(
    r"(?i)(?:sha(?:256|384|512)[-:]|\bh1:)[a-z0-9+/](?:[a-z0-9+/]{42}=?|[a-z0-9+/]{63}"
    r"|[a-z0-9+/]{85}(?:==)?)\Z"
)
# a name may have others before it, as in MISTRAL_API_KEY; a call, an index, a variable and a
# placeholder are no value
_IS = (
    r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?!(?:your|x{4})|[<${*]|[A-Za-z_][\w.]*[(\[])"
    r"([^\s\"'`,;&]{%d,200})"
)
_ASSIGNED = re.compile(
    r"(?i)(?<![a-z0-9])(?:api[_-]?key|(?:secret[_-]?)?access[_-]?key|secret(?:[_-]?key)?"
    r"|(?:access|auth)[_-]?token|password|passwd|pwd|passwort|kennwort|mot\sde\spasse"
    r"|contrase\u00f1a|senha|wachtwoord)" + _IS % 8
)
# the word alone is said of much else, so more is asked of the value
_SAID = re.compile(
    r"(?i)(?<![a-z0-9])(?:(?:api\skey|token)" + _IS % 16 + r"|(?:bearer|authorization:\s?basic)\s"
    r"([A-Za-z0-9._~+/-]{20,2000}={0,2}))"
)
# of a sentence, as "the password is": how it is kept, such as SHA256 or base64-coded, is no value
_TOLD = re.compile(
    r"(?i)(?<![a-z0-9])(?:password|passwort|kennwort|mot\sde\spasse|contrase\u00f1a|wachtwoord)"
    r"\s(?:is|ist|lautet|est|es):?\s[\"']?(?!(?:sha|md|aes|base|pbkdf|argon|rot)\d|[bs]crypt"
    r"|\d+(?:char|bit|sign|zeichen))"
    r"([^\s\"'`,;&:/()-]{8,200})"
)
_PROVIDER = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}|sk-[A-Za-z0-9_-]{20,200}"
    r"|hf_[A-Za-z0-9]{30,60}|AIza[\w-]{35}|ya29\.[\w-]{40,400}|glpat-[\w.-]{20,80}"
    r"|xapp-\d-[A-Z0-9]{8,14}-\d{10,15}-[0-9a-f]{60,70}|(?:pplx-|gsk_|ntn_|xai-)[A-Za-z0-9]{40,90}"
    r"|lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}|dapi[0-9a-f]{32}|dop_v1_[0-9a-f]{64}"
    r"|shp(?:at|ca|pa|ss)_[0-9a-f]{32}|hvs\.[\w-]{24,200}|ATATT[\w=-]{100,250}|NRAK-[A-Z0-9]{27}"
    r"|AGE-SECRET-KEY-1[A-Z0-9]{58})"
)
_LOGIN = re.compile(r"://:([^\s/@]{3,200})@")  # a password without a user, as Redis has
_EXAMPLE = re.compile(  # of a manual
    r"(?:pass(?:word|wd)?|pwd|secret)@(?:localhost|127\.0\.0\.1|host"
    r"|(?:[\w-]+\.)?example\.(?:com|org))(?![\w.-])"
)
_SHORTEST = 23  # characters of a key that `_PROVIDER` or `_DRAWN` knows
# what `_ASSIGNED` and `_SAID` find is named one of these
_NAMED = (
    "key", "secret", "token", "passw", "pwd", "kennwort", "de passe", "contrase", "senha",
    "wachtwoord", "bearer", "basic",
)  # fmt: skip
_LINE = 5_000  # a longer line is looked at in pieces, so no rule meets megabytes at once
_OVERLAP = 300


@lru_cache(maxsize=1)
def _detectors() -> list[Any]:
    found = []
    for module, name in _PLUGINS.items():
        loaded = extras.load(f"detect_secrets.plugins.{module}", "guards")
        found.append(getattr(loaded, name)())
    return found


def find_secrets(text: str) -> list[Span]:
    """Give the spans of secrets, in order, disjoint; the longer of two that overlap stays."""
    text = set_apart(text)
    longest = max(map(len, text.split()), default=0)
    lower = text.lower()
    found = []
    # most texts hold no word as long as a key, and speak of none
    if longest >= _SHORTEST:
        found += [_secret(*m.span()) for m in _PROVIDER.finditer(text)]
        drawn = (m for m in _DRAWN.finditer(text) if _drawn(m[0]))
        found += [
            _secret(*m.span())
            for m in drawn
            if not _DIGEST.search(text, max(0, m.start() - 8), m.end())
        ]
    if "-----BEGIN" in text:
        found += [_secret(*m.span()) for m in _BLOCK.finditer(text)]
    if "-----END" in text:
        found += [_secret(*m.span()) for m in _BLOCK_END.finditer(text)]
    if any(word in lower for word in _NAMED):
        found += _named(text)
    logins = (match.span(1) for match in _LOGIN.finditer(text))
    found += [_secret(*span) for span in logins if not _EXAMPLE.match(text, span[0])]
    if longest < _SUSPECT and "BEGIN " not in text:
        return _chosen(found)
    for start, line in _lines(text):
        for detector in _detectors() if _suspect(line) else ():
            for value in detector.analyze_string(line):
                found += _everywhere(line, str(value), start)
    return _chosen(found)


def _named(text: str) -> Iterator[Span]:
    for match in (*_ASSIGNED.finditer(text), *_TOLD.finditer(text)):
        if _random(match[1]):
            yield _secret(*match.span(1))
    for match in _SAID.finditer(text):
        value = match.lastindex or 1
        if _random(match[value]) and (value == 2 or sum(map(str.isdigit, match[value])) > 2):
            yield _secret(*match.span(value))


def _chosen(found: list[Span]) -> list[Span]:
    chosen: list[Span] = []
    for span in sorted(set(found), key=lambda s: (s.start, s.start - s.end)):
        if not chosen or span.start >= chosen[-1].end:
            chosen.append(span)
        elif span.end - span.start > chosen[-1].end - chosen[-1].start:
            chosen[-1] = span
    return chosen


def _secret(start: int, end: int) -> Span:
    return Span(start, end, "secret", 1.0, "[secret]")


def _suspect(line: str) -> bool:
    if "BEGIN " in line:
        return True
    return any(_DIGIT.search(word) or "://" in word for word in _LONG.findall(line))


def _everywhere(line: str, value: str, start: int) -> Iterator[Span]:
    position = line.find(value) if value else -1
    while position >= 0:
        behind = position + len(value)
        # a plugin may name the head of a secret alone; the word it stands in goes with it
        word = _WORD.match(line, behind)
        if not _EXAMPLE.match(line, position):
            yield _secret(start + position, start + (word.end() if word else behind))
        position = line.find(value, behind)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        for offset in range(0, max(len(line), 1), _LINE):
            yield start + offset, line[offset : offset + _LINE + _OVERLAP]
        start += len(line) + 1


def _random(value: str) -> bool:
    """Say whether a value looks drawn, not written: digits and letters, and high entropy."""
    counts = Counter(value).values()
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and bits >= 2.7


def _drawn(word: str) -> bool:
    """Say whether a long word was drawn by chance; a path, a slug or a hash in hex was not."""
    kinds = (any(map(str.islower, word)), any(map(str.isupper, word)), any(map(str.isdigit, word)))
    if not all(kinds) or word.count("/") > 2 or word.count("-") > 2 or word.count("_") > 2:
        return False
    counts = Counter(word).values()
    bits = -sum(n / len(word) * math.log2(n / len(word)) for n in counts)
    # chance alone gives about log2(length) less a third of a bit to words of this length
    return bits >= min(5.0, math.log2(len(word)) - 0.85) and not says_something(word)

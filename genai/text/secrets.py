"""Find keys, tokens and passwords with detect-secrets' own rules, in process and offline.

Its entropy and keyword plugins are left out: on prose they cry wolf. A password or key is also
found where a text assigns one (`api_key = ...`) and the value looks random.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from genai import extras
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
# a cheap sign that a line may hold a secret; a line without one is not given to the plugins
_SIGN = re.compile(r"[A-Za-z0-9_+/=-]{16}|://|BEGIN ", re.ASCII)
_ASSIGNED = re.compile(
    r"(?i)\b(?:api[_-]?key|secret(?:[_-]?key)?|access[_-]?token|auth[_-]?token|password|passwd)"
    r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?([^\s\"'`,;]{8,200})"
)
_PROVIDER = re.compile(r"\b(?:sk-[A-Za-z0-9_-]{20,200}|hf_[A-Za-z0-9]{30,60}|AIza[\w-]{35})")
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
    found = [Span(m.start(), m.end(), "secret", 1.0, "[secret]") for m in _PROVIDER.finditer(text)]
    for match in _ASSIGNED.finditer(text):
        if _random(match[1]):
            found.append(Span(match.start(1), match.end(1), "secret", 1.0, "[secret]"))
    for start, line in _lines(text):
        for detector in _detectors() if _SIGN.search(line) else ():
            for value in detector.analyze_string(line):
                found += _everywhere(line, str(value), start)
    chosen: list[Span] = []
    for span in sorted(set(found), key=lambda s: (s.start - s.end, s.start)):
        if all(span.end <= other.start or span.start >= other.end for other in chosen):
            chosen.append(span)
    return sorted(chosen, key=lambda s: s.start)


def _everywhere(line: str, value: str, start: int) -> Iterator[Span]:
    position = line.find(value) if value else -1
    while position >= 0:
        begin = start + position
        yield Span(begin, begin + len(value), "secret", 1.0, "[secret]")
        position = line.find(value, position + len(value))


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
    return mixed and bits >= 3.0

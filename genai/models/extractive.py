"""The embedded default: no LLM. It quotes the sentences of the passages that answer the question.

It reads the parts of the messages: `retrieved` parts are its passages, numbered in order, and the
untrusted part is the question. Each quoted sentence ends with its passage number, as an LLM's
would, so everything after the model is the same for both.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from genai.models.base import Delta
from genai.text.sentences import sentences
from genai.text.terms import content_stems
from genai.types import Message

Encode = Callable[[Sequence[str]], Any]
NO_ANSWER = "NO_ANSWER"
_KEEP = 0.75  # share of the best sentence's score
_MARKUP = re.compile(r"^(?:[-*+>]|\d{1,3}[.)]|#{1,6})\s+")
_RULE = re.compile(r"^\|?[\s:|-]*--[\s:|-]*$")


class Extractive:
    """Scores every sentence by the question's words and by embedding, and quotes the best."""

    label = "extractive (no LLM: quotes from the documents)"

    def __init__(self, encode: Encode, *, most: int = 3) -> None:
        """Quote at most `most` sentences that score nearly as well as the best one."""
        self._encode = encode
        self._most = most

    async def stream(
        self, messages: Sequence[Message], params: Mapping[str, Any]
    ) -> AsyncIterator[Delta]:
        """Give the reply piece by piece."""
        question, passages = _read(messages)
        chosen = await asyncio.to_thread(self._choose, question, passages)
        for position, (number, sentence) in enumerate(chosen):
            yield Delta("\n\n" * bool(position) + f"{sentence} [{number}]")
        if not chosen:
            yield Delta(NO_ANSWER)
        yield Delta(finish_reason="stop")

    def _choose(self, question: str, passages: Sequence[str]) -> list[tuple[int, str]]:
        spans = self.choose_spans(question, passages)
        return [
            (number, readable(passages[number - 1], start, end)) for number, start, end in spans
        ]

    def choose_spans(self, question: str, passages: Sequence[str]) -> list[tuple[int, int, int]]:
        """Give the best sentences as (passage number from 1, start, end), in reading order."""
        found = [
            (number, start, end)
            for number, passage in enumerate(passages, start=1)
            for start, end in _quotable(passage)
        ]
        if not found or not question.strip():
            return []
        texts = [passages[number - 1][start:end] for number, start, end in found]
        scores = self._score(question, texts, [number for number, _, _ in found])
        order = sorted(range(len(found)), key=lambda i: (-scores[i], i))
        best = [i for i in order[: self._most] if scores[i] >= _KEEP * scores[order[0]]]
        return [found[i] for i in sorted(best)]

    def _score(self, question: str, texts: Sequence[str], numbers: Sequence[int]) -> list[float]:
        wanted, *held = content_stems([question, *texts])
        frequency = Counter(stem for each in held for stem in each)
        idf = {s: math.log(1 + (len(texts) + 1) / (frequency[s] + 0.5)) for s in wanted}
        total = sum(idf.values()) or 1.0
        vectors = self._encode([question, *texts])
        dense = vectors[1:] @ vectors[0]
        # the search has ranked the passages; a small prior lets it break near ties
        return [
            sum(idf[s] for s in wanted & each) / total + float(similarity) + 0.3 / number
            for each, similarity, number in zip(held, dense, numbers, strict=True)
        ]


def _quotable(passage: str) -> list[tuple[int, int]]:
    """Give the sentences worth quoting: no code, no heading, no table head, no question."""
    spans: list[tuple[int, int]] = []
    code = False
    for start, end in sentences(passage):
        line = passage[start:end]
        before = passage[passage.rfind("\n", 0, start) + 1 : start]
        if line.startswith(("```", "~~~")) and not before.strip():
            code = not code  # and not where code in a line of prose opens a sentence
        elif _RULE.match(line) and spans:
            spans.pop()  # the line above a table's rule is its head
        elif not (code or line.startswith("#") or line.endswith("?")):
            spans.append((start, end))
    return spans


def readable(passage: str, start: int, end: int) -> str:
    """Drop list markers; give a table row with its column names, so that it reads alone."""
    line = _MARKUP.sub("", " ".join(passage[start:end].split()))
    if not line.startswith("|"):
        return line
    cells = _cells(line)
    rule = passage.rfind("---|", 0, start)
    head = passage[: passage.rfind("\n", 0, rule) + 1].rstrip().rpartition("\n")[2]
    names = _cells(head) if rule >= 0 and head.startswith("|") else []
    if len(names) == len(cells):
        cells = [
            f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=True)
        ]
    return "; ".join(cells)


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _read(messages: Sequence[Message]) -> tuple[str, list[str]]:
    parts = [part for message in messages for part in message.parts]
    question = " ".join(part.text for part in parts if part.trust == "untrusted")
    return question, [part.text for part in parts if part.trust == "retrieved"]

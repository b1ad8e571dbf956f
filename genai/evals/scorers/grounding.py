"""Scorers of what an answer rests on, without a model: its citations, quotes, numbers, sentences.

None for a refusal, which rests on nothing; 0 for a failed trial. An answer cites by its citations,
or, where the task gives none, by marks `[n]` in its text that number the retrieved passages.
"""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from genai.evals.scorers.answer import nfkc, numbers
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import CannotMeasure, Score, Trial
from genai.text.marks import LEADING, numbered, strip_marks
from genai.text.numerals import with_digits
from genai.text.sentences import sentences
from genai.text.terms import content_stems

Judge = Callable[..., float | Score | None]
_END_MARKS = re.compile(r"([.!?\u2026]{3})[.!?\u2026]+")
_LONG_WORD = re.compile(r"(\w{200})\w+")  # the stemmer's table refuses words of 32 kB
_BULLET = re.compile(r"^[ \t]*\d{1,3}[.)][ \t]", re.MULTILINE)
_DATE = re.compile(r"(?<![\w.])(?:\d{4}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{4})(?!\w)")
_CLOSERS = {'"': '"', "\u201c": "\u201d", "\u00ab": "\u00bb", "\u201e": "\u201c"}
_LONGEST = 2000  # characters of a quote; an unpaired mark would else quote the whole text
_OPENER = re.compile('["\u201c\u00ab\u201e]')


def _of_answers(score: Judge) -> Judge:
    @functools.wraps(score)
    def judge(trial: Trial, tools: Tools, **params: object) -> float | Score | None:
        if trial.state == "refused":
            return None
        return 0.0 if trial.state == "failed" else score(trial, tools, **params)

    return judge


@_of_answers
def citation_valid(trial: Trial, tools: Tools) -> float | Score | None:
    """Give 1 when every citation quotes a retrieved passage and its source file, to the character.

    0 or 1; None for a task that neither retrieves nor cites. An answer without a citation gives 0.
    A file that is not plain text is checked through its passage alone.
    """
    if not trial.hits and not trial.citations:
        return None
    passages = {hit.passage.id: hit.passage for hit in trial.hits}
    for citation in trial.citations:
        passage = passages.get(citation.passage_id)
        if passage is None:
            return Score(0.0, f"[{citation.number}] was not retrieved")
        start, end = citation.start - passage.start, citation.end - passage.start
        if start < 0 or passage.text[start:end] != citation.quote:
            return Score(0.0, f"[{citation.number}] is not in its passage")
        text = _source_text(tools.source / citation.document)
        if text is not None and text[citation.start : citation.end] != citation.quote:
            return Score(0.0, f"[{citation.number}] is not in {citation.document!r}")
    return float(bool(trial.citations))


def _source_text(path: Path) -> str | None:
    try:
        if path.suffix in (".md", ".txt") and path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):  # a name that no file can have
        pass
    return None


@functools.lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> str:
    return path.read_bytes().decode("utf-8-sig", "replace")


@_of_answers
def citation_validity(trial: Trial, tools: Tools) -> float | None:
    """Give the share of the cited passages that were retrieved.

    0 to 1; None where the answer cites nothing.
    """
    retrieved = {hit.passage.id for hit in trial.hits}
    cited = {each.passage_id for each in trial.citations}
    if not cited:
        retrieved = {str(number) for number in range(1, len(trial.hits) + 1)}
        cited = {str(number) for number in numbered(trial.text)}
    return len(cited & retrieved) / len(cited) if cited else None


@_of_answers
def citation_coverage(trial: Trial, tools: Tools) -> float | None:
    """Give the share of the answer's sentences that bear a mark `[n]` of a retrieved passage.

    0 to 1; an answer that cites nothing gives 0; None where it has no sentence.
    """
    valid = set(range(1, len(trial.hits) + 1))
    if trial.citations:
        retrieved = {hit.passage.id for hit in trial.hits}
        valid = {each.number for each in trial.citations if each.passage_id in retrieved}
    said = _sentences(trial.text)
    held = [any(number in valid for number in numbered(each)) for each in said]
    return sum(held) / len(held) if held else None


def _sentences(text: str) -> list[str]:
    """Cut into sentences; marks after a full stop belong to the sentence before them."""
    # the splitter takes time quadratic in a run of end marks, so no run is longer than three
    text = _END_MARKS.sub(r"\1", text)
    spans: list[tuple[int, int]] = []
    for start, end in sentences(text):
        marks = LEADING.match(text, start, end)
        if marks and spans:
            spans[-1] = (spans[-1][0], marks.end(1))
            start = marks.end()
        if text[start:end].strip():
            spans.append((start, end))
    return [text[start:end] for start, end in spans]


@_of_answers
def quoted_span_support(trial: Trial, tools: Tools, min_words: int = 3) -> float | Score | None:
    """Give the share of the answer's quotes that stand verbatim inside one passage.

    0 to 1; None where the answer quotes nothing. A quote stands in double quotation marks of any
    style, has `min_words` words or more and spans no empty line; apostrophes quote nothing.
    Compared in NFKC, case folded, runs of white space as one space.
    """
    quotes = [each for each in _quotes(trial.text) if len(each.split()) >= min_words]
    if not quotes:
        return None
    passages = [_plain(each) for each in trial.contexts]
    lacking = [each for each in quotes if not any(_plain(each) in passage for passage in passages)]
    reason = f"not in the passages: {lacking[0][:80]!r}" if lacking else ""
    return Score(1 - len(lacking) / len(quotes), reason)


def _plain(text: str) -> str:
    return " ".join(nfkc(text).casefold().split())


def _quotes(text: str) -> list[str]:
    """Find what stands between a mark and its partner. Linear: a partner is looked for once."""
    found: list[str] = []
    ahead: dict[str, int] = {}
    position = 0
    for opener in _OPENER.finditer(text):
        start, closer = opener.end(), _CLOSERS[opener[0]]
        if opener.start() < position:
            continue  # inside the last quote, or its end
        if ahead.get(closer, -1) < start:
            end = text.find(closer, start)
            ahead[closer] = end if end >= 0 else len(text)
        end = ahead[closer]
        if end - start <= _LONGEST and end < len(text) and text.find("\n\n", start, end) < 0:
            found.append(text[start:end])
            position = end + 1
    return found


@_of_answers
def number_support(trial: Trial, tools: Tools) -> float | Score | None:
    """Give the share of the answer's distinct numbers and dates that its passages state.

    0 to 1; None where the answer has none. `1,234.50` is `1234.5`, a passage's `five` states a 5,
    and a date in figures must stand as written; a month in words counts by its day and year. Marks
    `[n]` and the numbers of list items are not numbers of the answer.
    """
    text = _BULLET.sub(" ", strip_marks(nfkc(trial.text), " "))
    evidence = nfkc(with_digits("\n".join(trial.contexts)))
    stated = {str(each) for each, _ in numbers(evidence)} | set(_DATE.findall(evidence))
    given = set(_DATE.findall(text))
    given |= {str(each) for each, _ in numbers(_DATE.sub(" ", text))}
    if not given:
        return None
    lacking = sorted(given - stated)
    return Score(
        1 - len(lacking) / len(given), f"not stated: {', '.join(lacking[:5])}" if lacking else ""
    )


@_of_answers
def support(
    trial: Trial, tools: Tools, over: Literal["mean", "min"] = "mean"
) -> float | Score | None:
    """Give how far the passages hold the answer's words: over its sentences, each by its best one.

    0 to 1; 0 without a passage. A sentence counts the share of its content words that one passage
    holds, or 0 when that passage lacks one of its numbers: `genai.text.support`, all sentences at
    once. A sentence without a word is left out, and an answer of nothing else is
    unmeasured (`empty_claims`).
    """
    bare = [strip_marks(each) for each in _sentences(trial.text)]
    distinct = list(dict.fromkeys(bare))
    contexts = [with_digits(each) for each in trial.contexts]
    stems = content_stems([_LONG_WORD.sub(r"\1", each) for each in (*distinct, *contexts)])
    passages = [
        (held, {number for number, _ in numbers(text)})
        for held, text in zip(stems[len(distinct) :], contexts, strict=True)
    ]
    held_by: dict[str, float] = {}
    for each, wanted in zip(distinct, stems, strict=False):
        if wanted:
            figures = {number for number, _ in numbers(each)}
            share = [len(wanted & held) / len(wanted) for held, said in passages if figures <= said]
            held_by[each] = max(share, default=0.0)
    claims = [each for each in bare if each in held_by]
    if not claims:
        raise CannotMeasure("empty_claims", "the answer states nothing")
    shares = [held_by[each] for each in claims]
    worst = min(claims, key=held_by.__getitem__)
    reason = f"least supported: {' '.join(worst.split())[:80]!r}" if held_by[worst] < 1 else ""
    return Score(min(shares) if over == "min" else sum(shares) / len(shares), reason)


ALL: tuple[Scorer, ...] = (
    Scorer("citation_valid", citation_valid),
    Scorer("citation_validity", citation_validity),
    Scorer("citation_coverage", citation_coverage),
    Scorer("quoted_span_support", quoted_span_support),
    Scorer("number_support", number_support),
    Scorer("support", support),
)

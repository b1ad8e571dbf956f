"""Follow-up questions: does it pay to have a model write them anew before they are searched?

    python benchmarks/rewriting.py --data ../shared/data [--model NAME] [--talks N]

Conversations of two turns are made from COVID-QA (deepset-ai, Apache-2.0) by one rule, which
`follow_up` states. The second question is searched as it was asked (`chain.rewrite: off`), as a
model wrote it anew, and as it stood before the rule took words out, which no rewriting can better.
The model is SmolLM2-135M-Instruct in this process, or any name that `chain.rewrite` takes. Prints
Markdown and writes it to `benchmarks/results/rewriting.md`.
"""

import argparse
import asyncio
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from reading import HERE, PEERS, Question, build, read
from refusal import look_at

from genai.config import ModelSettings
from genai.models import make_embedder, open_model
from genai.prompts import load_prompt
from genai.rag.aide import Aide
from genai.rag.calibrate import best_threshold, cross_fit, fit
from genai.rag.curve import bootstrap
from genai.rag.rewrite import standalone
from genai.stats import clustered
from genai.text.terms import STOP_WORDS
from genai.types import Context

TOP_K = 6  # as `chain.top_k`
_WORD = re.compile(r"\w[\w'’/+-]*(?:\s*\([^()]*\))?")
_BEFORE = frozenset("of in for on from with by at during about against among".split())
_ARTICLES = frozenset(("the", "a", "an"))


@dataclass(frozen=True)
class Talk:
    """Two questions to one article; the second as it is asked, and as it stands alone."""

    first: str
    reply: str
    asked: str
    alone: Question


def follow_up(first: str, second: str, *, dropped: bool) -> str:
    """Give the second question as one who has asked the first would ask it; '' where none fits.

    Rule: the longest run of words that both questions hold, that stands after a preposition, that
    begins and ends with a content word, and after which comes a stop word or the end, is said as
    "it"; `dropped` leaves it out, together with its preposition. A content word must remain.
    """
    there = [found.group().lower() for found in _WORD.finditer(first)]
    spans = [*_WORD.finditer(second)]
    here = [found.group().lower() for found in spans]
    best = (0, 0, 0)
    for start in range(len(here)):
        before = start - (start > 0 and here[start - 1] in _ARTICLES)
        if here[start] in STOP_WORDS or not before or here[before - 1] not in _BEFORE:
            continue
        for place in range(len(there)):
            n = _shared(here[start:], there[place:])
            follows = here[start + n : start + n + 1]
            rest = here[:before] + here[start + n :]
            if n > best[0] and all(each in STOP_WORDS for each in follows) \
                    and any(each not in STOP_WORDS for each in rest):  # fmt: skip
                best = (n, before, start + n)
    n, start, end = best
    if not n:
        return ""
    head = second[: spans[start - dropped].start()]
    tail = second[spans[end - 1].end() :]
    return head.rstrip() + tail if dropped else f"{head}it{tail}"


def _shared(some: Sequence[str], others: Sequence[str]) -> int:
    """Count the words that both begin with, up to the last content word."""
    n = 0
    for one, other in zip(some, others, strict=False):
        if one != other:
            break
        n += 1
    while n and some[n - 1] in STOP_WORDS:
        n -= 1
    return n


def conversations(articles: dict[str, str], asked: Sequence[Question]) -> list[Talk]:
    """Make one of every two questions that follow each other in an article, where the rule fits.

    Every second one leaves the words out, the others say "it". The reply is the answer's own text.
    """
    talks: list[Talk] = []
    for first, second in zip(asked, asked[1:], strict=False):
        if first.document != second.document:
            continue
        said = follow_up(first.text, second.text, dropped=len(talks) % 2 == 1)
        if said:
            reply = articles[first.document][first.start : first.end]
            talks.append(Talk(first.text, reply, said, second))
    return talks


def rewritten(talks: Sequence[Talk], name: str) -> list[str]:
    """Have a model write each follow-up anew, by the chain's own prompt."""
    patient = ModelSettings(timeout=3600, total_timeout=3600)  # a busy machine takes its time
    model = open_model(name, settings=patient)
    aide = Aide(model, load_prompt("rag/rewrite", HERE.parent / "prompts"))

    async def all_of_them() -> list[str]:
        few = asyncio.Semaphore(16)

        async def each(talk: Talk) -> str:
            earlier = (("user", talk.first), ("assistant", talk.reply))
            async with few:
                return await standalone(aide, earlier, talk.asked, Context())

        return await asyncio.gather(*map(each, talks))

    return asyncio.run(all_of_them())


class Measured:
    """What each way of asking finds, and whom it refuses."""

    def __init__(self, articles: dict[str, str], asked: list[Question], talks: list[Talk]) -> None:
        self.articles, self.asked, self.talks = articles, asked, talks
        self.embedder = make_embedder("static")
        self.found: dict[str, list[float]] = {}
        self.right: dict[str, list[tuple[float, bool]]] = {}  # refused or answered rightly; known
        self.by = [talk.alone.document for talk in talks]
        self.clusters: list[str] = []

    def all(self, ways: dict[str, list[str]]) -> None:
        """Search every way of asking."""
        with tempfile.TemporaryDirectory() as folder:
            index, _ = build(Path(folder), self.articles, self.embedder)
            for way, questions in ways.items():
                self.found[way] = [
                    float(any(self._holds(talk.alone, hit.passage)
                              for hit in index.search(question, TOP_K)))
                    for talk, question in zip(self.talks, questions, strict=True)
                ]  # fmt: skip
            index.close()
        for keep in (0, 1):
            taught = look_at(self.articles, self.asked, self.embedder, 0.5, keep)
            for way, questions in ways.items():
                put = [replace(talk.alone, text=question)
                       for talk, question in zip(self.talks, questions, strict=True)]  # fmt: skip
                seen = look_at(self.articles, put, self.embedder, 0.5, keep)
                for half in (0, 1):
                    learnt = [s for s in taught if int(str(s.cluster)) // 2 % 2 == half]
                    weights, known = fit(learnt), [s.answerable for s in learnt]
                    least = best_threshold(list(zip(cross_fit(learnt), known, strict=True)))
                    scored = [s for s in seen if int(str(s.cluster)) // 2 % 2 != half]
                    rows = self.right.setdefault(way, [])
                    rows += [(float((weights.confidence(s.signals) >= least) == s.answerable),
                              s.answerable) for s in scored]  # fmt: skip
                    if way == next(iter(ways)):
                        self.clusters += [str(s.cluster) for s in scored]

    @staticmethod
    def _holds(question: Question, passage: object) -> bool:
        document, start, end = (getattr(passage, n) for n in ("document", "start", "end"))
        return document == question.document and start < question.end and question.start < end

    def row(self, way: str) -> str:
        """Give a way's line of the table."""
        found = clustered(self.found[way], self.by, confidence=0.975)
        low, high = bootstrap(_balanced, self.right[way], self.clusters)
        said = fmean(right for right, known in self.right[way] if known)
        return (
            f"| {way} | {found.mean:.3f} ({found.low:.3f} to {found.high:.3f}) |"
            f" {_balanced(self.right[way]):.3f} ({low:.3f} to {high:.3f}) | {1 - said:.3f} |"
        )

    def compared(self, way: str, other: str) -> str:
        """Say in points what one gains on the other, pair by pair."""
        gains = [a - b for a, b in zip(self.found[way], self.found[other], strict=True)]
        found = clustered(gains, self.by, confidence=0.975)
        rows = [(a[0] - b[0], a[1])
                for a, b in zip(self.right[way], self.right[other], strict=True)]  # fmt: skip
        low, high = (100 * each for each in bootstrap(_balanced, rows, self.clusters))
        return (
            f"- {way} against {other}: recall@{TOP_K} {100 * found.mean:+.1f} points"
            f" ({100 * found.low:+.1f} to {100 * found.high:+.1f}), refusals"
            f" {100 * _balanced(rows):+.1f} points ({low:+.1f} to {high:+.1f})"
        )


def _balanced(rows: Sequence[tuple[float, bool]]) -> float:
    known = [value for value, answerable in rows if answerable]
    absent = [value for value, answerable in rows if not answerable]
    if not known or not absent:
        raise ValueError("both questions with and without an answer are needed")
    return (fmean(known) + fmean(absent)) / 2


def main(options: argparse.Namespace) -> int:
    """Measure, print, and keep what was measured in full."""
    articles, asked = read(options.data)
    talks = conversations(articles, asked)[: options.talks]
    name = options.model
    if not name:
        folder = PEERS / "smollm2" / "weights"
        subprocess.run([sys.executable, HERE / "peers" / "smollm2.py", folder], check=True)
        name = f"local/{folder}"
    written = rewritten(talks, name)
    label = options.model or "SmolLM2-135M-Instruct"
    off, anew, alone = "as asked", f"written anew by {label}", "as it stood alone"
    found = Measured(articles, asked, talks)
    found.all({
        off: [t.asked for t in talks], anew: written, alone: [t.alone.text for t in talks]
    })  # fmt: skip
    kept = sum(a == talk.asked for a, talk in zip(written, talks, strict=True))
    text = "\n".join([
        "# Follow-up questions, written anew or not", "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}. COVID-QA:"
        f" {len(articles)} articles, {len(talks)} conversations of two questions. Command: `python"
        f" benchmarks/rewriting.py --data DATA{f' --model {name}' if options.model else ''}`.", "",
        f"| the follow-up | recall@{TOP_K} (95 %) | refusal balanced accuracy (95 %) | refused"
        " though its article is there |",
        "|---|---|---|---|", *(found.row(way) for way in (off, anew, alone)), "",
        found.compared(anew, off), found.compared(alone, off), "",
        f"Intervals are of 95 %, by article. The model left {kept} of {len(talks)} questions as"
        " they were asked. A follow-up is made of two questions that follow each other in an"
        " article: the longest run of words that both hold, after a preposition, is said as \"it\""
        " or left out with its preposition, in turn. A hit is a passage that overlaps the answer's"
        " span. Refusals: half of the articles are left out, twice; weights and threshold come"
        " from whole questions of other articles.",
    ])  # fmt: skip
    print(text)
    if options.talks is None:
        (HERE / "results" / "rewriting.md").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with covid_qa.json")
    parser.add_argument("--model", default="", help="who writes anew, instead of SmolLM2-135M")
    parser.add_argument("--talks", type=int, help="the first N conversations only, for a try")
    sys.exit(main(parser.parse_args()))

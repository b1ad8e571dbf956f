"""A month of simulated traffic with five planted incidents: are they found, named and costed?

    python benchmarks/traffic.py [--seeds 1-20] [--keep FOLDER] [--show]

Each seed is a month of questions, written to a ledger of its own through its public functions:
three features, three tenants, three models of two providers, eight topics, weekdays and weekends,
days that differ by themselves. Harmless changes (releases, syncs of the index, a rewritten prompt)
lie between the incidents. Planted are a dearer price, a worse prompt, a slow provider, a shift of
topics and a wave of injections, in an order, on days and of a size that the seed draws. The same
dice without the incidents give what each really cost. Development used seeds 1000 to 1019.

An incident counts as found where a finding begins within three days of it and names its cause;
as costed where the figure that matters for its kind is between half and twice the truth. Any other
finding is a false one; so is every finding of the same month drawn again with nothing planted.
Alert rules are judged on the same ledger, every day at midnight. Prints Markdown; a run of seeds
1-20 writes it to `benchmarks/results/traffic.md`.
"""

import argparse
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai.ledger import Ledger
from genai.reports.alerts import AlertSettings, due
from genai.reports.incidents import Incident, incidents
from genai.types import Call, Context, Cost, CostStatus, Usage

HERE = Path(__file__).parent
DAY = 86_400
FIRST = 20_728  # 2026-10-02, a day number
DAYS, REFERENCE = 30, 10
KINDS = ("price", "prompt", "slow", "topic", "injection")
# model -> provider, dollars a million tokens in and out, median seconds, share of questions
MODELS = {
    "openai/large": ("openai", 2.5, 10.0, 3.0, 0.35),
    "openai/small": ("openai", 0.25, 2.0, 1.4, 0.35),
    "mistral/medium": ("mistral", 0.4, 2.0, 1.9, 0.30),
}
FEATURES = {"chat": 0.5, "mail": 0.3, "search": 0.2}
TENANTS = {"north": 0.5, "south": 0.35, "public": 0.15}
TOPICS = ("billing", "contract", "delivery", "login", "privacy", "returns", "setup", "warranty")
RULES = AlertSettings.model_validate(
    {
        "rules": [
            {"name": "errors", "figure": "error_share", "hours": 24, "above": 0.05},
            {"name": "refusals", "figure": "refusal_share", "hours": 24, "above": 0.16},
            {"name": "slow", "figure": "p95_seconds", "hours": 24, "above": 9},
        ]
    }
)


@dataclass
class Planted:
    """An incident as it was planted, and what it did by the same dice without it."""

    kind: str
    first: int
    last: int
    name: tuple[tuple[str, str], ...]
    size: float
    dollars: float = 0.0
    lost: float = 0.0
    blocked: float = 0.0
    seconds: float = 0.0


@dataclass
class Month:
    """What a seed draws: the incidents, and changes that do no harm."""

    seed: int
    planted: dict[str, Planted] = field(default_factory=dict)
    releases: tuple[int, ...] = ()
    syncs: tuple[int, ...] = ()
    rewritten: tuple[str, int] = ("", 0)
    worse: str = ""
    dearer: str = ""
    slow: str = ""
    grown: str = ""


def drawn(seed: int, *, quiet: bool = False) -> Month:
    """Draw the month: when each incident begins, where it strikes and how hard.

    A quiet month has the same harmless changes, and every incident lies behind its end.
    """
    dice = random.Random(f"month {seed}")
    month, order = Month(seed), list(KINDS)
    dice.shuffle(order)
    starts = dict(zip(order, sorted(dice.sample(range(6), 5)), strict=True))
    begin = {kind: REFERENCE + 1 + 3 * slot + dice.randrange(2) for kind, slot in starts.items()}
    month.worse, other = dice.sample(list(FEATURES)[:2], 2)
    month.dearer, month.slow = dice.choice(list(MODELS)), dice.choice(["openai", "mistral"])
    month.grown = dice.choice(TOPICS)
    end = DAYS - 1

    def plant(kind: str, days: int | None, size: float, *name: tuple[str, str]) -> None:
        first = DAYS if quiet else begin[kind]
        last = end if days is None else min(first + days - 1, end)
        month.planted[kind] = Planted(kind, first, last, name, size)

    plant(
        "price",
        None,
        dice.uniform(1.3, 2.0),
        ("model", month.dearer),
        ("prices", "prices-2"),
        ("fingerprint", f"{month.dearer}-2026-08"),
    )
    plant("prompt", None, dice.uniform(0.15, 0.3), ("prompt_id", f"{month.worse}/answer@2"))
    plant("slow", dice.randint(1, 3), dice.uniform(2.0, 4.0), ("provider", month.slow),
          *(("model", name) for name, row in MODELS.items() if row[0] == month.slow),
          *(("fingerprint", f"{name}-2026-08") for name, row in MODELS.items()
            if row[0] == month.slow))  # fmt: skip
    plant("topic", None, dice.uniform(0.12, 0.25), ("topic", month.grown))
    plant("injection", dice.randint(1, 2), dice.uniform(0.1, 0.25), ("tenant", "public"))
    month.releases = tuple(sorted(dice.sample(range(2, DAYS), 4)))
    month.syncs = tuple(sorted(dice.sample(range(2, DAYS), 4)))
    month.rewritten = (other, dice.randrange(REFERENCE + 1, end - 2))
    return month


def calls(month: Month) -> Iterator[Call]:
    """Give the rows of the month, and add to each incident what it did."""
    dice = random.Random(f"traffic {month.seed}")
    for day in range(DAYS):
        weekend = (FIRST + day) % 7 in (2, 3)
        mood = {name: dice.gauss(0, 1) for name in ("seconds", "refuse", "tokens", "score")}
        asked = int(dice.gauss(170 if weekend else 380, 20))
        for n in range(asked):
            yield from question(month, dice, day, n, mood)
        wave = month.planted["injection"]
        if wave.first <= day <= wave.last:
            for n in range(int(asked * wave.size)):
                yield from attack(month, dice, day, asked + n)


def pick(dice: random.Random, shares: dict[str, float]) -> str:
    return dice.choices(list(shares), list(shares.values()))[0]


def labels(month: Month, feature: str, day: int, hour: float) -> dict[str, str]:
    """Give what stands on a row because of what was deployed then; changes come at 10 h."""
    at = day - (hour < 10)
    worse, rewritten = month.planted["prompt"], month.rewritten
    number = 1
    if (feature == month.worse and at >= worse.first) or (
        feature == rewritten[0] and at >= rewritten[1]
    ):
        number = 2
    release = sum(at >= each for each in month.releases)
    return {
        "prompt_id": f"{feature}/answer@{number}", "release": f"r{release}", "feature": feature,
        "index_revision": f"i{sum(at >= each for each in month.syncs)}", "config_hash": "c0ffee",
    }  # fmt: skip


def question(
    month: Month, dice: random.Random, day: int, n: int, mood: dict[str, float]
) -> Iterator[Call]:
    """Give the rows of one question; every die is thrown whether an incident uses it or not."""
    hour = min(max(dice.gauss(13, 4), 0), 23.9)
    feature, tenant = pick(dice, FEATURES), pick(dice, TENANTS)
    model = pick(dice, {name: row[4] for name, row in MODELS.items()})
    usual, moved = dice.choice(TOPICS), dice.random()
    noise, size, longer, luck, error = (
        dice.gauss(0, 0.45), dice.gauss(0, 0.35), dice.gauss(0, 0.4), dice.random(), dice.random()
    )  # fmt: skip
    score_noise = dice.gauss(0, 0.1)
    stands = labels(month, feature, day, hour)
    p = month.planted
    bad = stands["prompt_id"] == f"{month.worse}/answer@2"
    shifted = p["topic"].first <= day and moved < p["topic"].size
    slow = MODELS[model][0] == month.slow and p["slow"].first <= day <= p["slow"].last
    dear = day >= p["price"].first and model == month.dearer

    def refused(of_prompt: bool, of_topic: bool) -> bool:
        base = 0.08 * math.exp(0.15 * mood["refuse"])
        return luck < base + p["prompt"].size * of_prompt + 0.25 * of_topic

    failed = error < (0.12 if slow else 0.01)
    refusal = not failed and refused(bad, shifted)
    seconds = MODELS[model][3] * math.exp(noise + 0.06 * mood["seconds"])
    tokens = (
        int(900 * math.exp(size + 0.04 * mood["tokens"])),
        int(180 * math.exp(longer) * (1.25 if bad else 1.0)),
    )
    rates = MODELS[model][1:3]
    price = sum(t * rate / 1e6 for t, rate in zip(tokens, rates, strict=True))
    factor = p["price"].size if dear else 1.0
    if dear:
        p["price"].dollars += price * (factor - 1)
    if bad:
        p["prompt"].lost += refusal and not refused(False, shifted)
        p["prompt"].dollars += tokens[1] * 0.2 * rates[1] / 1e6 * factor
    if shifted:
        p["topic"].lost += refusal and not refused(bad, False)
    if slow:
        p["slow"].lost += failed and error >= 0.01
        p["slow"].seconds += seconds * (p["slow"].size - 1)
        seconds *= p["slow"].size
    topic = month.grown if shifted else usual
    score = 0.62 + 0.02 * mood["score"] + score_noise - 0.15 * shifted
    outcome = "error" if failed else "refusal" if refusal else "ok"
    tags = {
        "topic": topic, "language": "de" if dice.random() < 0.3 else "en",
        "retrieval_score": score, "support": min(max(0.8 + score_noise - 0.12 * bad, 0), 1),
        "verdicts_allow": 3,
    }  # fmt: skip
    paid = Decimal(str(round(price * factor, 9)))
    snapshot = "prices-2" if day >= p["price"].first else "prices-1"
    stamp = (FIRST + day) * DAY + hour * 3600 + n * 0.001
    yield from rows(
        f"{day:04x}{n:08x}", stamp, seconds, outcome, (model, stands | {"tenant": tenant}),
        tokens, Cost(paid, CostStatus.PRICED, snapshot=snapshot), tags,
    )  # fmt: skip


def attack(month: Month, dice: random.Random, day: int, n: int) -> Iterator[Call]:
    """Give a question of the wave: long, mostly blocked before any model is called."""
    wave, model = month.planted["injection"], "openai/small"
    hour, passed = dice.uniform(1, 5), dice.random() < 0.15
    stands = labels(month, "chat", day, hour) | {"tenant": "public"}
    tokens = (1800, 90) if passed else (0, 0)
    price = (1800 * 0.25 + 90 * 2.0) / 1e6 if passed else 0.0
    wave.blocked += not passed
    wave.dollars += price
    tags: dict[str, Any] = {"language": "en"}
    if passed:
        tags |= {"topic": dice.choice(TOPICS), "retrieval_score": 0.3, "support": 0.7}
    else:
        tags["verdicts_block"] = 1
    snapshot = "prices-2" if day >= month.planted["price"].first else "prices-1"
    cost = Cost(Decimal(0), CostStatus.DECLARED_FREE)
    if passed:
        cost = Cost(Decimal(str(round(price, 9))), CostStatus.PRICED, snapshot=snapshot)
    stamp = (FIRST + day) * DAY + hour * 3600
    yield from rows(
        f"{day:04x}{n:08x}", stamp, 1.2 if passed else 0.05, "ok" if passed else "refusal",
        (model, stands), tokens, cost, tags,
    )  # fmt: skip


def rows(
    name: str, at: float, seconds: float, outcome: str, made_by: tuple[str, dict[str, str]],
    tokens: tuple[int, int], cost: Cost, tags: dict[str, Any],
) -> Iterator[Call]:  # fmt: skip
    """Give the question's row and its model call's."""
    (model, stands), usage = made_by, Usage(*tokens, source="provider")
    yield Call(f"{name:0>27}c", "chain", at, seconds, outcome, model, Context(**stands), usage,
               cost, ttft=seconds * 0.3 if sum(tokens) else None, tags=tags)  # fmt: skip
    if sum(tokens):
        yield Call(
            f"{name:0>27}m", "model", at, seconds * 0.9, "ok" if outcome != "error" else "error",
            model, Context(f"{name:0>27}c", **stands), usage, cost, "chat", MODELS[model][0],
            f"{model}-2026-08", ttft=seconds * 0.3,
        )  # fmt: skip


def write(month: Month, folder: Path) -> Ledger:
    """Write the month to a ledger."""
    ledger = Ledger(folder / "ledger.db")
    for call in calls(month):
        ledger.record(call)
    ledger.flush()
    return ledger


def figure(kind: str) -> str:
    """Give what the incident of a kind is costed by."""
    return {"price": "dollars", "prompt": "lost", "slow": "seconds", "topic": "lost",
            "injection": "blocked"}[kind]  # fmt: skip


def match(planted: Planted, found: list[Incident]) -> Incident | None:
    """Give the finding that begins near an incident and names it."""
    for each in found:
        first = datetime.fromisoformat(each.first).replace(tzinfo=UTC).timestamp() // DAY - FIRST
        if abs(first - planted.first) <= 3 and each.cause in planted.name:
            return each
    return None


def judge(seed: int, folder: Path) -> dict[str, Any]:
    """Write a month, look for incidents and alerts, and compare with what was planted."""
    month = drawn(seed)
    started = time.perf_counter()
    ledger = write(month, folder)
    wrote = time.perf_counter() - started
    started = time.perf_counter()
    found = incidents(ledger, FIRST, FIRST + DAYS - 1, reference=REFERENCE)
    took = time.perf_counter() - started
    told = []
    for day in range(REFERENCE, DAYS):
        at = (FIRST + day + 1) * DAY - 1.0
        told += [(day, a.rule) for a in due(RULES, ledger, folder / "told.json", now=at)]
    ledger.database.dispose()
    named: dict[str, Incident | None] = {}
    for kind, planted in month.planted.items():
        named[kind] = match(planted, [each for each in found if each not in named.values()])
    false = [each for each in found if each not in named.values()]
    quiet = write(drawn(seed, quiet=True), folder / "quiet")
    alarms = incidents(quiet, FIRST, FIRST + DAYS - 1, reference=REFERENCE)
    quiet.database.dispose()
    return {"seed": seed, "month": month, "found": found, "named": named, "false": false,
            "told": told, "alarms": alarms, "wrote": wrote, "took": took}  # fmt: skip


def ratio(planted: Planted, each: Incident) -> float:
    """Give the cost found as a share of the true one, by the figure of its kind."""
    name = figure(planted.kind)
    return float(getattr(each, name) or 0.0) / max(float(getattr(planted, name)), 1e-9)


def report(results: list[dict[str, Any]]) -> str:
    """Give the table."""
    lines = [
        "# A month of traffic with planted incidents", "",
        f"{len(results)} months (seeds {results[0]['seed']} to {results[-1]['seed']}),"
        f" {DAYS} days each, the first {REFERENCE} are the reference. Command:"
        " `python benchmarks/traffic.py`. Development used seeds 1000 to 1019.", "",
        "| incident | found and named | costed within half and twice | median ratio to the truth |",
        "|---|---|---|---|",
    ]  # fmt: skip
    total = 0
    for kind in KINDS:
        ratios = [
            ratio(r["month"].planted[kind], r["named"][kind]) for r in results if r["named"][kind]
        ]
        costed = sum(0.5 <= each <= 2 for each in ratios)
        total += costed
        middle = f"{statistics.median(ratios):.2f}" if ratios else "-"
        lines.append(
            f"| {kind} | {len(ratios)} of {len(results)} | {costed} of {len(results)} | {middle} |"
        )
    false, alarms = ([len(r[name]) for r in results] for name in ("false", "alarms"))
    alerts = [len(r["told"]) for r in results]
    lines += [
        "",
        f"Found, named and costed: {total} of {len(results) * len(KINDS)}. False incidents a month:"
        f" {sum(false) / len(false):.2f} on average, {max(false)} at most"
        f" ({sum(n <= 1 for n in false)} of {len(false)} months have at most one).",
        f"The same months with nothing planted: {sum(alarms)} findings in {len(alarms)} months.",
        f"Three plain alert rules, judged daily, fired {statistics.mean(alerts):.1f} times.",
        f"Reading a month takes {statistics.median(r['took'] for r in results):.1f} s, writing it"
        f" {statistics.median(r['wrote'] for r in results):.1f} s (2 cores, shared).",
    ]
    return "\n".join(lines) + "\n"


def show(result: dict[str, Any]) -> None:
    """Print a month's misses, for the person who develops this."""
    for kind, planted in result["month"].planted.items():
        each = result["named"][kind]
        word = "MISSED" if each is None else f"ratio {ratio(planted, each):.2f}"
        print(f"  {result['seed']} {kind} day {planted.first}-{planted.last} size"
              f" {planted.size:.2f} {planted.name[0]}: {word}")  # fmt: skip
    for each in (*result["false"], *result["alarms"]):
        moved = ", ".join(f"{s.figure} t {s.sure:.1f}" for s in each.moved)
        print(f"  {result['seed']} FALSE {each.first} {each.last} {each.cause}: {moved}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-20", help="first and last, such as 1000-1019")
    parser.add_argument("--keep", type=Path, help="keep the ledgers in this folder")
    parser.add_argument("--show", action="store_true", help="print every month")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    results = []
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = options.keep / str(seed) if options.keep else Path(name)
            folder.mkdir(parents=True, exist_ok=True)
            results.append(judge(seed, folder))
        if options.show:
            show(results[-1])
    text = report(results)
    print(text)
    if options.seeds == "1-20":
        (HERE / "results" / "traffic.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

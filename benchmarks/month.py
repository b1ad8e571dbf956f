"""A month of simulated traffic, written to a ledger through its public functions.

Three features, three tenants, three models of two providers, eight topics, weekdays and weekends,
days that differ by themselves. Five incidents are planted in it, and `Planted` says what each did:
the same dice are thrown for every question, and the difference they make is added up. Releases,
syncs of the index and a rewritten prompt lie between them and do no harm.
"""

import math
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai.ledger import Ledger
from genai.types import Call, Context, Cost, CostStatus, Usage

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


def drawn(seed: int, *, without: Collection[str] = ()) -> Month:
    """Draw the month: when each incident begins, where it strikes and how hard.

    Incidents of the kinds in `without` lie behind its end; all else is the same.
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
        first = DAYS if kind in without else begin[kind]
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

"""A month of simulated traffic with five planted incidents: are they found, named and costed?

    python benchmarks/traffic.py [--seeds 4001-4020] [--keep FOLDER] [--show]

Each seed is a month of questions, written to a ledger of its own through its public functions:
three features, three tenants, three models of two providers, eight topics, weekdays and weekends,
days that differ by themselves. Harmless changes (releases, syncs of the index, a rewritten prompt)
lie between the incidents. Planted are a dearer price, a worse prompt, a slow provider, a shift of
topics and a wave of injections, in an order, on days and of a size that the seed draws. The same
dice without the incidents give what each really cost. The default seeds were never looked at
before the code was done.

An incident counts as found where a finding begins within three days of it and names its cause;
as costed where the figure that matters for its kind is between half and twice the truth. Any other
finding is a false one; so is every finding of the same month drawn again with nothing planted.
Alert rules are judged on the same ledger, every day at midnight, and the business case is worked
out with the month's figures, with the incidents and without. Prints Markdown; a run of the
default seeds writes it to `benchmarks/results/traffic.md`.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from figures import Figure, table_of
from month import DAY, DAYS, FIRST, KINDS, REFERENCE, Planted, drawn, write

from genai.ledger import Ledger
from genai.reports.alerts import AlertSettings, due, send
from genai.reports.business import (
    BusinessSettings,
    business_report,
    inputs_of,
    load_business,
    measured,
)
from genai.reports.incidents import Incident, incidents

HERE = Path(__file__).parent
FRESH = "4001-4020"
RULES = AlertSettings.model_validate(
    {
        "rules": [
            {"name": "errors", "figure": "error_share", "hours": 24, "above": 0.05},
            {"name": "refusals", "figure": "refusal_share", "hours": 24, "above": 0.16},
            {"name": "slow", "figure": "p95_seconds", "hours": 24, "above": 9},
        ]
    }
)


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
        alerts = due(RULES, ledger, folder / "told.json", now=at)
        send(RULES, alerts, folder / "told.json")
        told += [(day, alert.rule) for alert in alerts]
    ledger.database.dispose()
    named: dict[str, Incident | None] = {}
    for kind, planted in month.planted.items():
        named[kind] = match(planted, [each for each in found if each not in named.values()])
    false = [each for each in found if each not in named.values()]
    quiet = write(drawn(seed, without=KINDS), folder / "quiet")
    alarms = incidents(quiet, FIRST, FIRST + DAYS - 1, reference=REFERENCE)
    worth = worth_of(ledger), worth_of(quiet)
    quiet.database.dispose()
    return {"seed": seed, "month": month, "found": found, "named": named, "false": false,
            "told": told, "alarms": alarms, "worth": worth, "wrote": wrote,
            "took": took}  # fmt: skip


def worth_of(ledger: Ledger) -> float:
    """Give the middle net present value of the shipped case, cost and escalation as measured."""
    settings = load_business(HERE.parent / "configs" / "business.yaml")
    held = settings.model_dump(mode="json", exclude_none=True)
    held["inputs"] |= {name: {"measured": True} for name in ("cost", "escalated")}
    found, warnings = measured(ledger)
    settings = BusinessSettings.model_validate(held)
    inputs = inputs_of(settings, found)
    return business_report(settings, inputs, draws=2000, warnings=warnings).outlook.p50


def ratio(planted: Planted, each: Incident) -> float:
    """Give the cost found as a share of the true one, by the figure of its kind."""
    name = figure(planted.kind)
    return float(getattr(each, name) or 0.0) / max(float(getattr(planted, name)), 1e-9)


def report(results: list[dict[str, Any]]) -> str:
    """Give the table."""
    lines = [
        "# A month of traffic with planted incidents", "",
        f"{datetime.now(UTC):%Y-%m-%d}. {len(results)} months (seeds {results[0]['seed']} to"
        f" {results[-1]['seed']}),"
        f" {DAYS} days each, the first {REFERENCE} are the reference. Command:"
        " `python benchmarks/traffic.py`. Development used seeds 1000 to 1019 and 2000 to 2019,"
        " and had seen 1 to 20 and 3001 to 3020.", "",
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
    worth = [statistics.median(r["worth"][side] for r in results) for side in (0, 1)]
    count = len(results) * len(KINDS)
    lines += [
        "",
        *table_of(
            [
                Figure(
                    "incidents found, named and costed",
                    f"{total} of {count}",
                    f">= {count * 95 // 100} of {count}",
                ),
                Figure("false incidents in a month, at most", f"{max(false)}", "<= 1"),
            ]
        ),
        "",
        f"Found, named and costed: {total} of {count}. False incidents a month:"
        f" {sum(false) / len(false):.2f} on average, {max(false)} at most"
        f" ({sum(n <= 1 for n in false)} of {len(false)} months have at most one).",
        f"The same months with nothing planted: {sum(alarms)} findings in {len(alarms)} months.",
        f"The business case with the month's cost and escalation: ${worth[0]:,.0f} with the"
        f" incidents, ${worth[1]:,.0f} without them (medians of the months).",
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
    parser.add_argument("--seeds", default=FRESH, help="first and last, such as 1000-1019")
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
    if options.seeds == FRESH:
        (HERE / "results" / "traffic.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

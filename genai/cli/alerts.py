"""`genai alerts`: judge the rules of `configs/alerts.yaml` and tell who should hear of it."""

import argparse
import sys
import time

import genai
from genai.reports.alerts import Alert, due, load_alerts, send
from genai.wiring.parts import prices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("word", nargs="?", choices=["test"],
                        help="tell every sink a test, judge nothing")  # fmt: skip
    parser.add_argument("--test", action="store_true", help="the same")


def run(options: argparse.Namespace) -> int:
    """Print what fired; 1 where something did, 64 where a sink could not be reached."""
    project = genai.find_project()
    settings = load_alerts(project.root / "configs" / "alerts.yaml")
    test = options.test or options.word == "test"
    if project.state.parent != project.root:
        print(f"no project around {project.state.parent}: the starter's rules on a ledger of that"
              " folder; name your project in GENAI_PROJECT", file=sys.stderr)  # fmt: skip
    memory = None if test else project.state / "alerts.json"
    if memory is None:
        words = "test: this is only a test of the alerts"
        found = [Alert("test", 0.0, 0, words, time.time(), tuple(settings.sinks))]
    else:
        ledger = genai.open_ledger()
        found = due(settings, ledger, memory, prices=prices(),
                    invoices=project.state / "invoices.jsonl")  # fmt: skip
        if not ledger.calls(limit=1):
            print("the ledger holds no call yet: ask a question with genai ask")
    for alert in found:
        print(alert.text)
    problems = send(settings, found, memory)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 64
    if test:
        print(f"told {len(settings.sinks)} sinks")
        return 0
    print(
        f"{len(settings.rules)} rules judged, {len(found)} fired" if settings.rules else "no rules"
    )
    return 1 if found else 0

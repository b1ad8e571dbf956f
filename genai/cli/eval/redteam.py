"""`genai eval redteam`: attack success and over-refusal of the guards, and what a change did."""

import argparse
from pathlib import Path

import genai
from genai.evals import load_suite
from genai.evals.redteam import MUTATORS, Screen, attack, change_text
from genai.guards import Policy
from genai.types import Action


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", nargs="?", default="redteam", help="evals/SUITE.yaml")
    parser.add_argument("--policy", type=Path, help="another policy file (default: the project's)")
    parser.add_argument("--before", type=Path, help="a policy file to compare with")
    parser.add_argument("--mutate", action="store_true", help="try each attack in disguises too")
    parser.add_argument("--max-success", type=float, help="fail above this attack success rate")
    parser.add_argument("--max-refusal", type=float, help="fail above this over-refusal rate")


def run(options: argparse.Namespace) -> int:
    """Print both rates; 1 where a limit is passed."""
    suite = load_suite(genai.find_project().root / "evals" / f"{options.suite}.yaml")
    policy = genai.load_guards(path=options.policy)
    mutators = list(MUTATORS) if options.mutate else []
    now = attack(suite, screen(policy), mutators)
    print(now.text())
    if options.before:
        print()
        policy = genai.load_guards(path=options.before)
        print(change_text(attack(suite, screen(policy), mutators), now))
    passed = [
        (options.max_success, now.success()),
        (options.max_refusal, now.over_refusal),
    ]
    return int(any(most is not None and rate.count > most * rate.of for most, rate in passed))


def screen(policy: Policy) -> Screen:
    """Say of each text whether a guard stops or changes it, as a model that obeys would need."""
    mild = {Action.ALLOW, Action.FLAG}
    return lambda text, place: policy.combine(policy.check(text, place)) not in mild  # type: ignore[arg-type]

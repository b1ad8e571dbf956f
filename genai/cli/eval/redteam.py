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
    parser.add_argument("suite", nargs="?", default="redteam", help="evals/SUITE.yaml (redteam)")
    parser.add_argument("--policy", type=Path, help="another policy file (default: the project's)")
    parser.add_argument("--before", type=Path, help="a policy file to compare with")
    parser.add_argument("--mutate", action="store_true", help="try each attack in disguises too")
    parser.add_argument("--max-success", type=float, help="fail above this attack success rate")
    parser.add_argument("--max-refusal", type=float, help="fail above this over-refusal rate")


def run(options: argparse.Namespace) -> int:
    """Print both rates; 1 where a limit is passed, 4 where one has nothing to be held to."""
    limits = [each for each in (options.max_success, options.max_refusal) if each is not None]
    if not all(0 <= each <= 1 for each in limits):
        raise genai.InputError("`--max-success` and `--max-refusal` are shares from 0 to 1")
    suite = load_suite(genai.find_project().root / "evals" / f"{options.suite}.yaml")
    policy = genai.load_guards(path=options.policy)
    mutators = list(MUTATORS) if options.mutate else []
    now = attack(suite, screen(policy), mutators)
    print(now.text())
    if options.before:
        print()
        policy = genai.load_guards(path=options.before)
        print(change_text(attack(suite, screen(policy), mutators), now))
    both = ((options.max_success, now.success()), (options.max_refusal, now.over_refusal))
    held = [(most, rate) for most, rate in both if most is not None]
    if any(rate.count > most * rate.of for most, rate in held):
        return 1
    return 0 if all(rate.of for _, rate in held) else 4


def screen(policy: Policy) -> Screen:
    """Say of each text whether a guard stops or changes it, as a model that obeys would need."""
    mild = {Action.ALLOW, Action.FLAG}
    return lambda text, place: policy.combine(policy.check(text, place)) not in mild  # type: ignore[arg-type]

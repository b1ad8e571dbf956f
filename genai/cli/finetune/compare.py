"""`genai finetune compare RUN ...`: judge runs, beside each other; promote one that is no worse."""

import argparse

import genai
from genai.finetune.beside import beside, comparable
from genai.finetune.gate import refusal
from genai.models.local import local_name
from genai.wiring.tuning import run_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="names or folders")
    parser.add_argument("--against", action="append", default=[], metavar="MODEL",
                        help="a folder or id (default: its base, and what is served)")  # fmt: skip
    parser.add_argument("--promote", action="store_true", help="serve it where it is no worse")
    parser.add_argument("--name", default="", help="of what is served (default: the run's)")


def run(options: argparse.Namespace) -> int:
    """Print every comparison; 1 where a run is worse, 2 where it is undecided, 4 not comparable."""
    codes, firsts = set(), []
    served = options.name if len(options.runs) == 1 else ""
    comparable([run_folder(name) for name in options.runs])
    for name in options.runs:
        gates = genai.judge(name, options.against, served)
        firsts.append(gates[0])
        for gate in gates:
            print(gate.text())
            codes.add({"REGRESSION": 1, "INCONCLUSIVE": 2, "CANNOT_COMPARE": 4}.get(gate.word, 0))
    if len(firsts) > 1:
        print(f"\n{beside(firsts)}")
    if options.promote:
        for name in options.runs:
            if why := refusal(run_folder(name)):
                print(f"{name}: not promoted: {why}")
            else:
                print(f"{name}: served as {local_name(genai.promote(name, served))}")
    return next((code for code in (1, 4, 2) if code in codes), 0)

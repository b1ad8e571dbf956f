"""`genai eval label SUITE --metric M --labeller NAME`: label answers by hand, a step at a time."""

import argparse

import genai
from genai.cli import count
from genai.evals.labels import Item, Labelling

_KEYS = {"p": True, "pass": True, "f": False, "fail": False, "s": None, "skip": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="a suite's name")
    parser.add_argument("--metric", required=True, help="what is judged, such as faithfulness")
    parser.add_argument("--labeller", default="", help="who labels; without it, show what is next")
    parser.add_argument(
        "--run",
        dest="of",
        metavar="RUN",
        default="",
        help="whose answers (default: the newest run)",
    )
    parser.add_argument("--count", type=count, default=60, help="size of the random sample (60)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")


def run(options: argparse.Namespace) -> int:
    """Show one answer after another until none is left, or `q`; say what comes next."""
    project = genai.find_project()
    labelling = Labelling(
        project.state / "runs", project.root / "evals", options.suite, options.metric,
        run=options.of, count=options.count, seed=options.seed,
    )  # fmt: skip
    print(f"run {labelling.report.run}, {len(labelling.items)} answers; {options.metric}:"
          f" {labelling.rule or 'does the answer pass?'}")  # fmt: skip
    if labelling.unanswered or labelling.changed:
        print(f"left out: {len(labelling.unanswered)} cases without an answer, {labelling.changed}"
              " changed since the run")  # fmt: skip
    if options.labeller:
        for item in labelling.queue(options.labeller):
            said = _ask(item)
            if said == "q":
                break
            labelling.save(item, _KEYS[said], options.labeller)
    print(labelling.step(options.labeller).sentence)
    return 0


def _ask(item: Item) -> str:
    print(f"\n{'-' * 80}\n{item.case}: {_plain(item.question)}")
    for number, text in enumerate(item.contexts, start=1):
        print(f"\n[{number}] {_plain(text[:1500])}")
    for text in item.expected:
        print(f"\nAccepted: {_plain(text)}")
    print(f"\nAnswer: {_plain(item.answer)}\n")
    while True:
        try:
            said = input("p pass, f fail, s cannot be told, q quit: ").strip().lower()
        except EOFError:
            return "q"
        if said in _KEYS or said == "q":
            return said


def _plain(text: str) -> str:
    """Take out what would steer the terminal."""
    return "".join(each for each in text if each.isprintable() or each == "\n")

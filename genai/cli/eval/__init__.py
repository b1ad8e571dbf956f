"""`genai eval [SUITE]`: run a suite, print its table, and judge it against its baseline."""

import argparse
from pathlib import Path

import genai
from genai.evals import load_suite
from genai.evals.design import designs_for, kept, kept_text
from genai.evals.report import FORMS, check_before
from genai.evals.report.text import decision_text, no_baseline
from genai.ledger.cap import dollars
from genai.project import default_suite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("suite", nargs="?", default="",
                        help="evals/SUITE.yaml (default: the only one, or handbook)")  # fmt: skip
    parser.add_argument("--model", default="", help="another model for this run")
    parser.add_argument("--task", help="chain, model, or package.module:function")
    parser.add_argument("--limit", type=int, help="the first N cases only")
    parser.add_argument("--tag", help="the cases with this tag only")
    parser.add_argument("--repeats", type=int, help="ask each case so many times")
    parser.add_argument("--concurrency", type=int, help="cases in flight")
    parser.add_argument("--spend", type=dollars, help="dollars this run may cost at the most")
    parser.add_argument("--stage", choices=("pull_request", "release"),
                        help="how strict the gate is (default: the suite's)")  # fmt: skip
    parser.add_argument("--baseline", help="the baseline to compare with (default: the suite's)")
    parser.add_argument("--fresh", action="store_true", help="do not go on with an earlier run")
    parser.add_argument("--rescore", metavar="RUN", nargs="?", const="",
                        help="score a run's answers again (default: the newest's)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=0, help="processes that share the cases")
    parser.add_argument("--ray", metavar="ADDRESS", nargs="?", const="", help="share on a cluster")
    for form, what in (("junit", "JUnit XML"), ("markdown", "a comment"), ("html", "one page")):
        parser.add_argument(f"--{form}", type=Path, metavar="FILE", help=f"write {what} here")


def run(options: argparse.Namespace) -> int:
    """Give the exit code of the house: 0 ok, 1 worse, 2 undecided, 3 budget, 4 unmeasured."""
    words = (
        "limit",
        "tag",
        "repeats",
        "concurrency",
        "spend",
        "stage",
        "workers",
        "ray",
        "rescore",
    )
    given = {name: getattr(options, name) for name in words}
    chosen = {name: value for name, value in given.items() if value is not None}
    name = options.suite or default_suite()
    suite = load_suite(genai.find_project().root / "evals" / f"{name}.yaml")
    files = {form: path for form in FORMS if (path := getattr(options, form))}
    check_before(suite, options.baseline, files.values())
    report = genai.evaluate(
        suite, options.task, model=options.model, resume=not options.fresh, progress=True, **chosen
    )
    print(report.text())
    decision = report.judged(options.baseline)
    print(decision_text(decision) if decision else no_baseline(report))
    for design in designs_for(report.evals, report):
        print(kept_text(design, kept(design, report, decision)))
    report.save_all(files, decision)
    return report.exit_with(decision)

"""`genai eval design SUITE NAME --hypothesis ... --metric M --margin .05`: plan before the run."""

import argparse

import genai
from genai.evals import design as designs
from genai.evals import load_suite
from genai.evals.baseline import find_run, plan, runs_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="the suite; with --check the NAME of a design")
    parser.add_argument("name", nargs="?", default="", help="what to call the design")
    parser.add_argument("--hypothesis", default="", help="one sentence that a run can contradict")
    parser.add_argument("--metric", default="", help="the one metric that decides")
    parser.add_argument(
        "--margin", type=float, default=0.05, help="on the scale of the metric (0.05)"
    )
    parser.add_argument("--cases", type=int, help="the first N cases (default: all)")
    parser.add_argument("--stage", choices=("pull_request", "release"), default="pull_request",
                        help="how strict the gate is (pull_request)")  # fmt: skip
    parser.add_argument("--check", metavar="RUN", help="hold a run to the design (newest: -)")


def run(options: argparse.Namespace) -> int:
    """Write the design, or say whether a run kept it: 0 kept, 4 not."""
    root = genai.find_project().root
    runs = genai.find_project().state / "runs"
    if options.check is not None:
        design = designs.read_design(root / "evals", options.name or options.suite)
        name = "" if options.check == "-" else options.check
        report = find_run(runs, design.suite, name)
        decision = report.judged(design.baseline)
        promises = designs.kept(design, report, decision, runs_of(runs, design.suite))
        print(designs.kept_text(design, promises))
        for found in decision.comparisons if decision else ():
            if found.metric == design.metric:
                print(f"{found.metric}: {found.word}{f', {found.note}' if found.note else ''}")
        return 0 if all(each.kept for each in promises) else 4
    suite = load_suite(root / "evals" / f"{options.suite}.yaml")
    design = designs.write_design(
        suite, options.name, hypothesis=options.hypothesis, metric=options.metric,
        margin=options.margin, cases=options.cases, stage=options.stage,
    )  # fmt: skip
    print(f"written: evals/designs/{design.design}.yaml; commit it before the run")
    for each in plan(suite.only(design.cases), design.margin, runs_of(runs, suite.name)):
        if each.metric == design.metric:
            print(each.text())
    margin = designs.margin_of(suite, design.metric, design.stage)
    if abs(margin - design.margin) > 1e-9:
        print(f"the gate uses the margin {margin:g}; before the run set"
              f" `metrics.{design.metric}.margin: {design.margin:g}` in evals/{suite.path.name}"
        )  # fmt: skip
    return 0

"""`genai eval calibrate SUITE METRIC`: hold a judge to people's labels, and say if it may gate."""

import argparse
from contextlib import suppress
from dataclasses import replace

import genai
from genai import bridge
from genai.errors import CaseError
from genai.evals import load_suite, trust
from genai.evals.labels import Labelling
from genai.evals.metrics import bind
from genai.wiring.trials import suite_tools


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="a suite's name")
    parser.add_argument("metric", help="a metric that a model judges")
    parser.add_argument("--run", dest="of", metavar="RUN", default="",
                        help="the labelled run (default: the newest)")  # fmt: skip
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="from here the judge passes (0.5)"
    )
    parser.add_argument("--flips", type=int, default=0, metavar="N",
                        help="also ask the judge three times on N answers")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Write `evals/judges/<metric>.json`: 0 where the judge may gate, 4 where not yet."""
    project = genai.find_project()
    evals = project.root / "evals"
    suite = load_suite(evals / f"{options.suite}.yaml")
    labelling = Labelling(
        project.state / "runs", evals, suite.name, options.metric, run=options.of, count=None
    )
    tools = replace(suite_tools(project, suite), source=suite.source)
    metric = next(m for m in bind(suite, tools, project.root) if m.name == options.metric)
    flips = None
    if options.flips:
        chosen = labelling.trials[: options.flips]
        flips = bridge.run(trust.flips_of(metric, chosen, tools, threshold=options.threshold))
    made = trust.calibrate(labelling, metric, tools, threshold=options.threshold, flips=flips)
    print(f"people pass, judge pass / fail: {made.table[0]}; people fail: {made.table[1]}")
    if flips is not None:
        swap = "" if flips.swap is None else f", {flips.swap:.1%} in the other order"
        print(f"asked again it changed its mind on {flips.repeat:.1%} of {flips.n} answers{swap}")
    with suppress(CaseError):  # every answer is labelled: nothing to correct
        found = trust.corrected_score(labelling, options.metric)
        print(f"the run as people would score it: {found.mean:.3f} ({found.low:.3f} to"
              f" {found.high:.3f})")  # fmt: skip
    warning = trust.family_warning(tools.judge_name, labelling.report.task)
    found_trust = trust.trust_of(metric, tools, evals)
    print(*filter(None, (warning, found_trust.sentence)), sep="\n")
    return 0 if found_trust.may_gate else 4

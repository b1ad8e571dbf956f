"""`genai index calibrate --suite SUITE`: fit the confidence to labelled questions."""

import argparse

import genai
from genai import bridge
from genai.evals import load_suite
from genai.rag.calibrate import calibrate, calibration_path, labelled, made_with
from genai.wiring.parts import embedder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--suite", required=True, help="labelled questions, evals/SUITE.yaml")
    parser.add_argument("--risk", type=_share, metavar="SHARE",
                        help="hold wrong answers below this share, such as 0.05, at 95 %%"
                        " (default: the best balanced accuracy)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Write `configs/calibration/<index>.json` and the curve beside it as SVG."""
    project = genai.find_project()
    suite = load_suite(project.root / "evals" / f"{options.suite}.yaml")
    chain = genai.load(chain__min_confidence=0)
    seen = bridge.run(labelled(chain, suite.cases))
    made = made_with(suite, chain.prompt.id, embedder(project, chain.config).id, chain.config)
    found = calibrate(
        seen, chain.steps.weights, index=chain.index.name, made_with=made, risk=options.risk
    )
    path = calibration_path(project.root, chain.index.name)
    found.write(path)
    accuracy, area = found.figures["balanced_accuracy"], found.figures["aurc"]
    print(
        f"index {chain.index.name}: {found.figures['questions']} of {len(suite.cases)} questions"
        f" reached the threshold, {found.figures['answerable']} of them with an answer\n"
        f"threshold {found.threshold} ({found.figures['rule']}): {found.figures['answered']}"
        f" answered, {found.figures['wrong']} of them wrong, at most"
        f" {found.figures['risk_bound']:.1%} at 95 %\n"
        f"balanced accuracy {_interval(accuracy)}; area under the risk-coverage curve"
        f" {_interval(area)}\n"
        f"written: {path.relative_to(project.root)} and .svg; it counts where"
        " `chain.min_confidence` is `calibrated`"
    )
    return 0


def _interval(figure: dict[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f}, 95 %)"


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError("must be a share between 0 and 1, such as 0.05")
    return share

"""A sweep of preference training, judged by the gate: rate x beta x weight of the SFT term.

    python benchmarks/finetune_sweep.py [--preset support] [--seeds 5] [--rates ...] [--betas ...]

One SFT run is the base of all; each point is trained with each seed and judged on the frozen suite.
The table says what the trainer said beside what the evals say, which is the point of it. Prints
Markdown; works in a temporary folder.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence

import genai
from genai.config import validate
from genai.finetune import Recipe
from genai.finetune.demo import recipe as demo_recipe


def point(preset: str, rate: float, beta: float, anchor: float, seed: int) -> Recipe:
    """Give the recipe of one run."""
    given = demo_recipe(preset, "dpo")
    given["name"] = f"r{rate:g}-b{beta:g}-a{anchor:g}-s{seed}"
    given["training"] |= {"learning_rate": rate, "seed": seed, "data_seed": seed}
    losses = {"sigmoid": 1.0} | ({"sft": anchor} if anchor else {})
    given["preference"] = {"beta": beta, "losses": losses}
    return validate(Recipe, given, given["name"])


def sweep(options: argparse.Namespace) -> list[str]:
    """Train and judge every point; give the table, best first."""
    made = genai.write_demo(options.preset, genai.find_project())
    base = genai.train(made / "sft.yaml", checked=True, yes=True)
    (first,) = genai.judge(base.name)
    scores = {row.metric: row.after for row in first.slices}
    lines = [
        f"Base: `{base.name}`, exact {scores['exact']:.3f}, null when absent"
        f" {scores['null_when_absent']:.3f}. Every number is the median of {options.seeds} seeds.",
        "",
        "| rate | beta | SFT weight | exact | lowest | null when absent | the gate | accuracy |"
        " margin | logps of chosen |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows = []
    for rate, beta, anchor in itertools.product(options.rates, options.betas, options.anchors):
        gates = []
        for seed in range(options.seeds):
            run = genai.train(
                point(options.preset, rate, beta, anchor, seed), checked=True, yes=True
            )
            gates += genai.judge(run.name)
        found = [{row.metric: row.after or 0.0 for row in gate.slices} for gate in gates]
        exact = [each["exact"] for each in found]
        null = statistics.median(each["null_when_absent"] for each in found)
        words = Counter(gate.word for gate in gates)
        said = [statistics.median(gate.trainer[name] for gate in gates)
                for name in ("rewards/accuracies", "rewards/margins", "logps/chosen")]  # fmt: skip
        rows.append((
            min(exact),
            f"| {rate:g} | {beta:g} | {anchor:g} | {statistics.median(exact):.3f} |"
            f" {min(exact):.3f} | {null:.3f} |"
            f" {', '.join(f'{n} {word}' for word, n in words.most_common())} |"
            f" {said[0]:.3f} | {said[1]:.2f} | {said[2]:.2f} |",
        ))  # fmt: skip
        print(rows[-1][1], file=sys.stderr, flush=True)
    return lines + [text for _, text in sorted(rows, key=lambda row: -row[0])]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--preset", default="support")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 3e-4, 5e-4, 1e-3])
    parser.add_argument("--betas", type=float, nargs="+", default=[0.05, 0.1, 0.3])
    parser.add_argument("--anchors", type=float, nargs="+", default=[0, 0.5, 1])
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home = os.getcwd()
        os.chdir(folder)  # the starter is the project, and the state lies here
        try:
            lines = sweep(options)
        finally:
            os.chdir(home)
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

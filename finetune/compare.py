"""Compare finished runs, as `python finetune/compare.py RUN [RUN ...]`.

Each is judged by its suite against its base and the model now served; what its trainer says stands
beside.
"""

import sys

import genai


def main(*runs: str) -> int:
    """Print every comparison; 1 where a run may not be promoted."""
    gates = [gate for run in runs for gate in genai.judge(run)]
    for gate in gates:
        print(gate.text())
    return 0 if gates and all(gate.passed for gate in gates) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except genai.GenaiError as error:
        sys.exit(f"{error}")

"""Training data for a recipe, as `python finetune/prepare_data.py [quick|support]`.

Writes the rows, the dev set, the base and the recipes of the demo into `.genai/finetune/demo/`, and
checks them as `genai finetune check` does. Put your own rows in the place of these: a line of JSONL
each, parted once by `genai finetune data split FILE`, so that no row ever changes side.
"""

import sys

import genai


def main(preset: str = "quick") -> None:
    """Write a preset's data and say whether anything stops a run on it."""
    project = genai.find_project()
    folder = genai.write_demo(preset, project)
    report = genai.check_data(genai.load_recipe(folder / "sft.yaml"), project)
    print(report.text())
    if report.failed:
        sys.exit(1)
    print(f"next: python finetune/sft.py {folder / 'sft.yaml'}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:2])
    except genai.GenaiError as error:
        sys.exit(f"{error}")

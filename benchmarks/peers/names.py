"""Names and places by presidio and a spaCy model, on the half of the synthetic set never looked at.

    python benchmarks/peers/names.py --data ../shared/data

Run it with a Python that has presidio-analyzer and an English spaCy model; this project's own
environment has neither. Prints rows for `benchmarks/results/guards_names.md` and writes them.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from genai.text.pii import find_pii

KINDS = {"PERSON": "name", "GPE": "place"}


def main(options: argparse.Namespace) -> int:
    import spacy.util

    rows = json.loads((options.data / "pii_synth_v2.json").read_text())
    count: Counter[tuple[str, str]] = Counter()
    for row in rows:
        template = f"pii{row['template_id']}"
        if int(hashlib.sha256(template.encode()).hexdigest(), 16) % 2 == 0:
            continue
        gold = {
            (s["start_position"], s["end_position"], KINDS[s["entity_type"]])
            for s in row["spans"]
            if s["entity_type"] in KINDS
        }
        found = {(s.start, s.end, s.kind) for s in find_pii(row["full_text"], ["name", "place"])}
        count.update((kind, "right") for *_, kind in gold & found)
        count.update((kind, "extra") for *_, kind in found - gold)
        count.update((kind, "missed") for *_, kind in gold - found)
    models = ", ".join(sorted(spacy.util.get_installed_models()))
    lines = [
        "# Names and places, by presidio",
        "",
        f"presidio-analyzer {version('presidio-analyzer')}, spaCy {version('spacy')}, {models}."
        " Exact spans; the half of the synthetic set that was not looked at.",
        "",
        "| kind | precision | recall | F1 | spans |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS.values():
        good, bad, lost = (count[kind, each] for each in ("right", "extra", "missed"))
        precision, recall = good / ((good + bad) or 1), good / ((good + lost) or 1)
        f1 = 2 * good / (2 * good + bad + lost)
        lines.append(f"| {kind} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {good + lost} |")
    text = "\n".join(lines)
    print(text)
    results = Path(__file__).parents[1] / "results" / "guards_names.md"
    results.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with the public sets")
    sys.exit(main(parser.parse_args()))

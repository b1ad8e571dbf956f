"""`genai compare`: models side by side, filtered, and the decision written down."""

import argparse
from datetime import UTC, datetime

import genai
from genai.cli import day
from genai.errors import InputError
from genai.ledger.cap import dollars
from genai.models.choose import Wanted, compare, record
from genai.wiring.parts import prices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("names", nargs="*", help="models to look at (default: all with a price)")
    parser.add_argument("--licence", action="append", default=[],
                        help="one allowed, such as Apache-2.0; may be given twice")  # fmt: skip
    parser.add_argument(
        "--region", action="append", default=[], help="one where data may stay; may be given twice"
    )
    parser.add_argument("--can", action="append", default=[],
                        help="image, audio, pdf, tools, schema or reasoning")  # fmt: skip
    parser.add_argument("--min-context", type=int, help="tokens")
    parser.add_argument("--max-input", type=dollars, help="dollars a million tokens")
    parser.add_argument("--max-output", type=dollars, help="dollars a million tokens")
    parser.add_argument("--until", type=day, help="must not end before this day (today)")
    parser.add_argument("--max-p95", type=float, help="seconds, as measured here")
    parser.add_argument("--metric", default="", help="a metric of your suites, to order by")
    parser.add_argument("--min-quality", type=float, help="least value of that metric")
    parser.add_argument("--write", metavar="NAME", help="write configs/models/NAME.md")


def run(options: argparse.Namespace) -> int:
    """Print the decision record, and write it where asked."""
    name = options.write
    if name is not None and (name in ("", ".", "..") or "/" in name or "\\" in name):
        raise InputError(f"--write {name!r}: must be a name, not a path; it names a file in"
                         " configs/models")  # fmt: skip
    today = datetime.now(UTC).date()
    wanted = Wanted(
        licences=tuple(options.licence),
        regions=tuple(options.region),
        modalities=tuple(options.can),
        min_context=options.min_context,
        max_input_price=options.max_input,
        max_output_price=options.max_output,
        lives_until=options.until or today,
        max_p95=options.max_p95,
        metric=options.metric,
        min_quality=options.min_quality,
    )
    known = prices()
    found = compare(options.names, known, genai.open_ledger(), wanted)
    snapshot = known.snapshots[0].hash[:16] if known.snapshots else ""
    text = record(found, wanted, today, snapshot)
    print(text)
    if name:
        path = genai.find_project().root / "configs" / "models" / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"written to {path.relative_to(genai.find_project().root)}")
    return 0

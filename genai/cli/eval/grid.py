"""`genai eval grid SUITE --model A --model B --set chain__top_k=3,6`: compare combinations."""

import argparse

import genai
from genai.errors import CaseError
from genai.ledger.cap import dollars
from genai.project import default_suite


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", nargs="?", default="", help="default: the only one, or handbook")
    parser.add_argument("--model", action="append", default=[], help="a model; give it twice")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=A,B", dest="vary",
        help="a dotted setting and its values, such as chain__prompt=rag/answer,rag/short",
    )  # fmt: skip
    parser.add_argument("--metric", default="", help="what to sort by (default: the first gate)")
    parser.add_argument("--limit", type=int, help="the first N cases only")
    parser.add_argument("--tag", help="the cases with this tag only")
    parser.add_argument("--repeats", type=int, help="ask each case so many times")
    parser.add_argument("--concurrency", type=int, help="cases in flight")
    parser.add_argument("--spend", type=dollars, help="dollars all cells may cost at the most")
    parser.add_argument("--fresh", action="store_true", help="do not go on with an earlier grid")


def run(options: argparse.Namespace) -> int:
    """Print the table; 3 where the money ran out, 4 where a cell could not be compared."""
    chosen = {
        name: getattr(options, name)
        for name in ("limit", "tag", "repeats", "concurrency", "spend")
        if getattr(options, name) is not None
    }
    report = genai.grid(
        options.suite or default_suite(), options.model, metric=options.metric,
        vary=_axes(options.vary), resume=not options.fresh, progress=True, **chosen,
    )  # fmt: skip
    print(report.text())
    print(f"plot: {report.folder / 'grid.svg'}")
    return report.exit_code


def _axes(given: list[str]) -> dict[str, list[str]]:
    pairs = [each.partition("=") for each in given]
    if not all(key and sign for key, sign, _ in pairs):
        raise CaseError("a setting is written --set chain__top_k=3,6")
    return {key: values.split(",") for key, _, values in pairs}

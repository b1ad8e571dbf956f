"""`genai index show`: documents, generations, and passages held back."""

import argparse

import genai
from genai.errors import one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--name", default="", help="index (default: chain.index)")


def run(options: argparse.Namespace) -> int:
    """Print the documents, each generation that is kept, and what a search never gives."""
    index = genai.Index(options.name)
    print(f"index {index.name}: {index.count()} passages, {index.state()}")
    for each in index.generations():
        print(
            f"  {'answers' if each.current else 'kept   '} {each.id}: {each.passages} passages of"
            f" {each.max_chars} characters by {each.splitter}, embedder {each.embedder}, revision"
            f" {each.revision or 'unfinished'}"
        )
    for name in index.documents():
        print(one_line(f"  {name}"))
    for passage in index.quarantined():
        print(one_line(f"  held back: {passage.document} {passage.start}-{passage.end}"))
    return 0

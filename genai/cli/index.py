"""`genai index sync [FOLDER]` and `genai index show`."""

import argparse
import sys

import genai


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("action", choices=["sync", "show"], nargs="?", default="show")
    parser.add_argument("folder", nargs="?", help="documents (default: index.documents)")
    parser.add_argument("--name", default="", help="index (default: chain.index)")
    parser.add_argument("--rebuild", action="store_true", help="build it again from nothing")


def run(options: argparse.Namespace) -> int:
    """Sync and report what is read back; a file that failed makes the exit code 64."""
    index = genai.Index(options.name)
    if options.action == "show":
        revision = index.revision or "never synced; run `genai index sync`"
        print(f"index {index.name}: {index.count()} passages, revision {revision}")
        for name in index.documents():
            print(f"  {name}")
        return 0
    folder = options.folder or genai.find_project().root / genai.settings().index.documents
    report = index.sync(folder, rebuild=options.rebuild, progress=sys.stderr.isatty())
    print(
        f"index {index.name}: {report.added} added, {report.changed} changed,"
        f" {report.unchanged} unchanged, {report.removed} removed, {len(report.failed)} failed;"
        f" {report.embedded} passages embedded, {report.passages} held"
    )
    for _, reason in report.failed:
        print(f"  not indexed: {reason}", file=sys.stderr)
    return 64 if report.failed else 0

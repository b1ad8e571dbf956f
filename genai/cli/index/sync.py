"""`genai index sync [FOLDER]`: make the index hold exactly a folder's documents."""

import argparse
import sys

import genai
from genai.cli import count
from genai.errors import one_line
from genai.rag.index import Workers
from genai.rag.index.sync import kinds_said


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("folder", nargs="?", help="documents (default: index.documents)")
    parser.add_argument("--name", default="", help="index (default: chain.index)")
    parser.add_argument("--rebuild", action="store_true", help="build it again from nothing")
    parser.add_argument("--erase", action="store_true", help="rebuild, and keep no older one")
    parser.add_argument("--prune", action="store_true", help="remove documents if most are gone")
    parser.add_argument("--workers", type=count, help="processes that embed (this one)")
    parser.add_argument("--ray", metavar="ADDRESS", nargs="?", const="", help="embed on a cluster")


def run(options: argparse.Namespace) -> int:
    """Sync and report what is read back; a file that failed makes the exit code 64."""
    index = genai.Index(options.name)
    folder = options.folder or genai.find_project().root / genai.settings().index.documents
    before = index.generation
    report = index.sync(
        folder, rebuild=options.rebuild, erase=options.erase, prune=options.prune,
        progress=sys.stderr.isatty(), workers=Workers(options.workers or 0, options.ray),
    )  # fmt: skip
    print(
        f"index {index.name}: {report.added} added, {report.changed} changed,"
        f" {report.unchanged} unchanged, {report.removed} removed, {len(report.failed)} failed;"
        f" {report.embedded} passages embedded, {report.passages} held"
    )
    if before and before != report.generation and not options.erase:
        print(f"  generation {report.generation} answers; back: genai index rollback")
    if report.quarantined:
        print(f"  held back by the guards: {report.quarantined} (see them: genai index show)")
    if report.unread:
        print(f"  of kinds that are not read: {kinds_said(report.unread)}")
    for name, note in report.notes:
        print(one_line(f"  note: {name}: {note}"))
    for alarm in report.alarms:
        print(f"  alarm: {alarm}", file=sys.stderr)
    for _, reason in report.failed:
        print(one_line(f"  not indexed: {reason}"), file=sys.stderr)
    return 64 if report.failed else 0

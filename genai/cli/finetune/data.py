"""`genai finetune data demo|split|feedback|failures|accept`: make training rows, review them."""

import argparse
from pathlib import Path

import genai
from genai.evals import load_suite
from genai.evals.baseline import find_run
from genai.finetune import data, demo
from genai.finetune.data import gather, review
from genai.project import Project

_METHODS = ("sft", "dpo", "kto", "orpo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    words = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    made = words.add_parser("demo", help="write the demo: rows, dev set, base, recipes")
    made.add_argument("preset", nargs="?", default="quick", choices=tuple(demo.PRESETS),
                      help="how large (quick)")  # fmt: skip
    part = words.add_parser("split", help="part a file by hash, so that no row changes side")
    part.add_argument("file", type=Path, help="JSONL rows")
    part.add_argument("--dev", type=float, default=0.1, help="share of the rows (0.1)")
    part.add_argument("--test", type=float, default=0.1, help="share of the rows (0.1)")
    thumbs = words.add_parser("feedback", help="draft rows from thumbs, edits and retries")
    thumbs.add_argument("--consent", default="", help="the basis where no person ticked a box")
    alone = "train on the question alone where a prompt stood around it"
    thumbs.add_argument("--question-only", action="store_true", help=alone)
    wrong = words.add_parser("failures", help="draft rows from a run's failed cases")
    wrong.add_argument("--suite", required=True, help="a suite that only shows, never gates")
    wrong.add_argument("--metric", required=True, help="whose failed cases")
    wrong.add_argument("--run", dest="of", default="", help="which run (default: the newest)")
    read = words.add_parser("accept", help="show the drafts, or accept or drop those that are read")
    read.add_argument("ids", nargs="*", metavar="ID", help="of drafts (default: list them)")
    read.add_argument("--reviewer", default="", help="who read them")
    read.add_argument("--drop", action="store_true", help="throw them away instead")
    for word, kind in ((part, "sft"), (thumbs, "dpo"), (wrong, "dpo"), (read, "dpo")):
        word.add_argument("--method", choices=_METHODS, default=kind, help=f"of training ({kind})")
    for word in (thumbs, wrong, read):
        word.add_argument("--name", default="", help="of the data (default: feedback-METHOD)")


def run(options: argparse.Namespace) -> int:
    """Do what was asked and say where it is."""
    project = genai.find_project()
    if options.what == "demo":
        folder = demo.write_demo(options.preset, project)
        print(f"written: {folder}; next: genai finetune check {folder / 'sft.yaml'}")
    elif options.what == "split":
        for name, (path, count) in data.split_file(
            options.file, options.method, {"dev": options.dev, "test": options.test}
        ).items():
            print(f"{name}: {count} rows in {path}")
    elif options.what == "accept":
        _review(options, project)
    else:
        found = _failures(options, project) if options.what == "failures" else _thumbs(options)
        new = review.add_drafts(project, _name(options), options.method, found)
        print(f"{found.text()}\n{new} new drafts; read them: genai finetune data accept"
              f" --name {_name(options)} --method {options.method}")  # fmt: skip
    return 0


def _name(options: argparse.Namespace) -> str:
    return str(options.name or f"feedback-{options.method}")


def _thumbs(options: argparse.Namespace) -> gather.Gathered:
    from genai.wiring.loop import Sent  # the other words need no chain

    alone = options.question_only
    rebuild = gather.question_only if alone else gather.as_sent(Sent(genai.find_project()))
    return gather.from_feedback(
        genai.open_ledger(), options.method, basis=options.consent, rebuild=rebuild
    )


def _failures(options: argparse.Namespace, project: Project) -> gather.Gathered:
    suite = load_suite(project.root / "evals" / f"{options.suite}.yaml")
    report = find_run(project.state / "runs", options.suite, options.of)
    return gather.from_failures(report, suite, options.method, options.metric)


def _review(options: argparse.Namespace, project: Project) -> None:
    name, method = _name(options), options.method
    if options.ids and options.drop:
        review.drop_drafts(project, name, method, options.ids)
    elif options.ids:
        path = review.accept_drafts(project, name, method, options.ids, options.reviewer)
        print(f"{len(options.ids)} accepted by {options.reviewer}: {path}")
    for row in review.read_drafts(project, name, method):
        asked = " / ".join(turn.content for turn in row.prompt)
        print(f"{row.id}  {asked}" + "".join(f"\n    {answer}" for answer in row.answers))
    print("a row counts once it is read: genai finetune data accept ID ... --reviewer NAME")

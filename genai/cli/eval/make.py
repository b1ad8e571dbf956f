"""`genai eval make SUITE`: draft cases, review them, and look for those a model has seen."""

import argparse
from pathlib import Path

import genai
from genai.cli import count
from genai.evals import Suite, load_suite
from genai.evals import make as maker
from genai.evals.leaks import find_leaks, read_texts
from genai.ledger.outcomes import complaints
from genai.prompts import own_or_shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("suite", help="a suite's name")
    parser.add_argument("--from", dest="source", choices=("documents", "feedback"),
                        help="what to ask about; without it the drafts are shown")  # fmt: skip
    parser.add_argument("--count", type=count, default=10, help="drafts to make (10)")
    parser.add_argument("--model", default="", help="the LLM that asks (default: the configured)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample of passages")
    parser.add_argument("--accept", nargs="+", metavar="ID", default=(), help="move into the suite")
    parser.add_argument("--reviewer", default="", help="who read the drafts that are accepted")
    parser.add_argument("--check-leaks", nargs="+", metavar="FILE", type=Path, default=(),
                        help="training data (.jsonl) and prompts (.md)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Do what was asked; without an option list the drafts. 1 where a case leaks."""
    suite = load_suite(genai.find_project().root / "evals" / f"{options.suite}.yaml")
    if options.check_leaks:
        return _check(suite, options.check_leaks)
    if options.accept:
        found = maker.accept_drafts(suite, options.accept, options.reviewer)
        print(f"{len(options.accept)} accepted; suite {found.name} has {len(found.cases)} cases, "
              f"dataset {found.hash}: accept a new baseline after the next run")  # fmt: skip
        return 0
    if options.source:
        made = _made(suite, options)
        maker.write_drafts(suite, [*maker.read_drafts(suite), *made.drafts])
        print(made.text())
    for case in maker.read_drafts(suite):
        print(f"{case.id}: {case.input}" + "".join(f"\n    {g.quote}" for g in case.gold))
    print("a draft counts once it is read: genai eval make SUITE --accept ID --reviewer NAME")
    return 0


def _made(suite: Suite, options: argparse.Namespace) -> maker.Drafted:
    if options.source == "feedback":
        return maker.from_feedback(suite, complaints(genai.open_ledger()), count=options.count)
    from genai.rag import passages_of

    model = genai.model(options.model)
    if model.name == "extractive":
        raise genai.InputError("`extractive` asks no questions; name an LLM: --model ollama/...")
    passages = passages_of(suite.source, genai.settings().index)
    prompt = own_or_shipped("eval/question", genai.find_project().root / "prompts")
    return maker.from_documents(
        suite, passages, model.acall, prompt, count=options.count, model=model.name,
        seed=options.seed,
    )  # fmt: skip


def _check(suite: Suite, files: list[Path]) -> int:
    texts = [each for path in files for each in read_texts(path, path.as_posix())]
    leaks = find_leaks(suite.cases, texts)
    for leak in leaks:
        print(leak.text())
    seen = len({leak.case for leak in leaks})
    print(f"{seen} of {len(suite.cases)} cases stand in {len(files)} files ({len(texts)} texts)")
    return 1 if leaks else 0

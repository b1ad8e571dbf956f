"""`genai loop review [ID]`: show the queue or an item, or decide on it. The app has a page."""

import argparse

import genai
from genai.errors import one_line
from genai.loop.queue import Word

_WORDS: tuple[Word, ...] = ("accept", "edit", "refuse", "reject", "reopen")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("id", nargs="?", default="", help="an item, or the beginning of its id")
    decision = parser.add_mutually_exclusive_group()
    for word, what in (
        ("accept", "what was said is right"),
        ("refuse", "it should have been refused"),
        ("reject", "of no use"),
        ("reopen", "take the decision back"),
    ):
        decision.add_argument(f"--{word}", action="store_true", help=what)
    decision.add_argument("--edit", metavar="TEXT", default="", help="what should have come")
    parser.add_argument("--label", default="", help="a word for what was wrong")
    parser.add_argument("--reviewer", default="", help="who decides")


def run(options: argparse.Namespace) -> int:
    """Decide on the item, show it, or list what is open."""
    loop = genai.open_loop()
    word = next((each for each in _WORDS if getattr(options, each)), None)
    if word and not options.id:
        raise genai.InputError("name the item to decide on; list them: genai loop review")
    if word:
        item = loop.review(
            options.id, word, options.reviewer, text=options.edit, label=options.label
        )
        print(f"{item.id} is {item.state}; next: genai loop promote {item.id}")
        return 0
    if options.id:
        _show(loop.queue.item(options.id))
        return 0
    print(loop.refresh().text())
    for item in loop.items():
        words = "" if item.consent else "no consent: "
        print(f"{item.id} {item.priority:3} {', '.join(item.why)} ({item.calls})"
              f" {words}{one_line(item.question)[:100]}")  # fmt: skip
    return 0


def _show(item: object) -> None:
    names = ("id", "state", "why", "calls", "consent", "question", "answer", "reason", "comment",
             "wish", "text", "label", "reviewer", "target", "name")  # fmt: skip
    for name in names:
        value = getattr(item, name)
        if value:
            print(f"{name}: {one_line(', '.join(value) if name == 'why' else str(value))}")

"""`genai ask QUESTION`: one answer with its sources, cost and seconds."""

import argparse

import genai
from genai.errors import one_line, uncontrolled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("question", help="in quotes")
    parser.add_argument("--model", help="another model for this question")


def run(options: argparse.Namespace) -> int:
    """Stream the answer, then print its citations and what it took."""
    chain = genai.load(model=options.model)
    if not chain.index.revision:
        folder = genai.find_project().root / chain.config.index.documents
        chain.index.sync(folder, progress=True)
    outcome: genai.Answer | genai.Refusal | None = None
    for piece in chain.stream(options.question, feature="cli"):
        if isinstance(piece, str):
            print(uncontrolled(piece), end="", flush=True)
        else:
            outcome = piece
    if isinstance(outcome, genai.Answer):
        print(f"\n{outcome.trace.ended}\n" if outcome.trace.ended else "\n")
        for each in outcome.citations:
            page = f", page {each.page}" if each.page else ""
            quote = one_line(" ".join(each.quote.split()))
            print(f"[{each.number}] {one_line(each.document)}{page}: {quote}")
    elif outcome is not None:
        print(uncontrolled(f"{outcome.message}\n{outcome.next_step}"))
        for hit in outcome.evidence[:3]:
            print(one_line(f"  near: {hit.passage.document} ({hit.passage.heading})"))
    if outcome is not None:
        used = outcome.usage
        print(
            f"\n{outcome.model}: {used.input_tokens} + {used.output_tokens} tokens,"
            f" {outcome.cost} ({outcome.cost.status}), {outcome.seconds:.2f} s"
        )
    return 0

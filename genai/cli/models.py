"""`genai models [NAME]`: the forms of a model name, and what one costs."""

import argparse

import genai
from genai.models import FORMS
from genai.wiring import price


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", nargs="?", help="a model, to see its price")


def run(options: argparse.Namespace) -> int:
    """List the forms, or price one million tokens each way."""
    configured = genai.settings().chain.model
    if options.name is None:
        print(f"configured: {configured} (chain.model in configs/genai.yaml)")
        for form in FORMS.values():
            print(f"  {form}")
        return 0
    genai.model(options.name)  # an unknown form ends here
    million = 1_000_000
    priced = price(options.name.partition("@")[0])
    inward = priced(genai.Usage(million, 0, source="provider"))
    outward = priced(genai.Usage(0, million, source="provider"))
    if inward.amount is None or outward.amount is None:
        print(f"{options.name}: unpriced ({inward.reason}); add it to configs/prices.yaml")
        return 0
    print(f"{options.name}: {inward} in, {outward} out, per million tokens ({inward.status})")
    return 0

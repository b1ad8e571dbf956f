"""`genai models [NAME]`: forms of a name, what a model costs, what ends soon, new prices."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime

import genai
from genai.ledger.prices import refresh
from genai.models import FORMS
from genai.models.address import bare
from genai.models.choose import describe, endings
from genai.wiring.parts import models_in_use, prices


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", nargs="?", help="a model; or `refresh`, to import new prices")
    parser.add_argument("--ending", action="store_true", help="every model that ends in 90 days")


def run(options: argparse.Namespace) -> int:
    """List the forms, describe a model, list what ends soon, or import a price snapshot."""
    if options.ending:
        return _ending(everything=True)
    if options.name == "refresh":
        path, changes = refresh(genai.find_project().root / "configs" / "prices")
        for change in changes if len(changes) <= 200 else ():
            old, new = (f"{_rate(pair[0])} in, {_rate(pair[1])} out"
                        for pair in (change.old, change.new))  # fmt: skip
            print(f"  {change.what} {change.model}: {old} -> {new}")
        print(f"{path.name}: {len(changes)} models differ from the snapshot before it")
        return 0
    if options.name is None:
        configured = bare(genai.settings().chain.model)
        print(f"configured: {configured} (chain.model in configs/genai.yaml)")
        for form in FORMS.values():
            print(f"  {form}")
        return _ending(everything=False)
    genai.model(options.name)  # an unknown form ends here
    name, known = options.name.partition("@")[0], prices()
    # of a request of usual length: above a limit, such as 200,000 tokens, each may cost more
    each = [genai.Usage(1000, 0, source="provider"), genai.Usage(0, 1000, source="provider")]
    inward, outward = (known.cost(name, usage) for usage in each)
    if inward.amount is None or outward.amount is None:
        print(f"{name}: unpriced ({inward.reason}); add it to configs/prices.yaml")
        return 0
    inward, outward = (replace(c, amount=c.amount and c.amount * 1000) for c in (inward, outward))
    print(f"{name}: {inward} in, {outward} out, per million tokens ({inward.status})")
    facts = describe(name, known.entry(name) or {})
    for label, value in (
        ("context", facts.context), ("ends", facts.ends), ("longest reply", facts.max_output),
        ("licence", facts.licence), ("regions", ", ".join(facts.regions)),
        ("can", ", ".join(sorted(facts.can))),
    ):  # fmt: skip
        print(f"  {label}: {value or 'not known'}")
    return 0


def _ending(everything: bool) -> int:
    found = endings(prices(), models_in_use(), datetime.now(UTC).date())
    for day, name, own in found:
        if own or everything:
            print(f"{day}  {name}{'  <- you use it' if own else ''}")
    if not any(own for _, _, own in found):
        print("no model that you use ends within 90 days")
    return 0


def _rate(dollars: object) -> str:
    return "-" if dollars is None else f"${dollars}"

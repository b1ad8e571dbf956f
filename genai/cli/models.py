"""`genai models [NAME]`: forms of a name, what a model costs, what ends soon, new prices."""

import argparse
from datetime import UTC, datetime, timedelta

import genai
from genai.ledger.prices import refresh
from genai.models import FORMS
from genai.wiring import prices

_SOON = timedelta(days=90)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", nargs="?", help="a model; or `refresh`, to import new prices")
    parser.add_argument("--ending", action="store_true", help="models that end within 90 days")


def run(options: argparse.Namespace) -> int:
    """List the forms, describe a model, list what ends soon, or import a price snapshot."""
    if options.ending:
        return _ending()
    if options.name == "refresh":
        path, changes = refresh(genai.find_project().root / "configs" / "prices")
        for change in changes if len(changes) <= 200 else ():
            old, new = (f"{_rate(pair[0])} in, {_rate(pair[1])} out"
                        for pair in (change.old, change.new))  # fmt: skip
            print(f"  {change.what} {change.model}: {old} -> {new}")
        print(f"{path.name}: {len(changes)} models differ from the snapshot before it")
        return 0
    if options.name is None:
        print(f"configured: {genai.settings().chain.model} (chain.model in configs/genai.yaml)")
        for form in FORMS.values():
            print(f"  {form}")
        return 0
    genai.model(options.name)  # an unknown form ends here
    name, known = options.name.partition("@")[0], prices()
    million = [genai.Usage(10**6, 0, source="provider"), genai.Usage(0, 10**6, source="provider")]
    inward, outward = (known.cost(name, usage) for usage in million)
    if inward.amount is None or outward.amount is None:
        print(f"{name}: unpriced ({inward.reason}); add it to configs/prices.yaml")
        return 0
    print(f"{name}: {inward} in, {outward} out, per million tokens ({inward.status})")
    entry = known.entry(name) or {}
    for label, key in (("context", "max_input_tokens"), ("longest reply", "max_output_tokens"),
                       ("ends", "deprecation_date"), ("licence", "licence")):  # fmt: skip
        if entry.get(key):
            print(f"  {label}: {entry[key]}")
    return 0


def _ending() -> int:
    used = {row.model for row in genai.open_ledger().summary().models}
    for day, name in prices().ending(datetime.now(UTC).date() + _SOON):
        mark = "  <- in your ledger" if any(each.endswith(name) for each in used) else ""
        print(f"{day}  {name}{mark}")
    return 0


def _rate(dollars: object) -> str:
    return "-" if dollars is None else f"${dollars}"

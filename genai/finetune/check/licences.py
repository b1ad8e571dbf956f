"""May the result be used as intended? The terms of base and data, against what was accepted."""

import re

from genai.finetune.check.report import Finding
from genai.finetune.recipe import Recipe

_FREE = re.compile(
    r"apache-2\.0|mit|bsd-[234]-clause|isc|unlicense|0bsd|zlib|cc0(-1\.0)?|cc-by-[34]\.0|cc-by|pddl"
    r"|odc-by(-1\.0)?|cdla-permissive-[12]\.0|public-domain|proprietary"
)
# licences with terms of their own, by a part of their name
_NAMED = (
    (r"odbl", "ODbL"),
    (r"\bnc\b|non-?commercial|research-only", "NC"),
    (r"\bsa\b|sharealike|share-alike", "SA"),
    (r"\bnd\b|noderiv", "ND"),
    (r"gpl|copyleft|cdla-sharing", "copyleft"),
    (r"llama|gemma|openai|anthropic|no-competing-model|deepseek-licen", "no-competing-model"),
    (r"rail|acceptable-use", "use-restrictions"),
)


def terms(licence: str) -> set[str]:
    """Give the terms of a licence that somebody must have accepted; `unknown` for one not known."""
    name = licence.strip().casefold().replace("_", "-").replace(" ", "-")
    found = {term for pattern, term in _NAMED if re.search(pattern, name)}
    return found or (set() if _FREE.fullmatch(name) else {"unknown"})


def licences(recipe: Recipe) -> Finding:
    """Hold every licence against what the result is for and what was accepted by name."""
    given = {"base": recipe.licences.base, **{each.path: each.licence for each in recipe.data}}
    accepted = {each.casefold() for each in recipe.licences.accepted}
    problems = []
    for name, licence in given.items():
        for term in sorted(terms(licence)):
            if term == "NC" and recipe.licences.use == "commercial":
                problems.append(f"{name}: {licence} forbids commercial use; set"
                                " `licences.use: research` or leave it out")  # fmt: skip
            elif term == "ND":
                problems.append(f"{name}: {licence} allows no derived work; leave it out")
            elif term.casefold() not in accepted:
                problems.append(f"{name}: {licence}: {term}; read it, then add it to"
                                " `licences.accepted`")  # fmt: skip
    if problems:
        return Finding("licences", "fail", f"{len(problems)} terms stand against this run",
                       len(problems), len(given), tuple(problems))  # fmt: skip
    names = ", ".join(sorted(set(given.values())))
    return Finding("licences", "pass", f"{names}: fit {recipe.licences.use} use", 0, len(given))

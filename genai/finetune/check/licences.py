"""May the result be used as intended? The terms of base and data, against what was accepted."""

import difflib
import re

from genai.errors import ConfigError
from genai.finetune.check.report import Finding
from genai.finetune.recipe import Recipe

_FREE = (
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "BSD-4-Clause", "ISC", "Unlicense", "0BSD",
    "Zlib", "CC0-1.0", "CC0", "CC-BY-4.0", "CC-BY-3.0", "CC-BY", "PDDL-1.0", "PDDL", "ODC-By-1.0",
    "ODC-By", "CDLA-Permissive-2.0", "CDLA-Permissive-1.0", "public-domain", "proprietary",
)  # fmt: skip
_PLAIN = {each.casefold(): each for each in _FREE}
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
    return found or (set() if name in _PLAIN else {"unknown"})


def check_known(recipe: Recipe, shown: str) -> None:
    """Refuse a licence whose terms nobody can look up and nobody has read.

    Raises:
        ConfigError: names the file `shown`, key, licence and cure.
    """
    if "unknown" in {each.casefold() for each in recipe.licences.accepted}:
        return
    given = {"licences.base": recipe.licences.base}
    given |= {f"data.{n}.licence": each.licence for n, each in enumerate(recipe.data)}
    for key, licence in given.items():
        if "unknown" in terms(licence):
            close = difflib.get_close_matches(licence.casefold(), _PLAIN, n=1, cutoff=0.75)
            hint = f"did you mean {_PLAIN[close[0]]}? Else" if close else "give its SPDX name, or"
            raise ConfigError(
                f"{shown}: `{key}`: the terms of {licence!r} are not known; {hint} read them and"
                " add `unknown` to `licences.accepted`"
            )


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

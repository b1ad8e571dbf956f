"""Findings as SARIF 2.1.0, the form in which code hosts show what a check found."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

Level = Literal["error", "warning", "note"]
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


class Result(NamedTuple):
    """One finding: the rule, how bad it is, the file it stands in, and one line of words."""

    rule: str
    level: Level
    file: str
    message: str


def sarif(
    results: Sequence[Result],
    rules: Mapping[str, str],
    version: str,
    facts: Mapping[str, object] | None = None,
) -> str:
    """Write findings as one run with its `facts`; `rules` says what each rule is for."""
    used = [rule for rule in rules if any(each.rule == rule for each in results)]
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "genai",
                        "version": version,
                        "rules": [_rule(each, rules[each]) for each in used],
                    }
                },
                "results": list(_results(results, used)),
                **({"properties": facts} if facts else {}),
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False, default=str)


def _rule(name: str, words: str) -> dict[str, object]:
    return {"id": name, "shortDescription": {"text": words}}


def _results(results: Iterable[Result], used: Sequence[str]) -> Iterable[dict[str, object]]:
    for each in results:
        place = {"artifactLocation": {"uri": quote(each.file)}, "region": {"startLine": 1}}
        yield {
            "ruleId": each.rule,
            "ruleIndex": used.index(each.rule),
            "level": each.level,
            "message": {"text": each.message},
            "locations": [{"physicalLocation": place}],
        }

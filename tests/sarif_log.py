"""Hold a SARIF log to the standard."""

import json
from typing import Any


def check_sarif(text: str) -> list[Any]:
    """Hold a log to what the standard requires of the parts that we write; give its results."""
    log = json.loads(text)
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "genai"
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    for each in run["results"]:
        assert each["level"] in ("none", "note", "warning", "error")
        assert ids[each["ruleIndex"]] == each["ruleId"]
        assert each["message"]["text"]
        place = each["locations"][0]["physicalLocation"]
        assert not place["artifactLocation"]["uri"].startswith("/")
        assert place["region"]["startLine"] >= 1
    results: list[Any] = run["results"]
    return results

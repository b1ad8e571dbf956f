"""When a skipped test has failed: in a build everything that a test needs is to be installed."""

import os
from collections.abc import Collection
from typing import Any

# no installation brings these: rights on the machine, and a package whose pins do not fit ours
EXCUSED = ("root only", "only root", "no process may be traced", "presidio", "spaCy")


def refused(reason: str, explained: Collection[str] | None = None) -> str:
    """Say why a skip does not stand; '' if it does.

    `explained` are the reasons that a class of LangChain's standard tests has an answer to. In a
    build everything that a test needs is to be installed, so there a skip is a failure.
    """
    if explained is not None:
        return "" if reason in explained else f"skipped without an explanation: {reason}"
    if "CI" not in os.environ or any(word in reason for word in EXCUSED):
        return ""
    return f"skipped in a build: {reason}"


def judged(report: Any, explained: Collection[str] | None = None) -> Any:
    """Turn a skip that does not stand into a failure."""
    if report.skipped and not hasattr(report, "wasxfail"):
        said = refused(report.longrepr[2].removeprefix("Skipped: "), explained)
        if said:
            report.outcome, report.longrepr = "failed", said
    return report

"""A standard test of LangChain may skip only for a reason its class explains."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    report: Any = yield
    explained = getattr(getattr(item, "cls", None), "explained", None)
    if explained is not None and report.skipped and not hasattr(report, "wasxfail"):
        said = report.longrepr[2].removeprefix("Skipped: ")
        if said not in explained:
            report.outcome = "failed"
            report.longrepr = f"skipped without an explanation: {said}"
    return report

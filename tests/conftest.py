"""Every test runs without keys, with its own working folder's state, and is not skipped unseen."""

import os
from collections.abc import Generator
from typing import Any

import pytest
from skips import judged

# a key in the developer's environment must not turn a test into a real call
for name in [key for key in os.environ if key.endswith("_API_KEY") or key.startswith("GENAI_")]:
    if name != "GENAI_SCREENSHOTS":
        del os.environ[name]
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.option.benchmark_disable = True  # langchain-tests brings the plugin, and rounds of it


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    tested: Any = getattr(item, "cls", None)
    parents = getattr(tested, "__mro__", ())
    standard = any(each.__module__.startswith("langchain_tests") for each in parents)
    return judged((yield), getattr(tested, "explained", ()) if standard else None)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    return judged((yield))

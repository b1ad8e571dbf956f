"""Every test runs without keys, keeps to this machine, and is not skipped unseen."""

import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from skips import judged

# how long an example takes is the machine's matter
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

# a key in the developer's environment must not turn a test into a real call
for name in [key for key in os.environ if key.endswith("_API_KEY") or key.startswith("GENAI_")]:
    if name != "GENAI_SCREENSHOTS":
        del os.environ[name]
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # as the product has it; many tests load torch before it
os.environ.pop("PYTHONUNBUFFERED", None)  # a user's shell has none, and a pipe keeps lines back
# this process and all that it starts are refused what is not on this machine
NOTES = Path(tempfile.mkdtemp(prefix="outside-")) / "notes"
NOTES.touch()
os.environ["OUTSIDE_NOTES"] = str(NOTES)
OUTSIDE = str(Path(__file__).parent / "outside")
if OUTSIDE not in os.environ.get("PYTHONPATH", "").split(os.pathsep):
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [OUTSIDE, os.environ.get("PYTHONPATH")])
    )
runpy.run_path(f"{OUTSIDE}/sitecustomize.py")


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, Any, Any]:
    found = yield
    if app := sys.modules.get("streamlit"):  # what a page keeps is of this test's project
        app.cache_data.clear()
        app.cache_resource.clear()
    if tried := NOTES.read_text(encoding="utf-8"):
        NOTES.write_text("")
        pytest.fail(f"reached beyond this machine: {tried}")
    return found


def pytest_unconfigure() -> None:
    shutil.rmtree(NOTES.parent, ignore_errors=True)

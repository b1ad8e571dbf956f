"""The servers that tests of the ledger share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import binaries, new_database, postgres

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one PostgreSQL server for all of them."""
    if binaries() is None and "CI" not in os.environ:
        pytest.skip("no PostgreSQL: apt install postgresql")
    with postgres(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Give each store in turn: "" is SQLite, else the URL of an empty database."""
    if request.param == "sqlite":
        return ""
    return new_database(request.getfixturevalue("server"))

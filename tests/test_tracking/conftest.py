"""A store, a server and a project whose experiments are tracked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflows import Server

import genai
from genai.project import Project, init
from genai.tracking import Store


@pytest.fixture(autouse=True)
def _no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliver when a test says so, so that no process outlives it."""
    monkeypatch.setattr("genai.tracking.queue._wake", lambda store: None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "mlflow")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "server")
    yield found
    found.stop()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    init(tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return genai.find_project()


@pytest.fixture
def on(project: Project, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("GENAI_TRACKING_ENABLED", "true")
    return Store(project.state / "mlflow")

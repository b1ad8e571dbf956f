"""What a person uploads lands in that person's folder, whatever the file says it is called."""

import sys
from pathlib import Path
from typing import Any

import pytest

from genai import project

ROOT = Path(__file__).parent.parent
TEXT = b"Visitors park on level three of the north garage."
NAMES = [
    "../../../evil.md", "../..md", "/tmp/evil.md", "a/../../evil.md", "..\\..\\evil.md",
    "C:\\evil.md", ".hidden.md", "line\nbreak.md", "x" * 300 + ".md", "\u202edm.evil.md",
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "outer" / "project"
    project.init(place)
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(ROOT / "apps"))
    # the page becomes the main module, and a process started later would begin by running it
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    return place


def chat() -> Any:
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(ROOT / "apps" / "chat.py"), default_timeout=60)


def test_no_name_of_an_uploaded_file_leaves_the_folder(place: Path) -> None:
    outer = place.parent.parent

    def others() -> set[Path]:
        found = (path.relative_to(outer) for path in outer.rglob("*") if path.is_file())
        return {path for path in found if ".genai" not in path.parts}

    before = others()
    app = chat().run()
    app.file_uploader[0].set_value([(name, TEXT, "text/markdown") for name in NAMES]).run()
    assert not app.exception
    assert f"{len(NAMES)} documents ready." in [each.value for each in app.success]
    (folder,) = (place / ".genai" / "uploads").iterdir()
    assert [path.read_bytes() for path in folder.iterdir()] == [TEXT] * len(NAMES)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert others() == before
    assert not Path("/tmp/evil.md").exists()


def test_two_files_of_one_name_are_both_kept(place: Path) -> None:
    app = chat().run()
    files = [("a/park.md", TEXT, "text/markdown"), ("b/park.md", b"A lake.", "text/markdown")]
    app.file_uploader[0].set_value(files).run()
    assert "2 documents ready." in [each.value for each in app.success]
    kept = (place / ".genai" / "uploads").rglob("*.md")
    assert sorted((path.name, path.read_bytes()) for path in kept) == [
        ("park 2.md", b"A lake."),
        ("park.md", TEXT),
    ]

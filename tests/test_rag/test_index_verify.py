"""Verify finds each kind of harm, and repair leaves nothing of it."""

from pathlib import Path
from typing import Any

import pytest
from indexes import current, hashed, many

from genai.cli import main
from genai.errors import IndexUnusable
from genai.models import Embedder
from genai.rag import Index


@pytest.fixture
def held(tmp_path: Path) -> Index:
    index = Index(tmp_path / "i", Embedder("mine", hashed))
    index.sync(many(tmp_path / "documents", 12))
    return index


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("DELETE FROM vector WHERE id IN (SELECT id FROM passage WHERE row <= ?)",
         "5 passages without a vector"),
        ("DELETE FROM sentence_vectors WHERE id IN (SELECT id FROM passage WHERE row <= ?)",
         "5 passages without a vector"),
        ("UPDATE vector SET data = x'0000' WHERE id IN (SELECT id FROM passage WHERE row <= ?)",
         "5 passages without a vector"),
        ("INSERT INTO vector SELECT 'stray' || row, x'00' FROM passage WHERE row <= ?",
         "5 vectors without a passage"),
        ("DELETE FROM fulltext WHERE rowid <= ?", "5 passages missing from the full text"),
        ("INSERT INTO fulltext (rowid, heading, text)"
         " SELECT row + 1000, 'x', 'y' FROM passage WHERE row <= ?",
         "5 rows of the full text without a passage"),
        ("DELETE FROM fulltext_data WHERE id > 10 AND ?", "the full text is not sound"),
    ],
)  # fmt: skip
def test_each_harm_is_found_and_mended(held: Index, harm: str, problem: str) -> None:
    wanted = [h.passage.id for h in held.search("river bridge", 10)]
    assert held.verify().sound
    current(held).store.write(harm, [(5,)])
    found = held.verify()
    assert not found.sound
    assert any(problem in said for said in found.problems()), found.problems()
    assert held.verify() == found  # a look changes nothing
    mended = held.verify(repair=True)
    assert mended.sound
    assert mended.repaired
    assert [h.passage.id for h in held.search("river bridge", 10)] == wanted
    held.close()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE document SET text = replace(text, 'says', 'SAYS') WHERE path = ?",
        "UPDATE passage SET start = start + 1 WHERE document = ?",
        'UPDATE passage SET "end" = 100000 WHERE document = ?',
        "DELETE FROM passage WHERE document = ?",
        "DELETE FROM document WHERE path = ?",
    ],
)
def test_a_damaged_document_is_forgotten_and_read_anew(
    held: Index, tmp_path: Path, harm: str
) -> None:
    current(held).store.write(harm, [("0003.md",)])
    found = held.verify()
    assert found.damaged == ("0003.md",)
    held.verify(repair=True)
    assert held.verify().sound
    assert "0003.md" not in held.documents()
    assert held.sync(tmp_path / "documents").added == 1
    assert "0003.md" in held.documents()
    held.close()


def test_the_command_says_what_differs_and_ends_in_64(
    held: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from genai import project

    project.init(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    assert main(["index", "sync"]) == 0
    assert main(["index", "verify"]) == 0
    assert "everything agrees" in capsys.readouterr().out
    import genai

    index = genai.Index()
    current(index).store.write("DELETE FROM vector WHERE ?", [(1,)])
    assert main(["index", "verify"]) == 64
    said = capsys.readouterr().err
    assert "without a vector" in said
    assert "genai index verify --repair" in said
    assert main(["index", "verify", "--repair"]) == 0
    assert main(["index", "verify"]) == 0
    monkeypatch.setenv("GENAI_INDEX_MAX_CHARS", "500")
    assert main(["index", "sync"]) == 0
    assert "back: genai index rollback" in capsys.readouterr().out
    assert main(["index", "rollback"]) == 0
    assert main(["index", "show"]) == 0
    assert "rolled back" in capsys.readouterr().out
    index.close()


def test_there_is_nothing_to_verify_before_the_first_sync(tmp_path: Path) -> None:
    with pytest.raises(IndexUnusable, match="run `genai index sync` first"):
        Index(tmp_path / "i", Embedder("mine", hashed)).verify()

"""After an erasure no byte of a removed document is left in the index's folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from indexes import by_name, hashed, many

from genai.cli import main
from genai.rag import Index, vectors
from genai.rag.vectors import chroma

SECRET = "Zyxantha Quellbruck lives in Vorrmoor lane."
WORDS = ["zyxantha", "quellbruck", "vorrmoor"]


def left_of_it(folder: Path) -> list[str]:
    """Name what the files still hold: words in any case, and the vector in every stored form."""
    row = hashed([SECRET])[0]
    heading = hashed([f"\n{SECRET}"])[0]
    forms = {word: [word.encode()] for word in WORDS}
    for name, vector in {"sentence vector": row, "vector": heading}.items():
        unit = vector / (vector**2).sum() ** 0.5
        half = unit.astype("float16")
        again = half.astype("float32")  # as the graph is given it, and as it keeps it
        kept = again / (again**2).sum() ** 0.5
        forms[name] = [half.tobytes(), again.tobytes(), kept.astype("float32").tobytes()]
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return [
        name
        for name, every in forms.items()
        if any(form in data or form in data.lower() for data in files for form in every)
    ]


@pytest.mark.parametrize("graph", [False, True], ids=["exact", "graph"])
def test_a_byte_scan_of_the_whole_folder_finds_nothing_after_an_erasure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: bool
) -> None:
    monkeypatch.setattr(vectors, "EXACT_BELOW", 20 if graph else 50_000)
    monkeypatch.setitem(chroma.HNSW, "batch_size", 10)
    monkeypatch.setitem(chroma.HNSW, "sync_threshold", 20)  # on disk, as a graph of 50,000 is
    documents = many(tmp_path / "documents", 30)
    (documents / "person.txt").write_text(SECRET)
    index = Index(tmp_path / "i", by_name("mine"))
    index.sync(documents)
    whole = [*WORDS, "sentence vector", "vector"]
    assert left_of_it(tmp_path / "i") == whole
    index.sync(documents, rebuild=True)
    (documents / "person.txt").unlink()
    index.sync(documents)
    assert left_of_it(tmp_path / "i") == whole  # in the generation to go back to
    report = index.sync(documents, erase=True)
    assert left_of_it(tmp_path / "i") == []
    assert report.added == 30
    assert len(index.generations()) == 1
    assert index.search("river bridge")
    assert index.verify().sound
    index.close()
    assert left_of_it(tmp_path / "i") == []


def test_the_command_erases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genai import project

    project.init(tmp_path)
    monkeypatch.chdir(tmp_path)
    documents = many(tmp_path / "own", 3)
    (documents / "person.txt").write_text(SECRET)
    assert main(["index", "sync", "own", "--name", "own"]) == 0
    held = tmp_path / ".genai"
    assert WORDS[0] in left_of_it(held)
    (documents / "person.txt").unlink()
    assert main(["index", "sync", "own", "--name", "own", "--erase"]) == 0
    assert left_of_it(held) == []


_PERTURBED = """
import sys
import os
import subprocess
import sys
from pathlib import Path
from indexes import by_name, many
from genai.rag import Index, vectors
from genai.rag.vectors import chroma
vectors.EXACT_BELOW = 20
chroma.HNSW |= {"batch_size": 10, "sync_threshold": 20}
index = Index(Path(sys.argv[1]) / "i", by_name("mine"))
index.sync(many(Path(sys.argv[1]) / "documents", 30))
assert index.verify().sound
index.close()
"""


def test_the_graph_keeps_nothing_of_the_memory_it_was_written_from(tmp_path: Path) -> None:
    """Peer: hnswlib, which writes the room for later rows as the system gave it."""
    filled = {**os.environ, "MALLOC_PERTURB_": "165", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", _PERTURBED, str(tmp_path)], env=filled, check=True)
    (rows,) = (tmp_path / "i").rglob("data_level0.bin")
    assert rows.stat().st_size > 0
    for file in rows.parent.iterdir():
        assert b"\x5a" * 16 not in file.read_bytes(), file.name  # 165 the other way round

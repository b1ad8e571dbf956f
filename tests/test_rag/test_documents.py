"""Every kind of document becomes text, and every passage of it is an exact span."""

from pathlib import Path

import docx
import pytest
from makers import pdf_bytes

from genai.errors import DocumentError
from genai.models import Embedder
from genai.rag import Index
from genai.rag.documents import parse
from genai.rag.split import Splitting, split
from genai.text.sentences import sentences

MARKDOWN = "# Budgets\n\nA budget is a limit on money.\n\n| who | limit |\n|---|---|\n| a | 40 |\n"


def docx_file(path: Path) -> None:
    document = docx.Document()
    document.add_heading("Leave", level=1)
    document.add_paragraph("Every employee has 27 days of leave.")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        [c for row in table.rows for c in row.cells], ["kind", "days", "sick", "10"], strict=True
    ):
        cell.text = text
    document.save(str(path))


def test_every_kind_of_document_is_read(tmp_path: Path) -> None:
    docx_file(tmp_path / "leave.docx")
    html = b"<html><head><style>p{}</style></head><body><h2>Snow</h2><p>It <b>melts</b>.</p>"
    sources = {
        "a.md": MARKDOWN.encode(),
        "b.html": html + b"<script>steal()</script></body></html>",
        "c.pdf": pdf_bytes(["First page text.", "Second page text."]),
        "d.docx": (tmp_path / "leave.docx").read_bytes(),
        "e.txt": "Grüße aus Köln".encode("latin-1"),
        "f.csv": b"name;city\nAnna;Rome\nBo;Oslo\n",
    }
    texts = {name: parse(name, source) for name, source in sources.items()}
    assert texts["a.md"].text == MARKDOWN
    assert "## Snow" in texts["b.html"].text
    assert "steal" not in texts["b.html"].text
    assert texts["c.pdf"].pages == (0, len("First page text.\n\n"))
    assert "# Leave" in texts["d.docx"].text
    assert "| sick | 10 |" in texts["d.docx"].text
    assert "Köln" in texts["e.txt"].text
    rows = texts["f.csv"].text
    assert [rows[start:end] for start, end in sentences(rows)] == [
        "name: Anna; city: Rome", "name: Bo; city: Oslo",
    ]  # fmt: skip


def test_a_pdf_passage_knows_its_page() -> None:
    document = parse("x.pdf", pdf_bytes(["Apples are red.", "", "Plums are blue."]))
    passages = split(document, Splitting())
    assert [(p.text, p.page) for p in passages] == [("Apples are red.", 1), ("Plums are blue.", 3)]


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("empty.md", b"  \n", "is empty"),
        ("binary.txt", b"\x7fELF\x00\x00\x01\x02" * 50, "is binary, not text"),
        ("scan.pdf", pdf_bytes(["", ""]), "holds no text; run OCR on it first"),
        ("broken.pdf", b"%PDF-1.4 nothing follows", "cannot be read as pdf"),
        ("broken.docx", b"PK\x03\x04 not a zip", "cannot be read as docx"),
    ],
)
def test_a_document_that_cannot_be_read_says_why(name: str, source: bytes, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(name, source)
    assert str(caught.value).startswith(f"{name}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_front_matter_that_no_yaml_can_read_is_text_and_stops_no_sync(
    tmp_path: Path, embedder: Embedder
) -> None:
    said = {
        "template": "title: {{title}}", "list": "? [a, b]\n: c", "day": "date: 2024-02-30",
        "zero": "date: 0000-00-00", "tag": "x: !!int ten",
    }  # fmt: skip
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, front in said.items():
        (folder / f"{name}.md").write_text(f"---\n{front}\n---\n\nThe {name} lamp is green.\n")
    (folder / "large.md").write_text(f"---\nnumber: {'9' * 400}\nyear: 2024\n---\n\nGreen.\n")
    index = Index(tmp_path / "i", embedder)
    report = index.sync(folder)
    assert (report.added, report.failed) == (6, ())
    for name, front in said.items():
        found = index.document(f"{name}.md")
        assert found is not None
        assert front in found[0]
        assert index.metadata(f"{name}.md") == {}
    assert index.metadata("large.md") == {"year": [2024.0]}
    for front in [*said.values(), f"number: {'9' * 400}", f"number: 0x{'f' * 5000}"]:
        (folder / "large.md.meta.yaml").write_text(f"{front}\n")
        ((name, why),) = index.sync(folder).failed
        assert name == "large.md"
        assert why.startswith("large.md.meta.yaml: ")
    index.close()

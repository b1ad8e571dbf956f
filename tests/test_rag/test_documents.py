"""Every kind of document becomes text, and every passage of it is an exact span."""

from pathlib import Path

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import pdf_bytes

from genai.errors import DocumentError
from genai.rag.documents import parse
from genai.rag.split import IdMaker, split

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
    assert texts["f.csv"].text == "name: Anna; city: Rome\nname: Bo; city: Oslo\n"


def test_a_pdf_passage_knows_its_page() -> None:
    document = parse("x.pdf", pdf_bytes(["Apples are red.", "", "Plums are blue."]))
    passages = split(document, 1000, IdMaker("t"))
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


# -- exact spans -----------------------------------------------------------------------------------

PIECES = st.sampled_from(
    ["# Title\n", "## Under\n", "A sentence. ", "Zwei Sätze! ", "\r\n", "\n\n", "- item\n", "\t"]
    + ["| a | b |\n|---|---|\n| 1 | 2 |\n", "```\ncode = 1\n```\n", "😀 emoji. ", "\u0301"]
    + ["中文没有空格。", "e\u0301tude ", "\x0b", "\u2028", "שלום. ", "word " * 90, "x" * 700]
    + ["> quote\n", "<b>tag</b> "]
)


@given(st.lists(PIECES, min_size=1, max_size=30), st.sampled_from([".md", ".txt", ".html", ".csv"]))
@settings(max_examples=150, deadline=None)
def test_spans_are_exact_and_nothing_is_lost(pieces: list[str], ending: str) -> None:
    try:
        document = parse(f"x{ending}", "".join(pieces).encode())
    except DocumentError:
        return
    passages = split(document, 300, IdMaker("t"))
    position, kept = 0, ""
    for passage in passages:
        assert document.text[passage.start : passage.end] == passage.text
        assert passage.start >= position
        assert len(passage.text) <= 300
        kept += document.text[position : passage.start].strip() + passage.text
        position = passage.end
    assert "".join((kept + document.text[position:]).split()) == "".join(document.text.split())
    assert sum(len("".join(p.text.split())) for p in passages) == len(
        "".join(document.text.split())
    )
    assert len({passage.id for passage in passages}) == len(passages)

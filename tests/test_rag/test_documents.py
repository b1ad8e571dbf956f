"""Every kind of document becomes text, and every passage of it is an exact span."""

import os
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE as RT
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
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


def test_a_word_with_soft_hyphens_or_ligatures_is_found_as_it_is_typed(
    tmp_path: Path, embedder: Embedder
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.html").write_text("<p>The con&shy;fi&shy;den&shy;tial file is kept.</p>")
    (folder / "b.pdf").write_bytes(pdf_bytes(["The \\256refly gives o\\256ces light."]))
    (folder / "c.html").write_text("<p>The o\ufb03ce is on the \ufb01rst \ufb02oor.</p>", "utf-8")
    index = Index(tmp_path / "i", embedder)
    index.dense_weight = 0
    index.sync(folder)
    for word, name in (("confidential", "a.html"), ("firefly", "b.pdf"), ("office", "c.html")):
        assert [hit.passage.document for hit in index.search(word)] == [name]
    index.close()


def test_a_pdf_passage_knows_its_page() -> None:
    document = parse("x.pdf", pdf_bytes(["Apples are red.", "", "Plums are blue."]))
    passages = split(document, Splitting())
    assert [(p.text, p.page) for p in passages] == [("Apples are red.", 1), ("Plums are blue.", 3)]


def test_the_scanned_pages_of_a_pdf_are_told(tmp_path: Path, embedder: Embedder) -> None:
    (tmp_path / "documents").mkdir()
    source = pdf_bytes(["Apples are red.", "", ""])
    (tmp_path / "documents" / "x.pdf").write_bytes(source)
    index = Index(tmp_path / "i", embedder)
    ((name, note),) = index.sync(tmp_path / "documents").notes
    assert name == "x.pdf"
    assert note.startswith("2 of 3 pages hold no text; if they are scans, run OCR")
    index.close()


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


def _marked(name: str, inner: str) -> Any:
    """Give an element of Word's with what it stands around."""
    return parse_xml(f"<w:{name} {nsdecls('w')} w:id='1'>{inner}</w:{name}>")


def _run(text: str, tag: str = "t") -> str:
    return f"<w:r><w:{tag}>{text}</w:{tag}></w:r>"


def _control(inner: str) -> str:
    return f"<w:sdtPr/><w:sdtContent>{inner}</w:sdtContent>"


_BOX = (
    "<w:r {w} xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'>"
    "<mc:AlternateContent><mc:Choice Requires='wps'><w:drawing>{box}</w:drawing></mc:Choice>"
    "<mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent></w:r>"
)


def test_a_word_file_loses_no_tracked_text_content_control_field_or_text_box(
    tmp_path: Path, embedder: Embedder
) -> None:
    document = docx.Document()
    document.add_heading("Contract", 1)
    notice = document.add_paragraph("The notice period is ")
    notice._p.append(_marked("del", _run("two", "delText")))
    notice._p.append(_marked("moveFrom", _run("seven")))
    notice._p.append(_marked("ins", _run("six")))
    notice.add_run(" weeks.")
    valid = document.add_paragraph("Valid from ")
    valid._p.append(_marked("sdt", _control(_run("1 March 2026"))))
    valid.add_run(", see ")
    valid._p.append(_marked("fldSimple", _run("section") + "<w:r><w:tab/></w:r>" + _run("4.")))
    box = f"<w:txbxContent>{''.join(f'<w:p>{_run(t)}</w:p>' for t in ('Mind.', 'The gap.'))}"
    valid._p.append(parse_xml(_BOX.format(w=nsdecls("w"), box=f"{box}</w:txbxContent>")))
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text = "lamps"
    table.rows[0].cells[1].paragraphs[0]._p.append(_marked("ins", _run("green")))
    cells = "".join(f"<w:tc><w:p>{_run(each)}</w:p></w:tc>" for each in ("doors", "blue"))
    table._tbl.append(_marked("sdt", _control(f"<w:tr>{cells}</w:tr>")))
    table._tbl.addnext(_marked("sdt", _control(f"<w:p>{_run('A block of a template.')}</w:p>")))
    folder = tmp_path / "documents"
    folder.mkdir()
    document.save(str(folder / "c.docx"))
    index = Index(tmp_path / "i", embedder)
    assert index.sync(folder).failed == ()
    found = index.document("c.docx")
    assert found is not None
    assert found[0].splitlines() == [
        "# Contract", "", "The notice period is six weeks.", "",
        "Valid from 1 March 2026, see section\t4.", "", "Mind.", "", "The gap.", "",
        "| lamps | green |", "| --- | --- |", "| doors | blue |", "", "A block of a template.",
    ]  # fmt: skip
    index.close()


def test_a_word_file_loses_no_footnote_and_no_table_inside_a_table(
    tmp_path: Path, embedder: Embedder
) -> None:
    document = docx.Document()
    for number, (kind, fee) in enumerate([("footnote", "40"), ("endnote", "50")], start=2):
        told = document.add_paragraph(f"The fee is {fee} euros.")
        mark = f'<w:r {nsdecls("w")}><w:{kind}Reference w:id="{number}"/></w:r>'
        told._p.append(parse_xml(mark))
        note = (
            f"<w:p>{_run(f'Students pay half of {fee}, ')}<w:ins>{_run('or less.')}</w:ins></w:p>"
        )
        bar = f'<w:{kind} w:type="separator" w:id="-1"><w:p/></w:{kind}>'
        notes = f'{bar}<w:{kind} w:id="{number}">{note}</w:{kind}>'
        part = Part(
            PackURI(f"/word/{kind}s.xml"), "application/xml",
            f"<w:{kind}s {nsdecls('w')}>{notes}</w:{kind}s>".encode(), document.part.package,
        )  # fmt: skip
        document.part.relate_to(part, RT.FOOTNOTES if kind == "footnote" else RT.ENDNOTES)
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text = "lamps"
    inner = table.cell(0, 1).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "green", "40 watts"
    folder = tmp_path / "documents"
    folder.mkdir()
    document.save(str(folder / "fees.docx"))
    index = Index(tmp_path / "i", embedder)
    assert index.sync(folder).failed == ()
    found = index.document("fees.docx")
    assert found is not None
    assert found[0].splitlines() == [
        "The fee is 40 euros.", "", "Students pay half of 40, or less.", "",
        "The fee is 50 euros.", "", "Students pay half of 50, or less.", "",
        "| lamps | green 40 watts |", "| --- | --- |",
    ]  # fmt: skip
    index.close()


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ('id,note,price\n1,the \'old\' lamp,5\n2,"green, large",7\n',
         "id: 2; note: green, large; price: 7"),
        ("id;name;price\n1;'s-Hertogenbosch;5\n2;Utrecht;7\n3;'t Harde;9\n",
         "id: 1; name: 's-Hertogenbosch; price: 5"),
        ("id,name,note\n" + "".join(f'{n},"Item {n}","a note, {n}"\n' for n in range(250))
         + '999,"Lamp 24"" wide","say ""hi"", ok"\n',
         'id: 999; name: Lamp 24" wide; note: say "hi", ok'),
        ("id;text\n1;He said, 'no', twice\n2;She said, 'yes', once\n",
         "id: 2; text: She said, 'yes', once"),
        ("id,text\n1,\"a; 'b'; c\"\n2,\"d; 'e'; f\"\n", "id: 1; text: a; 'b'; c"),
        ("id\tnote\n1\tit's, 'a', b\n2\tc\n", "id: 1; note: it's, 'a', b"),
        ("sep=;\r\nname;price\r\nlamp;5,50\r\n", "name: lamp; price: 5,50"),
        ('name, note\nlamp, "green, large"\n', "name: lamp; note: green, large"),
    ],
    ids=["quotes in prose", "apostrophes", "doubled late", "semicolons", "commas", "tabs", "Excel",
         "spaces"],
)  # fmt: skip
def test_a_value_of_a_table_stands_under_its_own_column(
    tmp_path: Path, embedder: Embedder, table: str, row: str
) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.csv").write_text(table)
    index = Index(tmp_path / "i", embedder)
    index.sync(tmp_path / "documents")
    found = index.document("a.csv")
    assert found is not None
    assert row in found[0].split("\n\n")
    index.close()


def test_of_a_folder_that_cannot_be_read_nothing_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedder: Embedder
) -> None:
    folder = tmp_path / "documents"
    for name in ("a.md", "shut/b.md", "shut/deep/c.md", "z/d.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"The lamp of {name} is green.\n")
    index = Index(tmp_path / "i", embedder)
    index.sync(folder)
    (folder / "a.md").unlink()
    scan, stat, shut = os.scandir, Path.stat, str(folder / "shut")

    def refused(path: Any = ".") -> Any:
        if os.fspath(path) == shut:
            raise PermissionError(13, "Permission denied", shut)
        return scan(path)

    def listed(path: Any = ".") -> list[str]:
        with refused(path) as found:
            return [each.name for each in found]

    monkeypatch.setattr(os, "scandir", refused)
    monkeypatch.setattr(os, "listdir", listed)
    report = index.sync(folder)
    assert report.failed == (("shut", "shut: cannot be read (Permission denied); mend it"),)
    assert report.removed == 1
    assert index.documents() == ["shut/b.md", "shut/deep/c.md", "z/d.md"]

    def closed(self: Path, **options: Any) -> Any:
        if self.name == "b.md":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **options)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr(Path, "stat", closed)  # a folder that may be listed and not entered
    report = index.sync(folder)
    assert report.failed == (
        ("shut/b.md", "shut/b.md: cannot be read (Permission denied); mend it"),
    )
    assert report.removed == 0
    monkeypatch.undo()
    assert index.sync(folder).unchanged == 3
    index.close()


def test_a_file_that_is_open_in_word_is_indexed_and_its_lock_is_not(
    tmp_path: Path, embedder: Embedder
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    docx_file(folder / "leave.docx")
    (folder / "~$leave.docx").write_bytes(b"\x03Ann" + bytes(158))
    index = Index(tmp_path / "i", embedder)
    report = index.sync(folder)
    assert (report.added, report.failed) == (1, ())
    index.close()

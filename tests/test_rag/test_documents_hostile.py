"""Hostile and broken files: one line says what is wrong; nothing is run, fetched or blown up."""

import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import docx
import pypdf
import pytest
from growth import grows_as_its_input
from makers import pdf_bytes
from pypdf.annotations import Link

from genai.errors import DocumentError
from genai.models import make_embedder
from genai.rag import Index
from genai.rag.documents import find_documents, parse, read_source, word
from genai.rag.split import Splitting, split


def refused(name: str, source: bytes) -> str:
    """Give the one line with which a file is refused."""
    with pytest.raises(DocumentError) as caught:
        parse(name, source)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    return message


def word_bytes(parts: dict[str, bytes] | None = None) -> bytes:
    """Make a Word document, with parts replaced or added."""
    made = io.BytesIO()
    document = docx.Document()
    document.add_paragraph("Leave is 27 days.")
    document.save(made)
    out = io.BytesIO()
    with (
        zipfile.ZipFile(made) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            if name not in (parts or {}):
                target.writestr(name, source.read(name))
        for name, content in (parts or {}).items():
            target.writestr(name, content)
    return out.getvalue()


# -- DOCX ------------------------------------------------------------------------------------------

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "ha">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + ']><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    "<w:body><w:p><w:r><w:t>&g;</w:t></w:r></w:p></w:body></w:document>"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("at", [100, (1 << 20) - 8])  # the second lies across two reads
def test_entities_in_a_word_document_are_refused(encoding: str, at: int) -> None:
    wide = len("a".encode(encoding + "-le" * (encoding == "utf-16")))
    lead = at // wide - LAUGHS.index("<!DOCTYPE") - len("<!---->")
    text = LAUGHS.replace("?>", f"?><!--{'x' * lead}-->", 1)
    source = word_bytes({"word/document.xml": text.encode(encoding)})
    assert "declares entities in 'word/document.xml'" in refused("a.docx", source)


def test_a_part_is_judged_by_what_it_holds_not_by_its_name() -> None:
    source = word_bytes({"word/media/picture.png": LAUGHS.encode()})
    assert "declares entities" in refused("a.docx", source)


def test_a_zip_bomb_is_refused_before_its_tree_is_built() -> None:
    source = word_bytes({"word/document.xml": b"<a>" + b" " * 60_000_000})
    assert len(source) < 100_000
    tracemalloc.start()
    assert "expands to over 50 MB of XML" in refused("a.docx", source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_zip_bomb_of_pictures_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    source = word_bytes({"word/media/a.png": b"\x89PNG" + b"\x00" * 2_000_000})
    assert parse("a.docx", source).text == "Leave is 27 days.\n"
    monkeypatch.setattr(word, "MAX_EXPANDED", 2_000_000)
    assert "expands to over 2 MB" in refused("a.docx", source)


def test_a_zip_that_lies_about_its_size_gives_no_more_than_it_declares() -> None:
    source = bytearray(word_bytes({"word/document.xml": b"<a>" + b" " * 60_000_000}))
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = source.rfind(mark)
        source[at + offset : at + offset + 4] = (100).to_bytes(4, "little")
    tracemalloc.start()
    assert "cannot be read as docx" in refused("a.docx", bytes(source))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_directory_of_a_million_parts_and_an_encrypted_file_are_refused() -> None:
    end = b"PK\x05\x06" + bytes(8) + (46_000_000).to_bytes(4, "little") + bytes(6)
    assert "too many parts" in refused("a.docx", b"PK\x03\x04" + end)
    assert "is encrypted, or an old .doc" in refused("a.docx", b"\xd0\xcf\x11\xe0" + bytes(600))


# -- PDF -------------------------------------------------------------------------------------------


def rewritten(pages: list[str]) -> pypdf.PdfWriter:
    return pypdf.PdfWriter(clone_from=io.BytesIO(pdf_bytes(pages)))


def written(writer: pypdf.PdfWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def scripted(place: str) -> bytes:
    """Make a PDF with a script in the document, on a page or on an annotation."""
    writer = rewritten(["Plain text.", "More."])
    action = pypdf.generic.DictionaryObject(
        {
            pypdf.generic.NameObject("/S"): pypdf.generic.NameObject("/JavaScript"),
            pypdf.generic.NameObject("/JS"): pypdf.generic.TextStringObject("app.alert('evil')"),
        }
    )
    opened = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/O"): action})
    if place == "names":
        scripts = pypdf.generic.DictionaryObject()
        writer.root_object[pypdf.generic.NameObject("/Names")] = pypdf.generic.DictionaryObject(
            {pypdf.generic.NameObject("/JavaScript"): scripts}
        )
    elif place == "open":
        writer.root_object[pypdf.generic.NameObject("/OpenAction")] = action
    elif place == "page":
        writer.pages[1][pypdf.generic.NameObject("/AA")] = opened
    else:
        link = Link(rect=(0, 0, 9, 9), url="https://example.org")
        link[pypdf.generic.NameObject("/A")] = action
        writer.add_annotation(0, link)
    return written(writer)


@pytest.mark.parametrize("place", ["names", "open", "page", "annotation"])
def test_a_pdf_with_a_script_gives_its_text_alone_and_says_so(place: str) -> None:
    document = parse("a.pdf", scripted(place))
    assert document.notes == ("holds JavaScript, which was left out",)
    assert "evil" not in document.text
    assert document.text == "Plain text.\n\nMore.\n\n"
    assert parse("a.pdf", pdf_bytes(["Plain text."])).notes == ()


def test_an_encrypted_pdf_is_refused_and_one_without_a_password_is_read() -> None:
    writer = rewritten(["Secret."])
    writer.encrypt("password", algorithm="RC4-128")
    source = written(writer)
    assert "is encrypted; save a copy without a password" in refused("a.pdf", source)
    newer = source.replace(b"/V 2", b"/V 5").replace(b"/R 3", b"/R 6")  # a lock we cannot open
    assert "is encrypted; save a copy without a password" in refused("a.pdf", newer)
    writer = rewritten(["Open."])
    writer.encrypt("", "owner", algorithm="RC4-128")
    assert parse("a.pdf", written(writer)).text == "Open.\n\n"


def test_a_pdf_whose_stream_explodes_or_whose_pages_go_round_in_circles_is_refused() -> None:
    writer = rewritten(["x"])
    stream = pypdf.generic.DecodedStreamObject()
    stream.set_data(b" " * 200_000_000)
    writer.pages[0][pypdf.generic.NameObject("/Contents")] = writer._add_object(
        stream.flate_encode()
    )
    assert "cannot be read as pdf (LimitReachedError)" in refused("a.pdf", written(writer))
    circle = pdf_bytes(["x"]).replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")
    refused("a.pdf", circle)


# -- HTML ------------------------------------------------------------------------------------------


def test_html_gives_what_a_reader_sees_and_nothing_that_runs() -> None:
    page = (
        "<html><head><title>t</title><script>steal()</script></head><body onload='steal()'>"
        "<h1>Leave</h1><p>Read <a href=' javascript:steal()'>this</a> and"
        " <a href='data:text/html,steal'>that</a> or <a href='/ok'>here</a>.</p>"
        "<img src='data:image/png;base64,steal' alt='steal'><svg><text>steal</text></svg>"
        "<iframe srcdoc='steal'></iframe><noscript>steal</noscript><!-- steal -->"
        "<p hidden>steal <b>more</b></p><div style='color:red; DISPLAY : none'>steal</div>"
        "<object data='x'>steal</object><template>steal</template></body></html>"
    )
    document = parse("a.html", page.encode())
    assert document.text == "# Leave\n\nRead this and that or [here](/ok).\n"
    assert document.notes == ("holds text hidden from readers, which was left out",)


def test_a_data_uri_of_megabytes_leaves_no_trace() -> None:
    picture = b"<p>Before<img src='data:image/png;base64," + b"A" * 3_000_000 + b"'>after</p>"
    assert parse("a.html", picture).text == "Beforeafter\n"


def test_html_with_end_tags_left_out_is_read_and_a_pile_of_tags_is_refused() -> None:
    page = "<ul>" + "<li>one<p>two" * 400 + "</ul><table><tr><td>a<td>b<tr><td>c<td>d</table>"
    text = parse("a.html", page.encode()).text
    assert text.count("one") == 400
    assert "| a | b |" in text

    def pile(size: int) -> None:
        assert "is nested too deeply" in refused("a.html", b"<div>" * size + b"x")

    assert grows_as_its_input(pile, 100_000)


@pytest.mark.parametrize("piece", ["<a ", '<a b="', "<a/", "<!--"])
def test_a_pile_of_beginnings_without_an_end_is_text(piece: str) -> None:
    pile = piece * (400_000 // len(piece))  # a quarter of an hour where each looks for its end
    assert parse("a.html", f"<p>Storks.</p>{pile}".encode()).text.startswith("Storks.\n\n")
    assert parse("a.html", b"<p>Is 1 < 2<!-- no --> or 3 <4").text == "Is 1 < 2 or 3 <4\n"


# -- encodings -------------------------------------------------------------------------------------

GREEK = "Η άδεια είναι 27 ημέρες.\nΌλοι οι εργαζόμενοι τη λαμβάνουν κάθε χρόνο.\n" * 5


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_names_the_encoding(encoding: str) -> None:
    mark = "\ufeff" if encoding[-3:] in {"-le", "-be"} else ""
    document = parse("a.txt", (mark + GREEK).encode(encoding))
    assert document.text == GREEK
    assert document.notes == ()


def test_a_guessed_encoding_is_noted_and_a_declared_one_is_believed() -> None:
    guessed = parse("a.txt", GREEK.encode("iso8859_7"))
    assert "ημέρες" in guessed.text
    assert guessed.notes[0].startswith("is not UTF-8; read as ")
    page = b"<meta charset='shift_jis'><p>" + "休暇は二十七日です。".encode("shift_jis") + b"</p>"
    assert parse("a.html", page).text == "休暇は二十七日です。\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("The “notice period” is 30 days – it’s short.\n", "cp1252"),
        ("It costs £30 a day, or 35 € at 20 °C ± 2.\n", "cp1252"),
        ("El año próximo habrá más información en la página.\n", "cp1252"),
        ("Zürich\n", "cp1252"),
        ("Łódź i Kraków są piękne.\n", "cp1250"),
        ("Kdy vyprší lhůta?\n", "cp1250"),
        ("Bildirim süresi otuz gündür. Ücret beş liradır, ışık yoktur.\n", "cp1254"),
        ("料金は五百円です。\n", "cp932"),
    ],
)
def test_a_short_text_is_read_in_what_is_used_and_not_in_what_happens_to_fit(
    text: str, encoding: str
) -> None:
    found = parse("a.txt", text.encode(encoding))
    assert found.text == text
    assert found.notes == (f"is not UTF-8; read as {encoding}, a guess",)


@pytest.mark.parametrize("declared", ["iso-8859-1", "Latin1", "us-ascii", "windows-1252"])
def test_a_page_that_says_latin_1_is_read_as_browsers_do(declared: str) -> None:
    page = f"<meta charset={declared}><p>The “rate” is 30 € – or 40.</p>".encode("cp1252")
    found = parse("a.html", page)
    assert (found.text, found.notes) == ("The “rate” is 30 € – or 40.\n", ())


def test_a_file_of_two_encodings_is_refused_with_the_line() -> None:
    mixed = "Größe\nÄußerung über Öl\n".encode() + "Straße\n".encode("latin-1")
    assert "another encoding in others (line 3)" in refused("a.md", mixed)
    assert "begins as UTF-16 but does not go on so" in refused("a.md", b"\xff\xfea\x00b")
    for encoding in ("gb18030", "shift_jis", "euc_kr", "cp1251", "latin-1"):
        texts = {"cp1251": "Привет, мир\n", "latin-1": "Größe und Öl\n", "euc_kr": "안녕하세요\n"}
        text = texts.get(encoding, "休暇日数\n中文\n") * 50
        assert parse("a.txt", text.encode(encoding)).notes  # one encoding alone is not mixed


# -- tables, lines and names -----------------------------------------------------------------------


def test_a_table_of_a_hundred_thousand_lines_is_read_in_little_memory() -> None:
    source = b"id,name,value\n" + b"12345,some name here,99.5\n" * 100_000
    tracemalloc.start()
    document = parse("a.csv", source)
    passages = split(document, Splitting())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(document.text) == 4_600_000
    assert passages[-1].end == len(document.text) - 2
    assert peak < 10 * len(source)  # text, its pieces and its passages; no object a row


def test_every_one_of_a_million_lines_is_in_a_passage() -> None:
    source = b"id\n" + b"\n".join(b"%d" % number for number in range(1_000_000))
    document = parse("a.csv", source)
    passages = split(document, Splitting(8000))
    assert sum(passage.text.count("id: ") for passage in passages) == 1_000_000
    assert passages[-1].text.endswith("id: 999999")


def test_a_table_that_grows_by_its_column_names_is_refused() -> None:
    names = b",".join(b"c" * 5000 + str(n).encode() for n in range(100))
    assert "each row repeats the column names" in refused(
        "a.csv", names + b"\n" + (b"a," * 99 + b"a\n") * 1000
    )
    assert "line 2: field larger than" in refused("a.csv", b"a,b\n" + b"x" * 200_000 + b",2\n")


@pytest.mark.parametrize("ending", [".md", ".txt", ".py", ".html"])
@pytest.mark.parametrize("piece", ["word *and* [more] ", "x", "中文", "( ", "\u0301", "a. "])
def test_one_line_of_a_megabyte_takes_time_in_proportion(ending: str, piece: str) -> None:
    def read(size: int) -> None:
        document = parse(f"a{ending}", f"start {piece * (size // len(piece))}".encode())
        for passage in split(document, Splitting()):
            assert document.text[passage.start : passage.end] == passage.text
            assert len(passage.text) <= 1000

    assert grows_as_its_input(read, 1_000_000)


def test_links_out_of_the_folder_are_named_and_never_read(tmp_path: Path) -> None:
    folder, outside = tmp_path / "documents", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "secret.md").write_text("secret")
    (folder / "fine.md").write_text("fine")
    (folder / "linked").symlink_to(outside)
    (folder / "up.md").symlink_to("../outside/secret.md")
    (folder / "loop.md").symlink_to("loop.md")
    (folder / "inside.md").symlink_to("fine.md")
    os.mkfifo(folder / "pipe.md")
    (folder / os.fsdecode(b"name\xff.md")).write_text("odd name")
    said, read = {}, {}
    for path in find_documents(folder):
        try:
            read[path.name] = read_source(path, folder, 1000)
        except DocumentError as error:
            said[ascii(path.name)] = str(error)
    assert read == {"fine.md": b"fine", "inside.md": b"fine"}
    assert all(
        "is a link to outside the folder or to itself" in said[repr(name)]
        for name in ("linked", "up.md", "loop.md")
    )
    assert "its name is not UTF-8" in said[ascii("name\udcff.md")]
    assert len(said) == 4


def test_front_matter_without_end_is_text_and_a_file_beside_is_named(tmp_path: Path) -> None:
    deep = f"a: {'[' * 3000}{']' * 3000}"
    for name, front in {"deep": deep, "ring": "a: &a [*a]", "fine": "a: 1"}.items():
        (tmp_path / f"{name}.md").write_text(f"---\n{front}\n---\nStorks nest in {name}.\n")
    (tmp_path / "beside.md").write_text("Herons fish.")
    (tmp_path / "beside.md.meta.yaml").write_text(deep)
    index = Index(tmp_path / "i", make_embedder("static"))
    said = dict(index.sync(tmp_path).failed)
    assert said.keys() == {"beside.md"}
    assert "beside.md.meta.yaml: is nested too deeply" in said["beside.md"]
    assert {hit.passage.document for hit in index.search("storks", 9)} == {
        "deep.md", "ring.md", "fine.md",
    }  # fmt: skip
    assert (index.metadata("ring.md"), index.metadata("fine.md")) == ({}, {"a": [1.0]})
    index.close()


def test_a_hostile_file_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    hostile = {
        "a.docx": word_bytes({"word/document.xml": LAUGHS.encode()}),
        "b.pdf": b"%PDF-1.4 broken",
        "c.html": b"<div>" * 100_000,
        "d.csv": b"a,b\n" + b"x" * 200_000,
        "e.md": "Größe\n".encode() + "Straße\n".encode("latin-1"),
    }
    good = {"a.docx": word_bytes(), "b.pdf": pdf_bytes(["Herons fish."])}
    for name in hostile:
        (folder / name).write_bytes(good.get(name, f"Storks nest in {name[0]}.".encode()))
    index = Index(tmp_path / "index", make_embedder("static"))
    assert index.sync(folder).failed == ()
    before, revision = index.passages(), index.revision
    for name, source in hostile.items():
        (folder / name).write_bytes(source)
    report = index.sync(folder)
    assert sorted(name for name, _ in report.failed) == sorted(hostile)
    assert (index.passages(), index.revision) == (before, revision)
    index.close()

"""DOCX to Markdown: headings, paragraphs, tables, notes. Bombs are refused before they open."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from genai import extras
from genai.errors import DocumentError
from genai.rag.documents.parsed import Parsed
from genai.text.terms import unprinted

MAX_EXPANDED = 500_000_000  # bytes of all parts
MAX_MARKUP = 50_000_000  # bytes of XML, whose tree takes some ten times as much memory
_MAX_DIRECTORY = 5_000_000
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
_PIECE = 1 << 20
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# what stands around text that a reader sees: tracked changes, content controls, fields, tags
_AROUND = [f"{_W}{name}" for name in (
    "ins", "moveTo", "sdt", "sdtContent", "fldSimple", "smartTag", "customXml",
)]  # fmt: skip
_REFERENCES = (f"{_W}footnoteReference", f"{_W}endnoteReference")
# what was moved away, and the same drawing once more for an older Word
_UNSEEN = (
    f"{_W}moveFrom", "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
)  # fmt: skip


def read_docx(name: str, source: bytes) -> Parsed:
    """Read a Word document.

    Raises:
        DocumentError: it is encrypted, expands too far, or declares entities.
    """
    if source.startswith(_OLD_OFFICE):
        raise DocumentError(
            f"{name}: is encrypted, or an old .doc; save it as .docx without a password"
        )
    _refuse_bombs(name, source)
    docx = extras.load("docx", "rag")
    lines: list[str] = []
    document = docx.Document(io.BytesIO(source))
    _unwrap(document.element.body)
    notes = _notes(document.part)
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            for number, table_row in enumerate(block.rows):
                cells = [_text(cell._tc) for cell in table_row.cells]
                lines.append(f"| {' | '.join(cells)} |")
                if number == 0:
                    lines.append(f"|{' --- |' * len(cells)}")
            lines.append("")
        elif block.text.strip():
            style = (block.style.name or "") if block.style else ""
            depth = style.removeprefix("Heading ") if style.startswith("Heading ") else ""
            mark = "#" * min(int(depth), 6) + " " if depth.isdigit() else ""
            mark = "# " if style == "Title" else mark
            lines += [mark + block.text.strip(), ""]
        for each in block._element.iter(*_REFERENCES):
            if note := notes.get((each.tag, each.get(f"{_W}id"))):
                lines += [note, ""]
    return Parsed(unprinted("\n".join(lines)))


def _text(element: Any) -> str:
    """Give the words of all paragraphs in an element, of tables in it too."""
    return " ".join(word for each in element.iter(f"{_W}p") for word in each.text.split())


def _notes(part: Any) -> dict[tuple[str, str], str]:
    """Give the text of each footnote and endnote by what refers to it: kind and number."""
    docx = extras.load("docx", "rag")
    found: dict[tuple[str, str], str] = {}
    for each in part.rels.values():
        name = each.reltype.rpartition("/")[2]
        if name in ("footnotes", "endnotes") and not each.is_external:
            root = docx.oxml.parse_xml(each.target_part.blob)
            _unwrap(root)
            found |= {(f"{_W}{name[:-1]}Reference", note.get(f"{_W}id")): _text(note)
                      for note in root}  # fmt: skip
    return found


def _unwrap(body: Any) -> None:
    """Put all text that a reader sees where `docx` looks for it: it reads plain runs alone."""
    for each in [*body.iter(*_UNSEEN)]:
        each.getparent().remove(each)
    for each in [*body.iter(*_AROUND)]:
        for child in [*each]:
            each.addprevious(child)
        each.getparent().remove(each)
    for box in reversed([*body.iter(f"{_W}txbxContent")]):  # after the paragraph that it hangs on
        holder = next(box.iterancestors(f"{_W}p"))
        for child in reversed([*box]):
            holder.addnext(child)


def _refuse_bombs(name: str, source: bytes) -> None:
    """Refuse before anything is expanded: zipfile gives no more bytes than a part declares."""
    end = source.rfind(b"PK\x05\x06")
    if end >= 0 and int.from_bytes(source[end + 12 : end + 16], "little") > _MAX_DIRECTORY:
        raise DocumentError(f"{name}: holds too many parts for a document; save it again")
    with zipfile.ZipFile(io.BytesIO(source)) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > MAX_EXPANDED:
            raise DocumentError(f"{name}: expands to over {MAX_EXPANDED // 10**6} MB; split it")
        markup = 0
        for part in parts:
            for piece in _markup(archive, part):
                markup += len(piece)
                if b"<!DOCTYPE" in piece.replace(b"\x00", b""):  # also where it is UTF-16
                    raise DocumentError(
                        f"{name}: declares entities in {part.filename!a}, which no Word document"
                        " does; save it again in Word"
                    )
            if markup > MAX_MARKUP:
                raise DocumentError(
                    f"{name}: expands to over {MAX_MARKUP // 10**6} MB of XML; split it"
                )


def _markup(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Give a part's bytes if it is XML: overlapping pieces, so that no word is cut unseen."""
    with archive.open(part) as stream:
        piece = stream.read(_PIECE)
        head = piece.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
        while piece and (not head or head.startswith(b"<")):
            yield piece
            ending, piece = piece[-20:], stream.read(_PIECE)
            piece = ending + piece if piece else b""

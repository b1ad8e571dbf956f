"""Read a file into canonical text. Every later offset is a code point of that text.

Markdown and plain text keep their own characters. HTML and DOCX become Markdown, so headings and
tables survive; a PDF becomes its pages' text; each CSV row becomes one line of `column: value`.
"""

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genai import extras
from genai.errors import DocumentError

MAX_EXPANDED = 500_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """A file as text. `pages` holds the offset at which each page begins, for a PDF."""

    path: str
    source_hash: str
    text: str
    kind: str
    pages: tuple[int, ...] = ()

    @property
    def hash(self) -> str:
        """Hash of the canonical text."""
        return text_hash(self.text)


def text_hash(text: str) -> str:
    """Hash canonical text; a citation carries this to be checked again later."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def find_documents(folder: Path) -> list[Path]:
    """List the files of the folder whose kind we read, hidden ones left out, sorted."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _READERS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and (path.is_file() or path.is_symlink())
    ]


def read_source(path: Path, folder: Path, max_bytes: int) -> bytes:
    """Read a file's bytes.

    Raises:
        DocumentError: it vanished, is too large, cannot be read, or a link leaves the folder.
    """
    name = path.relative_to(folder).as_posix()
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DocumentError(f"{name}: is a link to outside the folder; copy the file instead")
        size = path.stat().st_size
        if size > max_bytes:
            raise DocumentError(
                f"{name}: {size / 1e6:.0f} MB is over the limit of {max_bytes / 1e6:.0f} MB;"
                " split it or raise `index.max_megabytes`"
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DocumentError(f"{name}: vanished during the sync; run it again") from error
    except OSError as error:
        raise DocumentError(f"{name}: cannot be read ({error.strerror}); mend it") from error


def parse(name: str, source: bytes) -> Document:
    """Turn a file's bytes into a document; the file's ending chooses the parser.

    Raises:
        DocumentError: empty, binary, damaged, or without any text.
    """
    if not source.strip():
        raise DocumentError(f"{name}: is empty; remove it or fill it")
    kind, reader = _READERS[Path(name).suffix.lower()]
    try:
        text, pages = reader(name, source)
    except DocumentError:
        raise
    except Exception as error:  # parsers of hostile files raise anything
        raise DocumentError(
            f"{name}: cannot be read as {kind} ({type(error).__name__}); open and save it again"
        ) from error
    # the store holds UTF-8: a lone surrogate and NUL become one other character each
    text = text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    if not text.strip():
        cure = "run OCR on it first (for example ocrmypdf)" if kind == "pdf" else "add text"
        raise DocumentError(f"{name}: holds no text; {cure}")
    return Document(name, hashlib.sha256(source).hexdigest(), text, kind, pages)


Parsed = tuple[str, tuple[int, ...]]


def _decode(name: str, source: bytes) -> str:
    if b"\x00" in source[:8192] and not source.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DocumentError(f"{name}: is binary, not text; convert it or remove it")
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError:
        guess = extras.load("charset_normalizer", "rag").from_bytes(source).best()
        if guess is None:
            raise DocumentError(f"{name}: its encoding is not known; save it as UTF-8") from None
        return str(guess)


def _text(name: str, source: bytes) -> Parsed:
    return _decode(name, source), ()


def _html(name: str, source: bytes) -> Parsed:
    soup = extras.load("bs4", "rag").BeautifulSoup(_decode(name, source), "html.parser")
    for tag in soup(["script", "style", "noscript", "template", "iframe", "object"]):
        tag.decompose()
    markdownify = extras.load("markdownify", "rag")
    text: str = markdownify.MarkdownConverter(
        heading_style="ATX", strip=["img"], escape_underscores=False, escape_asterisks=False
    ).convert_soup(soup.body or soup)
    return text.strip() + "\n", ()


def _pdf(name: str, source: bytes) -> Parsed:
    pypdf = extras.load("pypdf", "rag")
    reader = pypdf.PdfReader(io.BytesIO(source))
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentError(f"{name}: is encrypted; save a copy without a password")
    text, starts = "", []
    for page in reader.pages:
        starts.append(len(text))
        text += (page.extract_text() or "").strip() + "\n\n"
    return text if text.strip() else "", tuple(starts)


def _docx(name: str, source: bytes) -> Parsed:
    with zipfile.ZipFile(io.BytesIO(source)) as archive:
        if sum(item.file_size for item in archive.infolist()) > MAX_EXPANDED:
            raise DocumentError(f"{name}: expands to over 500 MB; split it")
    docx = extras.load("docx", "rag")
    lines: list[str] = []
    for block in docx.Document(io.BytesIO(source)).iter_inner_content():
        if hasattr(block, "rows"):
            for number, table_row in enumerate(block.rows):
                cells = [" ".join(cell.text.split()) for cell in table_row.cells]
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
    return "\n".join(lines), ()


def _csv(name: str, source: bytes) -> Parsed:
    text = _decode(name, source)
    try:
        dialect: type[csv.Dialect] | str = csv.Sniffer().sniff(text[:4096], ",;\t|")
    except csv.Error:
        dialect = "excel"
    rows = csv.reader(io.StringIO(text), dialect)
    header = [cell.strip() for cell in next(rows, [])]
    lines = []
    for cells in rows:
        named = zip([*header, *[""] * (len(cells) - len(header))], cells, strict=False)
        fields = [f"{key}: {value.strip()}" if key else value.strip() for key, value in named]
        line = "; ".join(" ".join(field.split()) for field in fields if field.strip())
        if line:
            lines.append(line)
    return "\n".join(lines or ["; ".join(header)]) + "\n", ()


_READERS: dict[str, tuple[str, Callable[[str, bytes], Parsed]]] = {
    ".md": ("markdown", _text),
    ".markdown": ("markdown", _text),
    ".html": ("html", _html),
    ".htm": ("html", _html),
    ".pdf": ("pdf", _pdf),
    ".docx": ("docx", _docx),
    ".txt": ("text", _text),
    ".csv": ("csv", _csv),
}
KINDS = sorted(_READERS)

"""Read a file into canonical text. Every later offset is a code point of that text.

Markdown, plain text and programs keep their own characters. HTML and DOCX become Markdown, so
headings and tables survive; a PDF becomes its pages' text; each CSV row becomes one line of
`column: value`. Nothing in a file is run, fetched or expanded without a limit.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from genai.config import text_hash
from genai.errors import DocumentError
from genai.rag.documents.encoding import decode
from genai.rag.documents.markup import read_html
from genai.rag.documents.parsed import Parsed
from genai.rag.documents.pdf import read_pdf
from genai.rag.documents.rows import read_csv
from genai.rag.documents.word import read_docx

__all__ = ["SIDECAR", "Document", "find_documents", "other_kinds", "parse", "read_source"]


SIDECAR = ".meta.yaml"  # `plan.pdf.meta.yaml` holds the metadata of `plan.pdf`
_HIDDEN = (".", "~$")  # `~$plan.docx` lies beside a file that somebody has open in Word


@dataclass(frozen=True, slots=True)
class Document:
    """A file as text. `pages` holds the offset at which each page begins, for a PDF.

    `notes` say what a person should know of the reading: a guessed encoding, scripts left out.
    """

    path: str
    text: str
    kind: str
    pages: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Hash of the canonical text; a citation carries it to be checked again later."""
        return text_hash(self.text)


def find_documents(folder: Path) -> list[Path]:
    """List the files of the folder whose kind we read, hidden ones left out, sorted.

    A link to a folder outside, and a folder that cannot be listed, are in it too, so that reading
    them says why what they hold is not.
    """
    closed: list[OSError] = []
    found = [
        path
        for place, folders, files in _walk(folder, closed.append)
        for path in (Path(place, name) for name in (*folders, *files))
        if _listed(path, folder)
    ]
    failed = (Path(error.filename) for error in closed)
    return sorted([*found, *(path for path in failed if path != folder)])


def other_kinds(folder: Path) -> dict[str, int]:
    """Count the folder's files of kinds that we do not read, by how their names end.

    Hidden ones are left out, and the YAML files that hold metadata.
    """
    names = (Path(name) for _, _, files in _walk(folder) for name in files)
    endings = Counter(
        path.suffix.lower() or path.name
        for path in names
        if path.suffix.lower() not in _READERS and not path.name.endswith(SIDECAR)
    )
    return dict(endings.most_common())


def _walk(
    folder: Path, onerror: Callable[[OSError], None] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk through the folder, leaving out what is hidden: place, folders, files."""
    for place, folders, files in os.walk(folder, onerror=onerror):
        folders[:] = [name for name in folders if not name.startswith(_HIDDEN)]
        yield place, folders, [name for name in files if not name.startswith(_HIDDEN)]


def _listed(path: Path, folder: Path) -> bool:
    known = path.suffix.lower() in _READERS
    try:
        return (known and (path.is_file() or path.is_symlink())) or (
            path.is_symlink() and path.is_dir() and not _inside(path, folder)
        )
    except OSError:  # its folder may be listed and not entered
        return known


def read_source(path: Path, folder: Path, max_bytes: int) -> bytes:
    """Read a file's bytes.

    Raises:
        DocumentError: it vanished, is too large, cannot be read, or a link leaves the folder.
    """
    name = path.relative_to(folder).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DocumentError(f"{name!a}: its name is not UTF-8; rename it") from None
    try:
        if not _inside(path, folder):
            raise DocumentError(
                f"{name}: is a link to outside the folder or to itself; copy the file instead"
            )
        if path.is_dir():
            os.listdir(path)
            raise DocumentError(f"{name}: could not be listed before; run it again")
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


def _inside(path: Path, folder: Path) -> bool:
    try:
        found = path.resolve()
    except RuntimeError:  # a link that leads to itself
        return False
    # from Python 3.13 on such a link is given as it is
    return found.is_relative_to(folder.resolve()) and not found.is_symlink()


def parse(name: str, source: bytes) -> Document:
    """Turn a file's bytes into a document; the file's ending chooses the parser.

    Raises:
        DocumentError: empty, binary, damaged, hostile, or without any text.
    """
    if not source.strip():
        raise DocumentError(f"{name}: is empty; remove it or fill it")
    kind, reader = _READERS[Path(name).suffix.lower()]
    try:
        parsed = reader(name, source)
    except DocumentError:
        raise
    except RecursionError as error:
        raise DocumentError(f"{name}: is nested too deeply; simplify it") from error
    except Exception as error:  # parsers of hostile files raise anything
        raise DocumentError(
            f"{name}: cannot be read as {kind} ({type(error).__name__}); open and save it again"
        ) from error
    # the store holds UTF-8: a lone surrogate and NUL become one other character each
    text = parsed.text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    if not text.strip():
        cure = "run OCR on it first (for example ocrmypdf)" if kind == "pdf" else "add text"
        raise DocumentError(f"{name}: holds no text; {cure}")
    return Document(name, text, kind, parsed.pages, parsed.notes)


def _read_text(name: str, source: bytes) -> Parsed:
    text, notes = decode(name, source)
    return Parsed(text, notes=notes)


_CODE = (
    ".py .js .jsx .ts .tsx .java .kt .go .rs .c .h .cc .cpp .hpp .cs .swift .scala .php .rb .sh .r"
    " .sql"
)
_READERS: dict[str, tuple[str, Callable[[str, bytes], Parsed]]] = {
    ".md": ("markdown", _read_text),
    ".markdown": ("markdown", _read_text),
    ".html": ("html", read_html),
    ".htm": ("html", read_html),
    ".pdf": ("pdf", read_pdf),
    ".docx": ("docx", read_docx),
    ".txt": ("text", _read_text),
    ".csv": ("csv", read_csv),
    **dict.fromkeys(_CODE.split(), ("code", _read_text)),
}

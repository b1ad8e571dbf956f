"""Exact spans: generated documents, and what every splitter of them is held to."""

import io

import docx
from hypothesis import strategies as st
from makers import pdf_bytes

from genai.rag.documents import Document, parse
from genai.rag.split.base import joined
from genai.text.sentences import sentences
from genai.types import Passage

PIECES = st.sampled_from(
    ["# Title\n", "## Under\n", "A sentence. ", "Zwei Sätze! ", "\r\n", "\n\n", "- item\n", "\t"]
    + ["| a | b |\n|---|---|\n| 1 | 2 |\n", "```\ncode = 1\n```\n", "😀 emoji. ", "\u0301"]
    + [
        "中文没有空格。",
        "e\u0301tude ",
        "\x0b",
        "\u2028",
        "שלום. ",
        "مرحبا؟ ",
        "word " * 90,
        "x" * 700,
    ]
    + ["> quote\n", "<b>tag</b> ", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽", "한국어", "\u1112\u1161\u11ab"]
    + [
        "def f(a):\n    return 1\n",
        "class A {\n  b() { return '}'; }\n}\n",
        "    ",
        "}",
        "\x00",
        "a\x00b",
    ]
    + ["中" * 200, "👩‍🚀" * 60, "`" * 3, "\r", "same line. same line. ", "“Quoted.” "]
)
ENDINGS = [".md", ".txt", ".html", ".csv", ".py", ".js", ".docx", ".pdf"]


def source(pieces: list[str], ending: str) -> bytes:
    """Write a generated document in the form of its kind."""
    text = "".join(pieces)
    if ending == ".docx":
        made, out = docx.Document(), io.BytesIO()
        for line in text.replace("\x0b", " ").replace("\x00", "").split("\n"):
            made.add_paragraph(line)
        made.save(out)
        return out.getvalue()
    if ending == ".pdf":
        plain = "".join(c for c in text if " " <= c < "\x7f" and c not in "()\\")
        return pdf_bytes([plain[:500], plain[500:], ""])
    # a NUL among the first bytes says binary
    return (text.lstrip("\x00").replace("\x00", "", 2) if ending else text).encode()


def document(text: str, name: str = "a.txt") -> Document:
    return parse(name, text.encode())


def texts(passages: list[Passage]) -> list[str]:
    return [passage.text for passage in passages]


def check(read: Document, passages: list[Passage], limit: int = 300) -> None:
    """Fail unless the passages are exact, in order, whole, within the limit and the page."""
    text, end = read.text, 0
    for passage in passages:
        assert text[passage.start : passage.end] == passage.text
        assert passage.text.strip()
        assert not text[end : passage.start].strip(), "text is lost before a passage"
        assert passage.end > end, "a passage lies inside the one before it"
        assert len(passage.text) <= limit
        assert text[passage.start - 1 : passage.start].isspace() or not joined(text, passage.start)
        following = [page for page in read.pages if page > passage.start]
        assert not following or passage.end <= following[0], "a passage crosses a page"
        for start, stop in sentences(passage.text):  # what an answer quotes
            assert text[passage.start + start : passage.start + stop] == passage.text[start:stop]
        end = passage.end
    assert not text[end:].strip(), "the end is lost"
    assert len({passage.id for passage in passages}) == len(passages)

"""Exact spans: what every splitter of every document is held to."""

from genai.rag.documents import Document, parse
from genai.rag.split.base import joined
from genai.text.sentences import sentences
from genai.types import Passage


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

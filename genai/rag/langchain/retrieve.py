"""Retrievers: an Index as LangChain's, and LangChain's as what a Chain searches."""

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from genai.config import text_hash
from genai.errors import InputError
from genai.rag.index import Index, SyncReport
from genai.rag.search import Where
from genai.text.terms import content_stems
from genai.types import Citation, Context, Hit, Passage

_OTHERS = 10  # texts assumed not to hold a word, or a word of the only text found says nothing
_HELD = 10_000  # texts of a retriever that citations can still be checked against
_FARTHEST = 10_000_000  # characters; a start beyond is taken for none


class IndexRetriever(BaseRetriever):
    """An Index as a LangChain retriever; each Document is a passage with its place and scores."""

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: Index
    k: int = 6
    where: Where | None = None
    tenant: str = ""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int = 0
    ) -> list[Document]:
        hits = self.index.search(query, k or self.k, where=self.where, tenant=self.tenant)
        return [as_document(hit) for hit in hits]


def as_document(hit: Hit) -> Document:
    """Give a passage as a Document, with its place and its scores."""
    found, scores = hit.passage, {"score": hit.score, "bm25": hit.bm25, "dense": hit.dense}
    place = {"source": found.document, "start": found.start, "end": found.end}
    more = {"heading": found.heading or None, "page": found.page, **scores}
    known = {key: value for key, value in more.items() if value is not None}
    return Document(id=found.id, page_content=found.text, metadata={**place, **known})


@dataclass(slots=True)
class _Seen:
    """What was retrieved of one document: pieces by where they start, blanks between them."""

    pieces: dict[int, str] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    view: str = ""

    def fits(self, start: int, piece: str) -> bool:
        """Say whether a piece agrees with those held; if not, it is of another version."""
        return all(
            piece[max(at - start, 0) : at - start + len(held)]
            == held[max(start - at, 0) : start - at + len(piece)]
            for at, held in self.pieces.items()
            if at < start + len(piece) and start < at + len(held)
        )

    def text(self) -> str:
        """Give the document as far as it was seen; its hash is good from now on."""
        if not self.view:
            letters = [" "] * max(at + len(piece) for at, piece in self.pieces.items())
            for at, piece in self.pieces.items():
                letters[at : at + len(piece)] = piece
            self.view = "".join(letters)
            self.hashes.add(text_hash(self.view))
        return self.view


class RetrieverIndex:
    """A LangChain retriever, or another runnable from a question to Documents, in a Chain.

    A Document is a passage of the document its metadata names as `source`, at `start_index`, as
    LangChain's splitters write it (`add_start_index=True`). Without that it is a document of its
    own, `source#hash`; where a loader gave pages, each of them is one, `source#page=1`. Citations
    are checked against what was retrieved, and how telling a word is is counted over it. Filters
    and tenants are the retriever's own affair.
    """

    def __init__(self, retriever: Any, name: str = "") -> None:
        self._retriever = retriever
        self.name = name or type(retriever).__name__
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._pieces = 0
        self._lock = Lock()

    @property
    def revision(self) -> str:
        """The retriever by name: what it holds is not known."""
        return f"langchain {self.name}"

    generation = revision

    def search(
        self,
        question: str,
        top_k: int = 6,
        *,
        where: Where | None = None,
        tenant: str = "",
        context: Context | None = None,
    ) -> list[Hit]:
        """Give what the retriever gives, at most `top_k`, in its order.

        Raises:
            InputError: a filter or tenant is asked for, or no Documents came.
        """
        if where is not None or tenant:
            raise InputError(
                f"retriever {self.name}: takes no filter and no tenant of ours; build them into it"
            )
        found = self._retriever.invoke(question)
        if not isinstance(found, list) or not all(isinstance(each, Document) for each in found):
            raise InputError(
                f"retriever {self.name}: gave no list of Documents; end it with a retriever"
            )
        with self._lock:
            passages = dict.fromkeys(self._keep(e) for e in found if e.page_content.strip())
            self._forget()
        best = list(passages)[:top_k]
        return [Hit(passage, 1 / rank) for rank, passage in enumerate(best, start=1)]

    def held_back(self, question: str, top_k: int = 6, **options: Any) -> list[Hit]:
        """Give nothing: what a retriever leaves out is not known."""
        return []

    def _keep(self, document: Document) -> Passage:
        piece, said = document.page_content, document.metadata
        name, start = str(said.get("source") or document.id or "retrieved"), said.get("start_index")
        page = said.get("page") if type(said.get("page")) is int else None
        if page is not None and "start" not in said:  # theirs, which counts from 0; ours from 1
            page += 1
            name = f"{name}#page={page}"  # for within each page `start_index` begins anew
        if type(start) is not int or not 0 <= start <= _FARTHEST:
            name, start = f"{name}#{text_hash(piece)[:8]}", 0
        seen = self._seen.get(name)
        if seen is not None and not seen.fits(start, piece):
            self._drop(name)
            seen = None
        seen = seen or self._seen.setdefault(name, _Seen())
        self._seen.move_to_end(name)
        if len(seen.pieces.get(start, "")) < len(piece):
            self._pieces += start not in seen.pieces
            self._counts.subtract(content_stems([seen.pieces.get(start, "")])[0])
            self._counts.update(content_stems([piece])[0])
            seen.pieces[start], seen.view = piece, ""
        key = text_hash(f"{name}\x1f{start}\x1f{piece}")[:32]
        return Passage(key, name, start, start + len(piece), piece, page=page)

    def _drop(self, name: str) -> None:
        pieces = self._seen.pop(name).pieces
        self._pieces -= len(pieces)
        for stems in content_stems([*pieces.values()]):
            self._counts.subtract(stems)

    def _forget(self) -> None:
        """Let go of the documents that were not found for longest."""
        while self._pieces > _HELD and len(self._seen) > 1:
            self._drop(next(iter(self._seen)))

    def idf(self, stem: str) -> float:
        """Give how telling a stem is among the texts retrieved so far."""
        n, seen = self._pieces + _OTHERS, self._counts[stem]
        return math.log(1 + (n - seen + 0.5) / (seen + 0.5))

    def document(self, path: str) -> tuple[str, str] | None:
        """Give what was seen of a document, blanks between, and its hash, while it is held."""
        with self._lock:
            seen = self._seen.get(path)
            return None if seen is None else (seen.text(), text_hash(seen.text()))

    def check(self, citation: Citation) -> bool:
        """Say whether a citation quotes what was retrieved, character for character."""
        with self._lock:
            seen = self._seen.get(citation.document)
            return (
                seen is not None
                and citation.document_hash in seen.hashes
                and citation.quote != ""
                and any(
                    at <= citation.start
                    and piece[citation.start - at : citation.end - at] == citation.quote
                    for at, piece in seen.pieces.items()
                )
            )

    def documents(self) -> list[str]:
        """List the documents seen so far."""
        return sorted(self._seen)

    def sync(self, folder: Path | str, **options: Any) -> SyncReport:
        """Do nothing: what it searches is the retriever's own affair."""
        return SyncReport(passages=self._pieces, revision=self.revision)

    def warm(self) -> None:
        """Do nothing: a retriever has no first time that we know of."""

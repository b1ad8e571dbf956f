"""Retrievers: an Index as LangChain's, and LangChain's as what a Chain searches."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from genai.errors import InputError
from genai.rag.documents import text_hash
from genai.rag.index import Index, SyncReport
from genai.rag.search import Where
from genai.text.terms import content_stems
from genai.types import Citation, Context, Hit, Passage

_HELD = 10_000  # texts of a retriever that citations can still be checked against


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


class RetrieverIndex:
    """A LangChain retriever, or another runnable from a question to Documents, in a Chain.

    Each Document is a passage and its own text what citations are checked against, so its quotes
    stand in what was retrieved. How telling a word is, is counted over what was retrieved so far.
    Filters and tenants are the retriever's own affair.
    """

    def __init__(self, retriever: Any, name: str = "") -> None:
        self._retriever = retriever
        self.name = name or type(retriever).__name__
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._counts: dict[str, int] = {}
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
        passages = dict.fromkeys(_read(each) for each in found if each.page_content.strip())
        best = list(passages)[:top_k]
        self._hold(best)
        return [Hit(passage, 1 / rank) for rank, passage in enumerate(best, start=1)]

    def _hold(self, passages: Sequence[Passage]) -> None:
        with self._lock:
            for passage in passages:
                if passage.document not in self._texts:
                    for stem in content_stems([passage.text])[0]:
                        self._counts[stem] = self._counts.get(stem, 0) + 1
                self._texts[passage.document] = passage.text
                self._texts.move_to_end(passage.document)
            while len(self._texts) > _HELD:
                _, text = self._texts.popitem(last=False)
                for stem in content_stems([text])[0]:
                    self._counts[stem] -= 1

    def idf(self, stem: str) -> float:
        """Give how telling a stem is among the texts retrieved so far."""
        n, seen = len(self._texts), self._counts.get(stem, 0)
        return math.log(1 + (n - seen + 0.5) / (seen + 0.5))

    def document(self, path: str) -> tuple[str, str] | None:
        """Give a retrieved text and its hash, while it is held."""
        text = self._texts.get(path)
        return None if text is None else (text, text_hash(text))

    def check(self, citation: Citation) -> bool:
        """Say whether a citation quotes what was retrieved, character for character."""
        found = self.document(citation.document)
        return (
            found is not None
            and found[1] == citation.document_hash
            and found[0][citation.start : citation.end] == citation.quote != ""
        )

    def documents(self) -> list[str]:
        """List the texts retrieved so far."""
        return sorted(self._texts)

    def sync(self, folder: Path | str, **options: Any) -> SyncReport:
        """Do nothing: what it searches is the retriever's own affair."""
        return SyncReport(passages=len(self._texts), revision=self.revision)

    def warm(self) -> None:
        """Do nothing: a retriever has no first time that we know of."""


def _read(document: Document) -> Passage:
    text, said = document.page_content, document.metadata
    own = text_hash(text)
    source = str(said.get("source") or document.id or "retrieved")
    page = said.get("page") if isinstance(said.get("page"), int) else None
    key = sha256(f"{source}\x1f{own}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return Passage(key, f"{source}#{own[:8]}", 0, len(text), text, page=page)

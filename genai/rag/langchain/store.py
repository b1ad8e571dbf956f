"""An Index as a LangChain vector store."""

import json
import shutil
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from genai.errors import DocumentError, InputError
from genai.models.langchain.inward import embed_with
from genai.models.langchain.outward import GenaiEmbeddings
from genai.rag.documents import SIDECAR, parse
from genai.rag.index import Index, SyncReport
from genai.rag.langchain.retrieve import as_document
from genai.rag.metadata import KEY
from genai.rag.search import Where
from genai.types import Hit

_OWN = "langchain_document"  # the metadata key under which a Document's id and metadata are kept
_MOST = 63  # keys beside that one, and values a key


class IndexStore(VectorStore):
    """An Index as a LangChain vector store, searched by words and embeddings both.

    Added Documents are files in the folder `documents`, which the index is kept in step with; they
    come back as they were added. Without a folder the store is read-only and gives passages. In an
    index with tenants a store speaks for one `tenant`.
    """

    def __init__(self, index: Index, documents: Path | str | None = None, *, tenant: str = ""):
        self.index = index
        self._root = None if documents is None else Path(documents)
        if tenant and Path(tenant).name != tenant:
            raise InputError(f"IndexStore: tenant {tenant!r} must be the name of a folder")
        self._tenant = tenant
        self._embed = GenaiEmbeddings(index.embedder)

    @property
    def embeddings(self) -> Embeddings:
        """The index's embedder as LangChain embeddings."""
        return self._embed

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        path: Path | str = "",
        **kwargs: Any,
    ) -> "IndexStore":
        """Make an index at `path`, its documents beside it, and add the texts.

        Raises:
            InputError: no path is given.
        """
        if not path:
            raise InputError("IndexStore: an index is kept on disk; give `path=` of its folder")
        home = Path(path)
        folder = home.with_name(home.name + ".documents")
        store = cls(Index(home, embed_with(embedding)), folder, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    # -- writing ---------------------------------------------------------------------------------

    def add_documents(
        self, documents: list[Document], *, ids: list[str] | None = None, **kwargs: Any
    ) -> list[str]:
        """Add or replace Documents by id; give the ids.

        Raises:
            InputError: the store is read-only, or a Document cannot be kept; none was added.
        """
        root = self._writable()
        given = ids or [document.id or str(uuid4()) for document in documents]
        if len(given) != len(documents):
            raise InputError(
                f"IndexStore: {len(given)} ids for {len(documents)} Documents; give one each"
            )
        written = {key: _files(key, each) for key, each in zip(given, documents, strict=True)}
        if not written:
            return []
        for key, (text, beside) in written.items():
            path = root / self._name(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            # the sidecar first: a text is never read without what it says of itself
            path.with_name(path.name + SIDECAR).write_bytes(beside)
            path.write_bytes(text)
        failed = dict(self._sync().failed)
        bad = [key for key in written if self._name(key) in failed]
        if bad:
            said = failed[self._name(bad[0])]
            raise InputError(f"IndexStore: Document {bad[0]!r} was not taken up: {said}")
        return given

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Remove Documents by id, unknown ones without a word; without ids, all of them.

        Raises:
            InputError: the store is read-only.
        """
        root = self._writable()
        if ids is None:
            shutil.rmtree(root / self._tenant, ignore_errors=True)
        for key in ids or ():
            path = root / self._name(key)
            path.unlink(missing_ok=True)
            path.with_name(path.name + SIDECAR).unlink(missing_ok=True)
        root.mkdir(parents=True, exist_ok=True)
        if self.index.revision:
            self._sync()
        return True

    def _writable(self) -> Path:
        if self._root is None:
            raise InputError(
                f"index {self.index.name}: this store is read-only, since the index holds exactly"
                " a folder's documents; give IndexStore that folder, or sync the folder"
            )
        if self.index.settings.tenants and not self._tenant:
            raise InputError(
                f"index {self.index.name}: has tenants, so a store that writes speaks for one; give"
                " IndexStore `tenant=`"
            )
        return self._root

    def _sync(self) -> SyncReport:
        return self.index.sync(self._writable(), prune=True, wait=60)

    def _name(self, key: str) -> str:
        name = f"{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.txt"
        return f"{self._tenant}/{name}" if self._tenant else name

    # -- reading ---------------------------------------------------------------------------------

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Give the Documents of these ids; unknown ones are left out."""
        if self._root is not None:
            kept = [self._document(self._name(key)) for key in ids]
            return [each for each in kept if each is not None]
        if not ids or not self.index.revision:
            return []
        whose = self.index._owner(self.index._answering(), self._tenant, None)
        mine = f"{whose}/" if whose else ""
        found = {p.id: p for p in self.index.passages() if p.document.startswith(mine)}
        return [as_document(Hit(found[key], 0.0)) for key in ids if key in found]

    def _document(self, path: str) -> Document | None:
        """Give a Document as it was added."""
        found = self.index.document(path)
        kept = self.index.metadata(path).get(_OWN)
        if found is None or not kept:
            return None
        said = json.loads(str(kept[0]))
        return Document(id=said["id"], page_content=found[0], metadata=said["metadata"])

    def similarity_search(
        self, query: str, k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[Document]:
        """Give the best Documents; `filter` maps a metadata key to a value, or is a `Where`."""
        return [each for each, _ in self.similarity_search_with_score(query, k, filter, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Give the best Documents, each with its score: the larger, the better."""
        return [(document, hit.score) for document, hit in self._found(query, k, filter, kwargs)]

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        found = self._found(query, k, filter, kwargs)
        if any(hit.dense is None for _, hit in found):
            raise InputError(
                f"index {self.index.name}: relevance is the similarity of embeddings, and"
                " `index.dense_weight` is 0; set it above 0 or ask for no threshold"
            )
        return [(each, min(max(hit.dense or 0.0, 0.0), 1.0)) for each, hit in found]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Give Documents that are near the question and unlike each other."""
        found = [each for each, _ in self._found(query, fetch_k, filter, kwargs)]
        if not found:
            return []
        vectors = self.index.embedder.embed([query, *(each.page_content for each in found)])
        chosen = maximal_marginal_relevance(vectors[0], list(vectors[1:]), lambda_mult, k)
        return [found[place] for place in chosen]

    def _found(
        self, query: str, k: int, filter: Any, more: Mapping[str, Any]
    ) -> list[tuple[Document, Hit]]:
        if more:
            raise InputError(f"IndexStore: a search knows no `{min(more)}`; use `k` and `filter`")
        if self._root is not None and not self.index.revision:
            return []
        where = Where(metadata=filter) if isinstance(filter, Mapping) else filter
        best: dict[str, tuple[Document, Hit]] = {}
        asked, seen = k, -1
        while len(best) < k and seen < asked:  # passages of one Document count once
            seen, asked = asked, 2 * asked
            hits = self.index.search(query, asked, where=where, tenant=self._tenant)
            for hit in hits:
                document = self._document(hit.passage.document) if self._root else as_document(hit)
                if document is not None and document.id:
                    best.setdefault(document.id, (document, hit))
            if len(hits) < asked:
                break
        return list(best.values())[:k]


def _files(key: str, document: Document) -> tuple[bytes, bytes]:
    """Give the bytes of a Document's text, and of the file beside it."""
    said = document.metadata
    try:
        own = json.dumps({"id": key, "metadata": said}, ensure_ascii=True, allow_nan=False)
        if json.loads(own)["metadata"] != said:
            raise ValueError("its metadata does not come back from JSON as it is")
        text = document.page_content.encode("utf-8")
        if not document.page_content.strip():
            raise ValueError("it has no text")
        if parse("document.txt", text).text != document.page_content:
            raise ValueError("its text does not come back from a file as it is")
    except (TypeError, ValueError, DocumentError) as error:
        raise InputError(f"IndexStore: Document {key!r} cannot be kept: {error}") from error
    plain = [name for name, value in said.items() if _filters(name, value)]
    # JSON is YAML, and quoted text stays text there
    beside = {**{name: said[name] for name in plain[:_MOST]}, _OWN: own}
    return text, json.dumps(beside).encode()


def _filters(name: str, value: Any) -> bool:
    """Say whether a search can filter by this: plain values, and lists of them."""
    values = value if isinstance(value, list) else [value]
    plain = all(isinstance(each, str | bool | int | float) for each in values)
    return plain and 0 < len(values) <= _MOST and bool(KEY.match(name))

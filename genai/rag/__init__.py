"""Retrieval-augmented answers: documents, index, search, citations, chain."""

from genai.rag.chain import Chain
from genai.rag.index import Index, SyncReport
from genai.rag.split import passages_of

__all__ = ["Chain", "Index", "SyncReport", "passages_of"]

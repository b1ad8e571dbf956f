"""Retrieval-augmented answers: documents, index, search, citations, chain."""

from genai.rag.chain import Chain
from genai.rag.index import Index, SyncReport

__all__ = ["Chain", "Index", "SyncReport"]

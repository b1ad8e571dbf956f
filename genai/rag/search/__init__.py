"""Find passages: BM25 and vectors, each over what the filter allows, joined by their scores."""

from genai.rag.search.fusion import Fused, fuse, standardise
from genai.rag.search.view import View
from genai.rag.search.where import Between, Where

__all__ = ["Between", "Fused", "View", "Where", "fuse", "standardise"]

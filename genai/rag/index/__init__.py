"""Documents in, passages found: an index with generations, filters, tenants and its own repair."""

from genai.rag.index.embed import Workers
from genai.rag.index.face import Generation, Index
from genai.rag.index.sync import SyncReport
from genai.rag.index.verify import Findings

__all__ = ["Findings", "Generation", "Index", "SyncReport", "Workers"]

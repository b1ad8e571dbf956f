"""What an index holds, in one SQLite file: manifest, passages, full text, vectors, metadata."""

from genai.rag.store.connection import SCHEMA_VERSION, OldIndex
from genai.rag.store.tables import Entry, Seen, Store

__all__ = ["SCHEMA_VERSION", "Entry", "OldIndex", "Seen", "Store"]

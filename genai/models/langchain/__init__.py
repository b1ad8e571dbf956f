"""LangChain's chat models and embeddings: ours as theirs, theirs as ours.

Only factories import this folder, for `langchain_core` takes half a second to load.
"""

from genai.models.langchain.inward import LangChain, embed_with, import_object
from genai.models.langchain.outward import ChatGenai, GenaiEmbeddings, usage_metadata
from genai.models.langchain.task import RunnableTask

__all__ = [
    "ChatGenai",
    "GenaiEmbeddings",
    "LangChain",
    "RunnableTask",
    "embed_with",
    "import_object",
    "usage_metadata",
]

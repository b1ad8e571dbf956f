"""LangChain both ways: our Index and Chain as theirs, their retrievers as what a Chain searches.

Only factories import this folder, for `langchain_core` takes half a second to load.
"""

from genai.rag.langchain.answer import chain_runnable
from genai.rag.langchain.retrieve import IndexRetriever, RetrieverIndex
from genai.rag.langchain.store import IndexStore

__all__ = ["IndexRetriever", "IndexStore", "RetrieverIndex", "chain_runnable"]

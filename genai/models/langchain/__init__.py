"""LangChain's chat models and embeddings: ours as theirs, theirs as ours.

Only factories import these files, for `langchain_core` takes half a second to load.
"""

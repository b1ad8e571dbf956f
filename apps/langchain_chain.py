"""A LangChain chain of your own: evaluated, guarded and logged like ours.

    genai eval handbook --task apps/langchain_chain.py:chain
    GENAI_CHAIN_INDEX=langchain/apps.langchain_chain:retriever genai ask "When does tuning pay?"

The second puts its retriever into our chain, as `chain.index` does for the chat too.
"""

from functools import partial
from operator import itemgetter
from typing import Any

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_text_splitters import RecursiveCharacterTextSplitter

import genai

PROMPT = ChatPromptTemplate.from_template("Answer from these notes:\n\n{contexts}\n\n{question}")
STOPS = {genai.Action.BLOCK, genai.Action.QUARANTINE, genai.Action.REASK}
STOPPED = {"text": "A guard stopped this.", "refused": True, "reason": "policy"}
guards = genai.load_guards()

pages = sorted((genai.find_project().root / "docs").glob("*.md"))
splitter = RecursiveCharacterTextSplitter(chunk_size=800, chunk_overlap=0, add_start_index=True)
store = InMemoryVectorStore(genai.to_langchain(genai.Index()).embeddings)  # our embedder
texts = [page.read_bytes().decode("utf-8") for page in pages]  # as they are, so that places hold
store.add_documents(splitter.create_documents(texts, [{"source": page.name} for page in pages]))
retriever = store.as_retriever(search_kwargs={"k": 4})


def guard(place: str, text: str) -> str:
    """Give a text as the project's guards let it pass. Raises `PermissionError`."""
    verdicts = guards.check(text, place)
    if guards.combine(verdicts) in STOPS:
        raise PermissionError(place)
    return guards.apply(text, verdicts)


def keep(found: list[Document]) -> list[Document]:
    """Leave out what a guard of passages holds back."""
    checked = [(each, guards.check(each.page_content, "passage")) for each in found]
    return [each for each, verdicts in checked if guards.combine(verdicts) not in STOPS]


def read(found: dict[str, Any]) -> Any:
    """Read with the configured model; without an LLM quote the nearest note."""
    if genai.settings().chain.model == "extractive":
        return next((each.page_content for each in found["contexts"]), "Nothing was found.")
    return PROMPT | genai.to_langchain(genai.model()) | StrOutputParser()


asked: Any = {"question": RunnableLambda(partial(guard, "question"))}
found = RunnablePassthrough.assign(contexts=itemgetter("question") | retriever | keep)
said = RunnablePassthrough.assign(text=RunnableLambda(read) | partial(guard, "answer"))
refused: Any = RunnableLambda(lambda _: STOPPED)
chain = (asked | found | said).with_fallbacks([refused], exceptions_to_handle=(PermissionError,))

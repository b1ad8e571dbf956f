"""What a model thinks aloud between `<think>` and `</think>` is no part of what it says."""

from pathlib import Path
from typing import Any

import pytest
from indexes import starter

import genai
from genai.errors import ModelError
from genai.models import Fake, open_model
from genai.models.base import Delta
from genai.types import Usage

TERMS = "Guests may return a lamp within thirty days. In the old terms it was ten days."
WEIGHED = (
    "<think>\nIn the old terms it was ten days [1]. NO_ANSWER {if} nothing fits.\n</think>\n\n"
)
SAID = "Guests may return a lamp within thirty days [1]."
TOLD = "Guests may return a lamp within thirty days. [1]"
QUESTION = "Within how many days may guests return a lamp?"


class Llm(Fake):
    """A scripted model that counts as an LLM elsewhere, and gives each reply letter by letter."""

    remote = True

    async def stream(self, messages, params):  # type: ignore[no-untyped-def]
        async for piece in super().stream(messages, params):
            for letter in piece.text:
                yield Delta(letter)
            if piece.finish_reason:
                yield piece


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    starter(tmp_path, terms=TERMS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENAI_CHAIN_MIN_CONFIDENCE", "0.05")
    genai.Index().sync(tmp_path / "docs")
    return tmp_path


def chain(*script: str, **settings: str) -> genai.Chain:
    return genai.load(model=genai.model("fake/llm", provider=Llm(script)), **settings)


@pytest.mark.parametrize("reply", [WEIGHED + SAID, "<think></think>" + SAID, " " + SAID])
def test_what_was_weighed_and_rejected_is_not_shown_as_the_answer(place: Path, reply: str) -> None:
    outcome = chain(reply)(QUESTION)
    assert outcome.text == TOLD
    assert [each.state for each in outcome.trace.sentences] == ["released"]


def test_thoughts_without_an_answer_are_a_refusal_and_a_lone_mark_is_a_text(place: Path) -> None:
    assert isinstance(chain(WEIGHED.removesuffix("</think>\n\n"))(QUESTION), genai.Refusal)
    assert chain("<thirty> days [1].")(QUESTION).text.startswith("<thirty> days")


def test_a_rewriter_and_a_reranker_may_think_too(place: Path) -> None:
    talk = [{"role": "user", "content": "What of a lamp?"}, {"role": "user", "content": "When?"}]
    rated = '{"ratings": [{"number": 1, "score": 7}]}'
    script = (WEIGHED + QUESTION, WEIGHED + rated, WEIGHED + SAID)
    outcome = chain(*script, chain__rewrite="auto", chain__rerank="judge")(talk)
    assert (outcome.trace.question, outcome.trace.notes) == (QUESTION, ())
    assert outcome.text == TOLD


class Thinks(Fake):
    """A model that reasons until its tokens are spent."""

    async def stream(self, messages: Any, params: Any) -> Any:
        yield Delta(finish_reason="length", usage=Usage(50, 700, source="provider"))


def test_a_model_that_spends_its_tokens_before_the_first_word_says_what_to_raise(
    place: Path,
) -> None:
    chain = genai.load(model=open_model("fake/thinks", provider=Thinks()))
    with pytest.raises(ModelError, match="spent its tokens before the first word") as caught:
        chain(QUESTION)
    assert "raise `max_tokens` of the prompt rag/answer" in str(caught.value)
    assert "`models.fake/thinks.params`" in str(caught.value)

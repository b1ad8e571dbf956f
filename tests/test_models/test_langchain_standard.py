"""LangChain's own standard tests: our models and embedders are chat models and embeddings."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import rules
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests
from servers import openai_server

from genai.models import make_embedder, open_model
from genai.models.langchain.outward import ChatGenai, GenaiEmbeddings

# reason of a skip -> why it stands
EXPLAINED = {
    "init_from_env_params not specified.": "keys are read when a call is made and kept nowhere",
    "Model is not serializable.": "a Model is open: it holds a ledger, limits and connections",
    "VCR not set up.": "the server is a loopback one; there is nothing to record",
    "Model does not support image tool message.": "a tool's reply is text in the chat protocol",
    "Model does not support PDF tool message.": "a tool's reply is text in the chat protocol",
}


class TestUnit(ChatModelUnitTests):
    explained: ClassVar = EXPLAINED

    @property
    def chat_model_class(self) -> type[ChatGenai]:
        return ChatGenai

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": open_model("openai/x@http://127.0.0.1:9/v1")}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        given = super().standard_chat_model_params
        del given["api_key"]  # a key stands in the environment, never in an argument
        return given


@pytest.mark.filterwarnings("ignore:OpenAI may require a filename")  # the test gives none
class TestIntegration(ChatModelIntegrationTests):
    explained: ClassVar = EXPLAINED
    url: ClassVar[str]
    supports_image_inputs = supports_image_urls = supports_pdf_inputs = True
    supports_audio_inputs = supports_anthropic_inputs = supports_json_mode = True
    model_override_value = "openai/other"
    supported_usage_metadata_details: ClassVar = dict.fromkeys(
        ("invoke", "stream"),
        ["audio_input", "audio_output", "reasoning_output", "cache_read_input"],
    )

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def server(cls) -> Iterator[None]:
        details = {
            "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 1},
        }
        with openai_server(answer=rules.answer, details=details) as (url, _):
            cls.url = url
            yield

    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", self.url)
        monkeypatch.setenv("OPENAI_API_KEY", "test")
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "none")
        picture = type("Response", (), {"content": b"%PDF or picture"})
        monkeypatch.setattr("httpx.get", lambda *_, **__: picture)  # the tests fetch samples

    @property
    def chat_model_class(self) -> type[ChatGenai]:
        return ChatGenai

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": open_model(f"openai/x@{self.url}")}

    def invoke_with_audio_input(self, *, stream: bool = False) -> AIMessage:
        model = ChatGenai(**self.chat_model_params)
        if not stream:
            return model.invoke("Hello")
        first, *more = model.stream("Hello")
        return sum(more, first)  # type: ignore[return-value]

    invoke_with_audio_output = invoke_with_reasoning_output = invoke_with_audio_input
    invoke_with_cache_read_input = invoke_with_audio_input


class TestEmbeddingsUnit(EmbeddingsUnitTests):
    embeddings_class = GenaiEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"embedder": make_embedder("static")}


class TestEmbeddings(EmbeddingsIntegrationTests):
    embeddings_class = GenaiEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"embedder": make_embedder("static")}

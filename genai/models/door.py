"""The one door: a name becomes a Model. The table says which file serves which prefix."""

import difflib

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models.base import Model, Pricer, Provider, Recorder, unpriced
from genai.models.embed import make_embedder

# prefix -> what to show when a name is unknown
FORMS = {
    "extractive": "extractive",
    "fake": "fake/echo",
    "openai": "openai/NAME[@URL]",
    "ollama": "ollama/NAME",
    "vllm": "vllm/NAME",
    "llamacpp": "llamacpp/NAME",
    "litellm": "litellm/PROVIDER/NAME, or PROVIDER/NAME",
}
# OpenAI-compatible servers by their usual local address
LOCAL_SERVERS = {
    "ollama": "http://127.0.0.1:11434/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
}


def open_model(
    name: str,
    *,
    settings: ModelSettings | None = None,
    client: object | None = None,
    provider: Provider | None = None,
    price: Pricer = unpriced,
    record: Recorder | None = None,
) -> Model:
    """Open a model by name; nothing is imported or connected before its first call.

    `openai/NAME@URL` names the server in the same line. `client` is your own `openai` client;
    `provider` is your own object with `stream(messages, params)`.

    Raises:
        ModelError: the name has no known form; the message lists them.
    """
    settings = settings or ModelSettings()
    if provider is None:
        provider = _provider(name, settings, client)
    return Model(
        name.partition("@")[0],
        provider,
        params=settings.params,
        timeout=settings.timeout,
        price=price,
        record=record,
    )


def _provider(name: str, settings: ModelSettings, client: object | None) -> Provider:
    prefix, _, rest = name.partition("/")
    key_env = settings.api_key_env
    if name == "extractive":
        from genai.models.extractive import Extractive

        return Extractive(make_embedder("static").encode)
    if prefix == "fake" and rest:
        from genai.models.fake import Fake

        return Fake()
    if (prefix == "openai" or prefix in LOCAL_SERVERS) and rest:
        from genai.models.openai import OpenAI

        bare, _, given = rest.partition("@")
        url = given or settings.base_url or LOCAL_SERVERS.get(prefix)
        return OpenAI(bare, base_url=url, api_key_env=key_env, client=client)
    if rest:
        from genai.models.litellm import LiteLLM

        bare = rest if prefix == "litellm" else name
        return LiteLLM(bare, base_url=settings.base_url, api_key_env=key_env)
    close = difflib.get_close_matches(name, [*FORMS], n=1)
    hint = f"did you mean `{FORMS[close[0]]}`?" if close else f"use {'; '.join(FORMS.values())}"
    raise ModelError(f"model {name!r}: not a known name; {hint}", "unknown_model")

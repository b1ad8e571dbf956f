"""The one door: a name becomes a Model. The table says which file serves which prefix."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from genai.config import ModelSettings, settings_of
from genai.errors import ModelError
from genai.models import address
from genai.models.attempts import Hooks, Route, Target, Timeouts
from genai.models.base import Provider, Recorder
from genai.models.embedders import make_embedder
from genai.models.limits import gate_for
from genai.models.model import Model

# prefix -> what to show when a name is unknown
FORMS = {
    "extractive": "extractive",
    "fake": "fake/echo",
    "openai": "openai/NAME[@URL]",
    "responses": "responses/NAME (OpenAI's Responses API)",
    "azure": "azure/DEPLOYMENT",
    "ollama": "ollama/NAME",
    "vllm": "vllm/NAME",
    "llamacpp": "llamacpp/NAME",
    "local": "local/FOLDER (a model or an adapter in this process)",
    "langchain": "langchain/package.module:NAME (a LangChain chat model or runnable)",
    "litellm": "litellm/PROVIDER/NAME, or PROVIDER/NAME",
}
# OpenAI-compatible servers by their usual local address
LOCAL_SERVERS = {
    "ollama": "http://127.0.0.1:11434/v1",
    "vllm": "http://127.0.0.1:8000/v1",
    "llamacpp": "http://127.0.0.1:8080/v1",
}
_NONE: Mapping[str, ModelSettings] = {}


def open_model(
    name: str,
    *,
    settings: ModelSettings | None = None,
    client: object | None = None,
    provider: Provider | None = None,
    record: Recorder | None = None,
    others: Mapping[str, ModelSettings] = _NONE,
    hooks: Hooks | None = None,
) -> Model:
    """Open a model by name; nothing is imported or connected before its first call.

    `openai/NAME@URL` names the server in the same line. `client` is your own `openai` client;
    `provider` is your own object with `stream(messages, params)`, or a LangChain chat model.
    `others` are the settings of the models that `weights` and `fallbacks` name.

    Raises:
        ModelError: the name has no known form; the message lists them.
    """
    settings = settings or ModelSettings()
    hooks = hooks or Hooks()
    if record is not None:
        hooks = replace(hooks, record=record)
    if settings.weights:
        targets = [
            (weight, _target(each, settings_of(each, others), limits=hooks.limits))
            for each, weight in settings.weights.items()
        ]
    else:
        targets = [(1.0, _target(name, settings, client, provider, hooks.limits))]
    fallbacks = [
        _target(each, settings_of(each, others), limits=hooks.limits) for each in settings.fallbacks
    ]
    return Model(
        name.partition("@")[0], Route(targets, fallbacks, hooks, settings.hedge_after or 0.0)
    )


def _target(
    name: str,
    settings: ModelSettings,
    client: object | None = None,
    provider: Provider | None = None,
    limits: Path | None = None,
) -> Target:
    if provider is None:
        provider = _provider(name, settings, client)
    elif hasattr(provider, "ainvoke"):
        from genai.models.langchain.inward import LangChain

        provider = LangChain(provider, name)
    account = getattr(provider, "account", "")
    return Target(
        name.partition("@")[0],
        provider,
        settings.params,
        Timeouts(
            settings.connect_timeout, settings.timeout, settings.timeout, settings.total_timeout
        ),
        settings.retries if account else 0,
        gate_for(account, limits, settings.max_connections) if account else None,
    )


def _provider(name: str, settings: ModelSettings, client: object | None) -> Provider:
    prefix, _, rest = name.partition("/")
    key_env, url = settings.api_key_env, settings.base_url
    here = _here(name, prefix, rest)
    if here is not None:
        return here
    if rest and (prefix in ("azure", "responses") or (prefix == "openai" and client is not None)):
        from genai.models.sdk import SDK

        api = "responses" if prefix == "responses" else "chat"
        owner = "azure" if prefix == "azure" else "openai"
        return SDK(
            rest, client=client, api=api, provider=owner, base_url=url, api_key_env=key_env,
            connect=settings.connect_timeout,
        )  # fmt: skip
    if (prefix == "openai" or prefix in LOCAL_SERVERS) and rest:
        from genai.models.openai import OpenAI

        bare, _, given = rest.partition("@")
        if "@" in rest and not given.startswith(("http://", "https://")):
            raise ModelError(
                f"model {address.bare(name)!r}: `@` is followed by a URL, such as"
                " @http://127.0.0.1:8000/v1",
                "unknown_model",
            )
        return OpenAI(
            bare, base_url=given or url or LOCAL_SERVERS.get(prefix), api_key_env=key_env,
            provider=prefix, connect=settings.connect_timeout, total=settings.total_timeout,
        )  # fmt: skip
    if "://" in name:
        raise ModelError(
            f"model {address.bare(name)!r}: a URL follows `openai/NAME@`, `ollama/NAME@`,"
            " `vllm/NAME@` or `llamacpp/NAME@`; for another provider set `base_url` under `models`",
            "unknown_model",
        )
    if rest:
        from genai.models.litellm import LiteLLM

        bare = rest if prefix == "litellm" else name
        return LiteLLM(bare, base_url=url, api_key_env=key_env)
    close = difflib.get_close_matches(name, [*FORMS], n=1)
    hint = f"did you mean `{FORMS[close[0]]}`?" if close else f"use {'; '.join(FORMS.values())}"
    said = f"model {address.bare(name)!r}: not a known name; {hint}"
    raise ModelError(said, "unknown_model")


def _here(name: str, prefix: str, rest: str) -> Provider | None:
    """Give what answers in this process or is an object of the user's; None for a server's."""
    if name == "extractive":
        from genai.models.extractive import Extractive

        return Extractive(make_embedder("static").encode)
    if prefix == "fake" and rest:
        from genai.models.fake import Fake

        return Fake()
    if prefix == "local" and rest:
        from genai.models.local import Local

        return Local(rest)
    if prefix == "langchain" and rest:
        from genai.models.langchain.inward import LangChain, import_object

        return LangChain(import_object(rest, "ainvoke"), name)
    return None

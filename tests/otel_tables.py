"""The conventions as they are published, written a second time: what the code is held against.

A name such as `a.{b, c}` stands for `a.b` and `a.c`.
"""

import re

_REQUEST = (
    "gen_ai.request.{frequency_penalty, max_tokens, presence_penalty, stop_sequences,"
    " temperature, top_p}"
)
_AGENT = "gen_ai.agent.{id, name, description, version}"
_INFERENCE = {
    "R": "gen_ai.operation.name, gen_ai.provider.name",
    "C": "error.type, gen_ai.conversation.id, gen_ai.output.type,"
    " gen_ai.request.{choice.count, model, seed, stream}, server.port",
    "Rec": "gen_ai.request.{frequency_penalty, max_tokens, presence_penalty, stop_sequences,"
    " temperature, top_k, top_p},"
    " gen_ai.response.{finish_reasons, id, model, time_to_first_chunk},"
    " gen_ai.usage.{input_tokens, output_tokens, cache_read.input_tokens,"
    " cache_creation.input_tokens, reasoning.output_tokens}, server.address",
    "O": "gen_ai.input.messages, gen_ai.output.messages, gen_ai.system_instructions,"
    " gen_ai.tool.definitions",
}
_INVOKE = {
    "R": "gen_ai.operation.name, gen_ai.provider.name",
    "C": f"error.type, {_AGENT}, gen_ai.request.model, server.port, gen_ai.conversation.id,"
    " gen_ai.data_source.id, gen_ai.output.type, gen_ai.request.{choice.count, seed}",
    "Rec": f"{_REQUEST}, gen_ai.response.finish_reasons, gen_ai.usage.{{input_tokens,"
    " output_tokens, cache_read.input_tokens, cache_creation.input_tokens}, server.address",
}
SPANS = {
    "inference": _INFERENCE,
    "anthropic": _INFERENCE,
    "embeddings": {
        "R": "gen_ai.operation.name, gen_ai.provider.name",
        "C": "error.type, gen_ai.request.model, server.port",
        "Rec": "gen_ai.embeddings.dimension.count, gen_ai.request.encoding_formats,"
        " gen_ai.response.model, gen_ai.usage.input_tokens, server.address",
    },
    "retrieval": {
        "R": "gen_ai.operation.name",
        "C": "error.type, gen_ai.data_source.id, gen_ai.provider.name, gen_ai.request.model,"
        " server.port",
        "Rec": "gen_ai.request.top_k, server.address",
        "O": "gen_ai.retrieval.documents, gen_ai.retrieval.query.text",
    },
    "execute_tool": {
        "R": "gen_ai.operation.name, gen_ai.tool.name",
        "C": "error.type",
        "Rec": "gen_ai.tool.{call.id, description, type}",
        "O": "gen_ai.tool.call.{arguments, result}",
    },
    "create_agent": {
        "R": "gen_ai.operation.name, gen_ai.provider.name",
        "C": f"error.type, {_AGENT}, gen_ai.request.model, server.port",
        "Rec": "server.address",
        "O": "gen_ai.system_instructions",
    },
    "invoke_agent": _INVOKE,
    "invoke_agent_internal": _INVOKE,
    "invoke_workflow": {
        "R": "gen_ai.operation.name",
        "C": "error.type, gen_ai.workflow.name",
        "O": "gen_ai.input.messages, gen_ai.output.messages",
    },
}
OPENAI = {
    "R": "gen_ai.request.model",
    "C": "openai.request.service_tier, openai.response.service_tier",
    "Rec": "openai.api.type, openai.response.system_fingerprint",
}
NEW_INFERENCE = {
    "C": "gen_ai.request.top_k, gen_ai.prompt.name, gen_ai.prompt.version",
    "Rec": "gen_ai.request.{reasoning.level, previous_response.id}, gen_ai.conversation.compacted,"
    " gen_ai.usage.cache_write.input_tokens, "
    + ", ".join(
        f"gen_ai.usage.{kind}.{{input_tokens, output_tokens, cache_read.input_tokens}}"
        for kind in ("text", "image", "audio")
    ),
}
EVENTS = {
    "gen_ai.evaluation.result": {
        "R": "gen_ai.evaluation.name",
        "C": "error.type, gen_ai.evaluation.score.{label, value}",
        "Rec": "gen_ai.evaluation.explanation, gen_ai.response.id",
    },
    "gen_ai.client.operation.exception": {
        "C": "exception.type, exception.message",
        "Rec": "exception.stacktrace",
    },
}
OLD_CACHE = "gen_ai.usage.cache_creation.input_tokens"
NEW_CACHE = "gen_ai.usage.cache_write.input_tokens"

_D = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_T = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
_SERVER = {
    "gen_ai.server.request.duration": ("Rec", "s", _D),
    "gen_ai.server.time_per_output_token": (
        "Rec", "s", [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5],
    ),
    "gen_ai.server.time_to_first_token": (
        "Rec", "s",
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    ),
}  # fmt: skip
# name -> level, unit, bucket bounds; no bounds is a counter
METRICS: dict[str, dict[str, tuple[str, str, list[float]]]] = {
    "v1.41.1": {
        "gen_ai.client.operation.duration": ("Required", "s", _D),
        "gen_ai.client.token.usage": ("Rec", "{token}", _T),
        "gen_ai.client.operation.time_to_first_chunk": ("Rec", "s", _D),
        "gen_ai.client.operation.time_per_output_chunk": ("Rec", "s", _D),
        **_SERVER,
    },
    "latest": {
        "gen_ai.client.inference.duration": ("Required", "s", _D),
        "gen_ai.client.operation.duration": ("Required", "s", _D),
        "gen_ai.client.inference.time_to_first_chunk": ("Rec", "s", _D),
        "gen_ai.client.inference.time_per_output_chunk": ("Rec", "s", _D),
        "gen_ai.client.inference.usage.input_tokens": ("Rec", "{token}", []),
        "gen_ai.client.inference.usage.output_tokens": ("Rec", "{token}", []),
        "gen_ai.client.inference.usage.cache_read.input_tokens": ("Rec", "{token}", []),
        "gen_ai.client.inference.usage.cache_write.input_tokens": ("Rec", "{token}", []),
        "gen_ai.client.inference.usage.reasoning.output_tokens": ("Rec", "{token}", []),
        "gen_ai.client.inference.operation.input_tokens": ("Rec", "{token}", _T),
        "gen_ai.client.inference.operation.output_tokens": ("Rec", "{token}", _T),
        "gen_ai.invoke_agent.duration": (
            "Rec", "s",
            [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6],
        ),
        "gen_ai.invoke_workflow.duration": (
            "Rec", "s", [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200],
        ),
        "gen_ai.execute_tool.duration": ("Rec", "s", _D),
        **_SERVER,
    },
}  # fmt: skip
MEASURED = {
    "R": "gen_ai.operation.name, gen_ai.provider.name",
    "C": "gen_ai.request.model, server.port",
    "Rec": "gen_ai.response.model, server.address,"
    " openai.response.{service_tier, system_fingerprint}",
}
# every type that is not a plain string
TYPES = {
    "int": "server.port, gen_ai.request.{choice.count, max_tokens, seed},"
    " gen_ai.embeddings.dimension.count, gen_ai.usage.{input_tokens, output_tokens,"
    " cache_read.input_tokens, cache_creation.input_tokens, cache_write.input_tokens,"
    " reasoning.output_tokens}",
    "double": "gen_ai.request.{frequency_penalty, presence_penalty, temperature, top_p},"
    " gen_ai.response.time_to_first_chunk, gen_ai.evaluation.score.value",
    "boolean": "gen_ai.request.stream, gen_ai.conversation.compacted",
    "string[]": "gen_ai.request.{stop_sequences, encoding_formats}, gen_ai.response.finish_reasons",
    "json": "gen_ai.input.messages, gen_ai.output.messages, gen_ai.system_instructions,"
    " gen_ai.tool.definitions, gen_ai.retrieval.documents, gen_ai.tool.call.{arguments, result}",
}
PROVIDERS = (
    "openai anthropic aws.bedrock azure.ai.openai azure.ai.inference cohere deepseek gcp.gemini"
    " gcp.gen_ai gcp.vertex_ai groq ibm.watsonx.ai mistral_ai perplexity x_ai"
)


def expand(text: str) -> list[str]:
    """Give the names a line stands for."""
    found = []
    for stem, inner, plain in re.findall(r"([\w.]+\.)\{([^}]*)\}|([\w.]+)", text):
        found += [plain] if plain else [stem + each.strip() for each in inner.split(",")]
    return found


def levels(table: dict[str, str]) -> dict[str, str]:
    """Give name -> level."""
    return {name: level for level, text in table.items() for name in expand(text)}


def span(dialect: str, shape: str) -> dict[str, str]:
    """Give name -> level of one span in one dialect."""
    found = levels(SPANS["inference" if shape == "openai" else shape])
    new = dialect == "latest"
    if new and shape in ("inference", "openai", "anthropic"):
        found |= levels(NEW_INFERENCE)
    if new and OLD_CACHE in found:
        del found[OLD_CACHE]
        found[NEW_CACHE] = "Rec"
    if shape == "openai":
        found |= levels(OPENAI)
        del found["gen_ai.request.top_k"]
    if shape == "retrieval" and new:
        del found["gen_ai.request.top_k"]
        found["gen_ai.retrieval.top_k"] = "Rec"
    if shape == "invoke_agent_internal":
        gone = "server.address, server.port"
        if new:
            gone += ", gen_ai.agent.{id, version}, gen_ai.provider.name"
            gone += f", gen_ai.usage.cache_read.input_tokens, {NEW_CACHE}"
        for name in expand(gone):
            del found[name]
    return found


def details(dialect: str) -> dict[str, str]:
    """Give name -> level of the event that tells an inference."""
    found = span(dialect, "inference")
    for name in ("gen_ai.provider.name", "gen_ai.request.top_k"):
        del found[name]
    return found

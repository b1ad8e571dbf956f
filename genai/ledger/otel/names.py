"""The names of the GenAI conventions, as tables: v1.41.1, and the newer ones behind a switch.

The names are not in the released packages of OpenTelemetry, so they stand here. A table says which
attributes a span, event or metric may carry, how much each is wanted, and its type; what is not in
the table is not sent. A line is `LEVEL TYPE NAME...`; a leading dot stands for `gen_ai`. Levels:
R required, C under a condition, Rec recommended, O only where content was asked for.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

SWITCH = "OTEL_SEMCONV_STABILITY_OPT_IN"
LATEST_WORD = "gen_ai_latest_experimental"
CONTENT_SWITCH = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# what the conventions have no name for goes under this prefix, never under `gen_ai.`
OWN = "genai."

DETAILS = "gen_ai.client.inference.operation.details"
EVALUATION = "gen_ai.evaluation.result"
EXCEPTION = "gen_ai.client.operation.exception"
WARN = 13  # the severity number of the exception event

# a provider by our word -> by the conventions'; a name that is in neither passes as it is
PROVIDERS = {
    "openai": "openai", "text-completion-openai": "openai", "anthropic": "anthropic",
    "bedrock": "aws.bedrock", "bedrock_converse": "aws.bedrock", "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference", "cohere": "cohere", "cohere_chat": "cohere",
    "deepseek": "deepseek", "gemini": "gcp.gemini", "gcp": "gcp.gen_ai",
    "vertex_ai": "gcp.vertex_ai", "vertex_ai_beta": "gcp.vertex_ai", "groq": "groq",
    "watsonx": "ibm.watsonx.ai", "watsonx_text": "ibm.watsonx.ai", "mistral": "mistral_ai",
    "perplexity": "perplexity", "xai": "x_ai",
}  # fmt: skip
# the door to many providers: the one behind it is the one to name
DOORS = {"litellm", "langchain"}
# operation -> the table its span follows
SHAPES = {
    "chat": "inference", "generate_content": "inference", "text_completion": "inference",
    "embeddings": "embeddings", "retrieval": "retrieval", "execute_tool": "execute_tool",
    "create_agent": "create_agent", "invoke_agent": "invoke_agent",
    "invoke_workflow": "invoke_workflow",
}  # fmt: skip
INFERENCE = {"inference", "openai", "anthropic"}
# what a span's name says after the operation; the model, where nothing is said here
SUBJECTS = {
    "retrieval": "gen_ai.data_source.id", "execute_tool": "gen_ai.tool.name",
    "create_agent": "gen_ai.agent.name", "invoke_agent": "gen_ai.agent.name",
    "invoke_agent_internal": "gen_ai.agent.name", "invoke_workflow": "gen_ai.workflow.name",
}  # fmt: skip
CLIENTS = {"embeddings", "retrieval", "create_agent"}  # CLIENT whether or not a host is known


@dataclass(frozen=True, slots=True)
class Attribute:
    """How much an attribute is wanted, and its type."""

    level: str
    type: str


Table = Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Metric:
    """One instrument: `kind` is histogram or counter."""

    kind: str
    level: str
    unit: str
    buckets: tuple[float, ...]
    attributes: Table


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of the names. `durations` says which metric a span's seconds go to."""

    name: str
    schema_url: str
    spans: Mapping[str, Table]
    events: Mapping[str, Table]
    metrics: Mapping[str, Metric]
    durations: Mapping[str, str]
    providers: Mapping[str, str] = field(default_factory=lambda: PROVIDERS)


def dialect() -> "Dialect":
    """Give the names the environment asks for: never both."""
    asked = os.environ.get(SWITCH, "").split(",")
    return LATEST if LATEST_WORD in (word.strip() for word in asked) else STABLE


def _table(*texts: str, drop: str = "") -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    for line in filter(None, "\n".join(texts).splitlines()):
        level, kind, *names = line.split()
        found |= {_full(name): Attribute(level, kind) for name in names}
    for name in drop.split():
        del found[_full(name)]
    return found


def _full(name: str) -> str:
    return f"gen_ai{name}" if name.startswith(".") else name


_WHO = "R string .operation.name .provider.name"
_WHERE = """
C string error.type .request.model
C int server.port
Rec string server.address"""
_REQUEST = """
Rec double .request.frequency_penalty .request.presence_penalty .request.temperature .request.top_p
Rec int .request.max_tokens
Rec string[] .request.stop_sequences .response.finish_reasons
C string .conversation.id .output.type
C int .request.choice.count .request.seed"""
_USAGE = """
Rec int .usage.input_tokens .usage.output_tokens .usage.cache_read.input_tokens
Rec int .usage.cache_creation.input_tokens"""
_INFERENCE = f"""{_WHO}{_WHERE}{_REQUEST}{_USAGE}
C boolean .request.stream
Rec double .request.top_k .response.time_to_first_chunk
Rec int .usage.reasoning.output_tokens
Rec string .response.id .response.model
O json .input.messages .output.messages .system_instructions .tool.definitions"""
_OPENAI = """
R string .request.model
C string openai.request.service_tier openai.response.service_tier
Rec string openai.api.type openai.response.system_fingerprint"""
_EMBEDDINGS = f"""{_WHO}{_WHERE}
Rec int .embeddings.dimension.count .usage.input_tokens
Rec string[] .request.encoding_formats
Rec string .response.model"""
_RETRIEVAL = f"""R string .operation.name{_WHERE}
C string .data_source.id .provider.name
O json .retrieval.documents
O string .retrieval.query.text"""
_TOOL = """R string .operation.name .tool.name
C string error.type
Rec string .tool.call.id .tool.description .tool.type
O json .tool.call.arguments .tool.call.result"""
_AGENT = "\nC string .agent.id .agent.name .agent.description .agent.version"
_CREATE_AGENT = f"{_WHO}{_WHERE}{_AGENT}\nO json .system_instructions"
_INVOKE_AGENT = f"{_WHO}{_WHERE}{_AGENT}{_REQUEST}{_USAGE}\nC string .data_source.id"
_WORKFLOW = """R string .operation.name
C string error.type .workflow.name
O json .input.messages .output.messages"""
_EVALUATION = """R string .evaluation.name
C string error.type .evaluation.score.label
C double .evaluation.score.value
Rec string .evaluation.explanation .response.id"""
_EXCEPTION = """C string exception.type exception.message
Rec string exception.stacktrace"""

# the newer names: what is added, then what goes
_NEW_CACHE = "\nRec int .usage.cache_write.input_tokens"
_OLD_CACHE = ".usage.cache_creation.input_tokens "
_NEW_INFERENCE = f"""{_NEW_CACHE}
C int .request.top_k
C string .prompt.name .prompt.version
Rec string .request.reasoning.level .request.previous_response.id
Rec boolean .conversation.compacted
Rec int .usage.text.input_tokens .usage.text.output_tokens .usage.text.cache_read.input_tokens
Rec int .usage.image.input_tokens .usage.image.output_tokens .usage.image.cache_read.input_tokens
Rec int .usage.audio.input_tokens .usage.audio.output_tokens .usage.audio.cache_read.input_tokens"""
_INSIDE = "server.address server.port "  # an agent in this process has no server


def _spans(new: bool) -> dict[str, Table]:
    more, less, cache = (_NEW_INFERENCE, _OLD_CACHE, _NEW_CACHE) if new else ("", "", "")
    inside = _INSIDE
    if new:
        inside += f"{less}.agent.id .agent.version .provider.name .usage.cache_read.input_tokens"
    top_k = "\nRec int .retrieval.top_k" if new else "\nRec double .request.top_k"
    return {
        "inference": _table(_INFERENCE, more, drop=less),
        "openai": _table(_INFERENCE, more, _OPENAI, drop=f"{less}.request.top_k"),
        # its input tokens are a sum of three counts; the ledger's total already is
        "anthropic": _table(_INFERENCE, more, drop=less),
        "embeddings": _table(_EMBEDDINGS),
        "retrieval": _table(_RETRIEVAL, top_k),
        "execute_tool": _table(_TOOL),
        "create_agent": _table(_CREATE_AGENT),
        "invoke_agent": _table(_INVOKE_AGENT, cache, drop=less),
        "invoke_agent_internal": _table(_INVOKE_AGENT, drop=inside),
        "invoke_workflow": _table(_WORKFLOW),
    }


def _events(inference: Table) -> dict[str, Table]:
    left_out = ("gen_ai.provider.name", "gen_ai.request.top_k")
    return {
        DETAILS: {name: each for name, each in inference.items() if name not in left_out},
        EVALUATION: _table(_EVALUATION),
        EXCEPTION: _table(_EXCEPTION),
    }


SECONDS = tuple(0.01 * 2**n for n in range(14))
TOKENS = tuple(float(4**n) for n in range(14))
_AGENT_SECONDS = tuple(0.1 * 2**n for n in range(13))
_WORKFLOW_SECONDS = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_FIRST_TOKEN_SECONDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
_MEASURED = f"""{_WHO}
C string .request.model
C int server.port
Rec string .response.model server.address
Rec string openai.response.service_tier openai.response.system_fingerprint"""
_FAILS = "\nC string error.type"


def _histogram(
    attributes: str, unit: str = "s", buckets: tuple[float, ...] = SECONDS, level: str = "Rec"
) -> Metric:
    return Metric("histogram", level, unit, buckets, _table(attributes))


def _counter() -> Metric:
    table = _table(_MEASURED, "R string .token.modality")
    return Metric("counter", "Rec", "{token}", (), table)


_OPERATION_SECONDS = _histogram(_MEASURED + _FAILS, level="Required")
_SERVER = {
    "gen_ai.server.request.duration": _histogram(_MEASURED + _FAILS),
    "gen_ai.server.time_per_output_token": _histogram(_MEASURED, buckets=_TOKEN_SECONDS),
    "gen_ai.server.time_to_first_token": _histogram(_MEASURED, buckets=_FIRST_TOKEN_SECONDS),
}
_STABLE_METRICS = {
    "gen_ai.client.operation.duration": _OPERATION_SECONDS,
    "gen_ai.client.token.usage": _histogram(
        f"{_MEASURED}\nR string .token.type", "{token}", TOKENS
    ),
    "gen_ai.client.operation.time_to_first_chunk": _histogram(_MEASURED),
    "gen_ai.client.operation.time_per_output_chunk": _histogram(_MEASURED),
    **_SERVER,
}
# gen_ai.invoke_agent.{inference_calls,tool_calls} have no settled buckets yet and are not sent
_LATEST_METRICS = {
    "gen_ai.client.inference.duration": _OPERATION_SECONDS,
    "gen_ai.client.operation.duration": _OPERATION_SECONDS,
    "gen_ai.client.inference.time_to_first_chunk": _histogram(_MEASURED),
    "gen_ai.client.inference.time_per_output_chunk": _histogram(_MEASURED),
    **{
        f"gen_ai.client.inference.usage.{name}": _counter()
        for name in (
            "input_tokens", "output_tokens", "cache_read.input_tokens",
            "cache_write.input_tokens", "reasoning.output_tokens",
        )
    },
    "gen_ai.client.inference.operation.input_tokens": _histogram(_MEASURED, "{token}", TOKENS),
    "gen_ai.client.inference.operation.output_tokens": _histogram(_MEASURED, "{token}", TOKENS),
    "gen_ai.invoke_agent.duration": _histogram(
        f"C string .agent.name{_FAILS}", buckets=_AGENT_SECONDS
    ),
    "gen_ai.invoke_workflow.duration": _histogram(
        f"C string .workflow.name{_FAILS}", buckets=_WORKFLOW_SECONDS
    ),
    "gen_ai.execute_tool.duration": _histogram(f"R string .tool.name{_FAILS}"),
    **_SERVER,
}  # fmt: skip
_CLIENT = "gen_ai.client.operation.duration"
_STABLE_SPANS, _LATEST_SPANS = _spans(new=False), _spans(new=True)

STABLE = Dialect(
    "v1.41.1",
    "https://opentelemetry.io/schemas/1.41.1",
    _STABLE_SPANS,
    _events(_STABLE_SPANS["inference"]),
    _STABLE_METRICS,
    # a tool and a workflow have no provider, which this metric requires
    {name: _CLIENT for name in _STABLE_SPANS if name not in ("execute_tool", "invoke_workflow")},
)
LATEST = Dialect(
    "latest",
    "https://opentelemetry.io/schemas/gen-ai/1.42.0",
    _LATEST_SPANS,
    _events(_LATEST_SPANS["inference"]),
    _LATEST_METRICS,
    {
        **dict.fromkeys(INFERENCE, "gen_ai.client.inference.duration"),
        **dict.fromkeys(("embeddings", "retrieval", "create_agent"), _CLIENT),
        **dict.fromkeys(("invoke_agent", "invoke_agent_internal"), "gen_ai.invoke_agent.duration"),
        "invoke_workflow": "gen_ai.invoke_workflow.duration",
        "execute_tool": "gen_ai.execute_tool.duration",
    },
    {**PROVIDERS, "moonshot": "moonshot_ai"},
)

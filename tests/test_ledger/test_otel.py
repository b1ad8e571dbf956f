"""OpenTelemetry: exactly the conventions' names, no content unless asked, nothing lost for good."""

from dataclasses import replace
from typing import Any

import otel_tables as published
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from otel_bench import KINDS, PARAMS, STARTED, Bench, call, failed

from genai.errors import ModelError
from genai.ledger.otel.attributes import who
from genai.ledger.otel.names import LATEST, PROVIDERS, STABLE, Dialect
from genai.types import Context, Message, Part, Usage

DIALECTS = {"v1.41.1": STABLE, "latest": LATEST}
SECRET = "the moon is made of basil"
TURNS = [Message("system", (Part("be brief"),)), Message.user(SECRET)]


@pytest.fixture(params=[*DIALECTS])
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Dialect:
    words = "http, gen_ai_latest_experimental" if request.param == "latest" else "http"
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", words)
    return DIALECTS[request.param]


@pytest.fixture
def bench(dialect: Dialect) -> Bench:
    return Bench()


@pytest.fixture
def stable(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN", raising=False)
    return Bench()


# -- the tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize("shape", [*published.SPANS, "openai"])
def test_a_span_lists_the_published_attributes_at_their_levels(version: str, shape: str) -> None:
    table = DIALECTS[version].spans[shape]
    assert {name: each.level for name, each in table.items()} == published.span(version, shape)


@pytest.mark.parametrize("version", DIALECTS)
def test_events_list_the_published_attributes_at_their_levels(version: str) -> None:
    wanted = {name: published.levels(table) for name, table in published.EVENTS.items()}
    wanted["gen_ai.client.inference.operation.details"] = published.details(version)
    found = {
        event: {name: each.level for name, each in table.items()}
        for event, table in DIALECTS[version].events.items()
    }
    assert found == wanted


@pytest.mark.parametrize("version", DIALECTS)
def test_metrics_have_the_published_levels_units_and_buckets(version: str) -> None:
    found = {
        name: (metric.level, metric.unit, list(metric.buckets))
        for name, metric in DIALECTS[version].metrics.items()
    }
    assert found == published.METRICS[version]
    base = published.levels(published.MEASURED)
    fails, extra = {"error.type": "C"}, {}
    for name, metric in DIALECTS[version].metrics.items():
        if "invoke_" in name or "execute_tool" in name:
            continue
        extra = {"gen_ai.token.modality": "R"} if metric.kind == "counter" else {}
        if name.endswith("token.usage"):
            extra = {"gen_ai.token.type": "R"}
        levels = base | extra | (fails if name.endswith(".duration") else {})
        assert {n: a.level for n, a in metric.attributes.items()} == levels, name


def test_every_attribute_has_its_published_type() -> None:
    kinds = {
        name: kind for kind, names in published.TYPES.items() for name in published.expand(names)
    }
    for version, dialect in DIALECTS.items():
        for table in [*dialect.spans.values(), *dialect.events.values()]:
            for name, each in table.items():
                kind = kinds.get(name, "string")
                if name.endswith("top_k"):
                    kind = "int" if version == "latest" else "double"
                if name.startswith(("gen_ai.usage.text", "gen_ai.usage.im", "gen_ai.usage.au")):
                    kind = "int"
                assert each.type == kind, name


def test_schema_urls() -> None:
    assert STABLE.schema_url == "https://opentelemetry.io/schemas/1.41.1"
    assert LATEST.schema_url == "https://opentelemetry.io/schemas/gen-ai/1.42.0"


def test_providers_get_the_published_names_and_unknown_ones_pass() -> None:
    assert set(PROVIDERS.values()) == set(published.PROVIDERS.split())
    for provider, model, wanted in [
        ("gemini", "gemini/gemini-3", ("gcp.gemini", "gemini-3")),
        ("azure", "azure/mine", ("azure.ai.openai", "mine")),
        ("bedrock", "bedrock/us.amazon/nova", ("aws.bedrock", "us.amazon/nova")),
        ("litellm", "litellm/xai/grok", ("x_ai", "grok")),
        ("litellm", "mistral/small", ("mistral_ai", "small")),
        ("vllm", "vllm/org/model", ("vllm", "org/model")),
        ("vllm", "org/model", ("vllm", "org/model")),
        ("", "openai/gpt", ("openai", "gpt")),
        ("", "static", ("genai", "static")),
        ("moonshot", "moonshot/k2", ("moonshot", "k2")),
    ]:
        assert who(call(provider=provider, model=model), STABLE) == wanted
    assert who(call(provider="moonshot", model="moonshot/k2"), LATEST)[0] == "moonshot_ai"


# -- what is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", KINDS)
def test_a_call_sends_all_its_table_lists_and_nothing_else(dialect: Dialect, shape: str) -> None:
    bench = Bench(content=True)
    done = call(**KINDS[shape])
    span = bench.send(done, PARAMS, messages=TURNS, reply="basil")
    sent = {name for name in span.attributes if not name.startswith("genai.")}
    table = published.span(dialect.name, shape)
    missing = {"error.type"}  # it did not fail
    if shape != "anthropic":
        missing |= {"gen_ai.system_instructions"}  # these keep the system text among the turns
    if dialect is LATEST:  # which of a mixed request was cached, nobody says
        missing |= {f"gen_ai.usage.{m}.cache_read.input_tokens" for m in ("text", "image", "audio")}
    assert sent == set(table) - missing
    types = {"int": int, "double": float, "boolean": bool, "string[]": tuple}
    for name in sent:
        kind = dialect.spans[shape][name].type
        assert type(span.attributes[name]) is types.get(kind, str), name
    assert span.instrumentation_scope.schema_url == dialect.schema_url
    assert span.start_time == int(STARTED * 1e9)
    assert span.end_time == int((STARTED + 2.5) * 1e9)


def test_names_and_kinds_of_spans(stable: Bench) -> None:
    titles = {
        "openai": ("chat gpt-5-mini", SpanKind.CLIENT),
        "embeddings": ("embeddings gpt-5-mini", SpanKind.CLIENT),
        "create_agent": ("create_agent planner", SpanKind.CLIENT),
        "invoke_agent": ("invoke_agent planner", SpanKind.CLIENT),
        "invoke_agent_internal": ("invoke_agent planner", SpanKind.INTERNAL),
        "invoke_workflow": ("invoke_workflow faq", SpanKind.INTERNAL),
    }
    for shape, wanted in titles.items():
        span = stable.send(call(**KINDS[shape]), PARAMS)
        assert (span.name, span.kind) == wanted
    inside = stable.send(call(model="extractive", provider="extractive", host=""))
    assert (inside.name, inside.kind) == ("chat extractive", SpanKind.INTERNAL)
    guard = stable.send(call(kind="guard", model="guards/question", operation="", provider=""))
    assert guard.name == "guard guards/question"
    assert all(name.startswith("genai.") for name in guard.attributes)


def test_what_a_sampler_needs_is_there_at_creation(dialect: Dialect) -> None:
    seen: dict[str, Any] = {}

    class Watching(Sampler):
        def should_sample(self, parent_context: Any, trace_id: int, name: str, *rest: Any) -> Any:
            seen.update(rest[1])
            return ALWAYS_ON.should_sample(parent_context, trace_id, name)

        def get_description(self) -> str:
            return "watching"

    Bench(Watching()).send(call(host="127.0.0.1:8000"), {"temperature": 0.5})
    assert seen["gen_ai.operation.name"] == "chat"
    assert seen["gen_ai.provider.name"] == "openai"
    assert seen["gen_ai.request.model"] == "gpt-5-mini"
    assert (seen["server.address"], seen["server.port"]) == ("127.0.0.1", 8000)


def test_what_the_conventions_leave_out_by_rule_is_left_out(bench: Bench) -> None:
    plain = call(stream=False, host="", context=Context())
    span = bench.send(plain, {"n": 1, "service_tier": "auto", "temperature": "hot"})
    for name in (
        "gen_ai.request.choice.count", "gen_ai.request.stream", "openai.request.service_tier",
        "gen_ai.request.temperature", "gen_ai.response.time_to_first_chunk", "server.port",
        "gen_ai.conversation.id",
    ):  # fmt: skip
        assert name not in span.attributes
    assert "gen_ai.client.operation.time_to_first_chunk" not in bench.metrics()
    for host, port in [("api.x.ai", 443), ("localhost", 80), ("[::1]:9", 9), ("h:bad", 443)]:
        assert bench.send(call(host=host)).attributes["server.port"] == port


def test_totals_include_their_parts_for_every_provider(bench: Bench) -> None:
    for shape in ("inference", "openai", "anthropic"):
        told = bench.send(call(**KINDS[shape])).attributes
        assert told["gen_ai.usage.input_tokens"] == 100  # 30 read and 5 written are in it
        assert told["gen_ai.usage.output_tokens"] == 40
        assert told["gen_ai.usage.cache_read.input_tokens"] == 30
        assert told["gen_ai.usage.reasoning.output_tokens"] == 11


def test_a_series_without_its_required_attributes_is_not_recorded(bench: Bench) -> None:
    with bench.telemetry.retrieval("handbook"):
        pass  # nobody's provider
    assert bench.metrics() == {}
    with bench.telemetry.retrieval("handbook", provider="openai"):
        pass
    assert set(bench.metrics()) == {"gen_ai.client.operation.duration"}


def test_money_is_ours_and_never_under_their_prefix(bench: Bench) -> None:
    done = call()
    span = bench.send(done)
    assert span.attributes["genai.cost.amount"] == "0.00012"
    assert span.attributes["genai.cost.status"] == "priced"
    assert span.attributes["genai.call.id"] == done.id
    assert not [name for name in span.attributes if name.startswith("gen_ai.") and "cost" in name]
    unknown = bench.send(failed())
    assert "genai.cost.amount" in unknown.attributes  # its amount was given
    assert not [name for name in unknown.attributes if name.startswith("gen_ai.usage")]


def test_nothing_counted_is_not_reported_and_never_both_dialects(bench: Bench) -> None:
    bench.send(replace(call(), usage=Usage()))
    assert not [name for name in bench.metrics() if "token" in name]
    bench.send(call())
    names, spans = set(bench.metrics()), set(bench.spans[-1].attributes)
    old = {"gen_ai.client.token.usage"} <= names, published.OLD_CACHE in spans
    new = {"gen_ai.client.inference.duration"} <= names, published.NEW_CACHE in spans
    assert {old, new} == {(True, True), (False, False)}


# -- metrics -------------------------------------------------------------------------------------


def test_every_instrument_is_recorded_with_its_unit_and_bounds(
    bench: Bench, dialect: Dialect
) -> None:
    for fields in KINDS.values():
        bench.send(call(**fields), PARAMS)
    bench.telemetry.served(call())
    with bench.telemetry.execute_tool("search"):
        pass
    found = bench.metrics()
    assert set(found) == set(published.METRICS[dialect.name])
    for name, (_, unit, bounds) in published.METRICS[dialect.name].items():
        assert found[name].unit == unit
        for point in found[name].data.data_points:
            assert list(getattr(point, "explicit_bounds", ())) == bounds
            assert set(point.attributes) <= set(dialect.metrics[name].attributes)


def points(bench: Bench, name: str) -> dict[str, Any]:
    """Give the points of a metric by what tells them apart."""
    keys = ("gen_ai.token.type", "gen_ai.token.modality", "error.type")
    return {
        "".join(str(p.attributes[k]) for k in keys if k in p.attributes): p
        for p in bench.metrics()[name].data.data_points
    }


def test_tokens_and_seconds_of_the_stable_names(stable: Bench) -> None:
    stable.send(call())
    stable.send(failed())
    tokens = points(stable, "gen_ai.client.token.usage")
    assert {kind: p.sum for kind, p in tokens.items()} == {"input": 100, "output": 40}
    seconds = points(stable, "gen_ai.client.operation.duration")
    assert {kind: p.sum for kind, p in seconds.items()} == {"": 2.5, "rate_limited": 2.5}
    first = points(stable, "gen_ai.client.operation.time_to_first_chunk")[""]
    assert (first.count, first.sum) == (1, 0.3)
    stable.send(call(kind="embedding", operation="", stream=False, provider="x", model="x/e"))
    assert points(stable, "gen_ai.client.token.usage")["input"].count == 1


def test_tokens_of_the_newer_names_go_by_modality(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    bench = Bench()
    bench.send(call())
    usage = "gen_ai.client.inference.usage"
    sums = {k: p.value for k, p in points(bench, f"{usage}.input_tokens").items()}
    assert sums == {"text": 84, "audio": 7, "image": 9}
    assert points(bench, f"{usage}.cache_read.input_tokens")["unknown"].value == 30
    assert points(bench, "gen_ai.client.inference.operation.input_tokens")[""].sum == 100
    other = Bench()
    other.send(failed())
    for name in published.METRICS["latest"]:
        if name.startswith(usage):
            assert {k: p.value for k, p in points(other, name).items()} == {"unknown": 0}
    assert "gen_ai.client.inference.operation.input_tokens" not in other.metrics()


def test_gaps_between_chunks_are_those_told_else_the_mean_of_each(stable: Bench) -> None:
    name = "gen_ai.client.operation.time_per_output_chunk"
    stable.send(call())
    point = points(stable, name)[""]
    assert (point.count, round(point.sum, 9)) == (10, 0.2)
    told = Bench()
    handle = told.telemetry.begin(call(), {})
    for gap in (0.01, 0.5):
        handle.chunk(gap)
    told.telemetry.end(handle, call())
    assert (points(told, name)[""].count, points(told, name)[""].max) == (2, 0.5)


# -- failures ------------------------------------------------------------------------------------


def test_a_failure_has_its_type_status_and_exception_event(bench: Bench) -> None:
    try:
        raise ModelError("model m: too many requests; wait", "rate_limited")
    except ModelError as error:
        span = bench.send(failed(), error=error)
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "rate_limited"
    assert "gen_ai.response.finish_reasons" not in span.attributes
    (event,) = bench.events
    assert event.event_name == "gen_ai.client.operation.exception"
    assert event.severity_number.value == 13
    assert event.attributes["exception.type"] == "genai.errors.ModelError"
    assert event.attributes["exception.message"] == "model m: too many requests; wait"
    assert "test_otel" in event.attributes["exception.stacktrace"]
    assert (event.trace_id, event.span_id) == (span.context.trace_id, span.context.span_id)
    bench.send(failed(), error=ValueError(SECRET))  # a stranger's message may hold content
    assert "exception.message" not in bench.events[-1].attributes


def test_each_outcome_is_told_apart(bench: Bench) -> None:
    for outcome, wanted in [
        ("ok", ""),
        ("refusal", ""),
        ("cancelled", "cancelled"),
        ("lost", "lost"),
    ]:
        span = bench.send(call(outcome=outcome))
        assert span.attributes.get("error.type", "") == wanted
        assert span.status.is_ok is not bool(wanted)
    assert bench.events == []
    plain = bench.send(call(outcome="error", http_status=503))
    assert plain.attributes["error.type"] == "503"
    assert bench.events[-1].attributes["exception.type"] == "503"


def test_a_second_end_changes_nothing(stable: Bench) -> None:
    handle = stable.telemetry.begin(call(), {})
    stable.telemetry.end(handle, call())
    stable.telemetry.end(handle, call())
    assert len(stable.spans) == 1
    assert points(stable, "gen_ai.client.operation.duration")[""].count == 1

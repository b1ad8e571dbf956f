"""OpenTelemetry: who is whose parent, over the wire, with a collector that is down, and again."""

import contextvars
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from otel_bench import STARTED, Bench, Collector, call, collector, failed

from genai.errors import MissingExtra, ModelError
from genai.ledger.otel import otlp, replay
from genai.types import Call, Context, new_id


@pytest.fixture
def stable(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN", raising=False)
    return Bench()


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in ("OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_TRACES_SAMPLER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    with collector() as own:
        yield own


# -- parents -------------------------------------------------------------------------------------


def test_a_span_is_a_child_of_the_active_one_and_never_becomes_it(stable: Bench) -> None:
    with stable.tracers.get_tracer("app").start_as_current_span("request") as outer:
        before = contextvars.copy_context()
        handle = stable.telemetry.begin(call(), {})
        assert {**contextvars.copy_context()} == {**before}
        assert trace.get_current_span() is outer
        stable.telemetry.end(handle, call())
        here = stable.telemetry.active()
    span = stable.spans[0]
    assert span.parent.span_id == outer.get_span_context().span_id
    assert format(span.context.trace_id, "032x") == here["trace_id"]
    assert stable.telemetry.active() == {}


def test_a_ledger_child_stands_under_its_open_parent(stable: Bench) -> None:
    chain = call(kind="chain", operation="", provider="", host="")
    outer = stable.telemetry.begin(chain, {})
    inner = stable.send(call(context=Context(parent_id=chain.id)))
    with stable.telemetry.execute_tool("search", parent=chain.id) as step:
        step.result = "x"
    stable.telemetry.end(outer, chain)
    tool, top = stable.spans[1:]
    assert inner.parent.span_id == tool.parent.span_id == top.context.span_id
    assert top.parent is None
    assert (tool.name, tool.kind) == ("execute_tool search", SpanKind.INTERNAL)


def test_a_context_that_names_a_span_is_the_parent_of_last_resort(stable: Bench) -> None:
    named = Context(trace_id="ab" * 16, span_id="cd" * 8)
    span = stable.send(call(context=named))
    assert span.context.trace_id == int("ab" * 16, 16)
    assert span.parent.span_id == int("cd" * 8, 16)
    assert stable.send(call(context=Context(trace_id="no", span_id="hex"))).parent is None


def test_an_unsampled_call_still_counts() -> None:
    bench = Bench(ALWAYS_OFF)
    handle = bench.telemetry.begin(call(), {})
    bench.telemetry.end(handle, call())
    assert bench.spans == ()
    assert any(name.endswith(".duration") for name in bench.metrics())


def test_judgements_belong_to_the_span_they_judge(stable: Bench) -> None:
    row = call()
    span = stable.send(row)
    tell = stable.telemetry.evaluation
    tell("relevance", 0.5, "good", "on the point", "chatcmpl-1", of=row)
    handle = stable.telemetry.begin(call(), {})
    tell("relevance", error_type="timeout", of=handle)
    tell("alone")
    first, second, alone = stable.events
    assert first.event_name == "gen_ai.evaluation.result"
    assert (first.trace_id, first.span_id) == (span.context.trace_id, span.context.span_id)
    assert dict(first.attributes) == {
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "good",
        "gen_ai.evaluation.explanation": "on the point",
        "gen_ai.response.id": "chatcmpl-1",
    }
    assert second.span_id == handle.span.get_span_context().span_id
    assert second.attributes["error.type"] == "timeout"
    assert alone.span_id == 0


def test_searches_and_tools_have_spans_that_name_their_failure(stable: Bench) -> None:
    tried = stable.telemetry.retrieval(
        "handbook", top_k=5, provider="azure", model="m", host="h:9200"
    )
    with pytest.raises(KeyError), tried:
        raise KeyError("gone")
    span = stable.spans[0]
    assert (span.name, span.kind) == ("retrieval handbook", SpanKind.CLIENT)
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "handbook",
        "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.top_k": 5.0,
        "server.address": "h",
        "server.port": 9200,
        "error.type": "KeyError",
    }
    loud = Bench(content=True)
    with loud.telemetry.retrieval(query="budget?") as search:
        search.result = [("d1", 0.75)]
    with loud.telemetry.execute_tool(
        "look", call_id="t1", kind="function", description="looks", arguments={"q": 1}
    ) as tool:
        tool.result = "found"
    first, second = loud.spans
    assert first.name == "retrieval"
    assert first.attributes["gen_ai.retrieval.documents"] == '[{"id": "d1", "score": 0.75}]'
    assert second.attributes["gen_ai.tool.call.arguments"] == '{"q": 1}'
    assert second.attributes["gen_ai.tool.call.result"] == "found"
    assert second.attributes["gen_ai.tool.type"] == "function"


# -- through a model -----------------------------------------------------------------------------


def model(bench: Bench, script: list[str | Exception], rows: list[Call]) -> Any:
    from genai.models import Model
    from genai.models.attempts import Hooks, Route, Target
    from genai.models.fake import Fake

    hooks = Hooks(record=rows.append, telemetry=bench.telemetry)
    return Model("fake/m", Route([(1.0, Target("fake/m", Fake(script)))], hooks=hooks))


def test_each_attempt_of_a_model_is_a_span_under_the_callers(stable: Bench) -> None:
    rows: list[Call] = []
    asked = model(stable, [ModelError("m: slow down", "rate_limited"), "a b c"], rows)
    with stable.tracers.get_tracer("app").start_as_current_span("request") as outer:
        pieces = list(asked.stream("hello", temperature=0.5))
    assert pieces[:-1] == ["a", " b", " c"]
    lost, won = stable.spans[:2]
    assert [each.name for each in (lost, won)] == ["chat m", "chat m"]
    assert {each.parent.span_id for each in (lost, won)} == {outer.get_span_context().span_id}
    assert lost.attributes["error.type"] == "rate_limited"
    assert won.attributes["gen_ai.request.temperature"] == 0.5
    assert [each.attributes["genai.call.id"] for each in (lost, won)] == [row.id for row in rows]
    assert rows[1].id == pieces[-1].call_id  # type: ignore[union-attr]


def test_a_stream_that_is_left_ends_its_span_and_leaks_nothing(stable: Bench) -> None:
    rows: list[Call] = []
    stream = model(stable, ["a b c"], rows).stream("hello")
    assert next(stream) == "a"
    assert not trace.get_current_span().get_span_context().is_valid
    stream.close()
    assert stable.spans[0].attributes["error.type"] == "cancelled"


# -- over the wire -------------------------------------------------------------------------------


def test_all_three_signals_arrive(received: Collector) -> None:
    telemetry = otlp(received.url, content=True)
    row = call()
    telemetry.end(telemetry.begin(row, {}), row, reply="hello")
    telemetry.close()
    (span,) = received.traces
    assert span.name == "chat gpt-5-mini"
    assert span.start_time_unix_nano == int(STARTED * 1e9)
    assert "gen_ai.client.operation.duration" in {each.name for each in received.metrics}
    assert received.logs[0].event_name == "gen_ai.client.inference.operation.details"
    assert telemetry.undelivered == 0
    telemetry.close()  # a second time is nothing


def test_a_row_sent_again_is_the_same_span(received: Collector) -> None:
    telemetry = otlp(received.url)
    chain = call(kind="chain", operation="", provider="", host="")
    row = call(context=Context(parent_id=chain.id))
    outer = telemetry.begin(chain, {})
    telemetry.end(telemetry.begin(row, {}), row)
    telemetry.end(outer, chain)
    telemetry.flush()
    live = {span.name: span for span in received.traces}
    received.traces.clear()
    with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))):
        assert replay([chain, row], telemetry) == 2
    telemetry.close()
    again = {span.name: span for span in received.traces}
    assert set(again) == set(live)
    for name, span in again.items():
        for key in (
            "trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano",
        ):  # fmt: skip
            assert getattr(span, key) == getattr(live[name], key), (name, key)
    durations = [each for each in received.metrics if each.name.endswith("operation.duration")]
    assert sum(p.count for each in durations for p in each.histogram.data_points) == 1


def test_a_row_that_names_a_trace_goes_into_it(received: Collector) -> None:
    telemetry = otlp(received.url)
    named = Context(trace_id="ab" * 16, span_id="cd" * 8)
    assert replay([call(context=named), failed()], telemetry) == 2
    telemetry.close()
    first, second = received.traces
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == ("ab" * 16, "cd" * 8)
    assert second.status.code == 2
    assert second.parent_span_id == b""


def test_what_an_outage_swallowed_is_sent_later(received: Collector) -> None:
    rows = [call(id=new_id()) for _ in range(5_000)]  # more than the queue of the SDK holds
    telemetry = otlp(received.url)
    received.status = 400
    assert replay(rows, telemetry) == 0
    assert telemetry.undelivered == 512
    received.status = 200
    assert replay(iter(rows), telemetry) == 5_000
    telemetry.close()
    assert len({span.span_id for span in received.traces}) == 5_000


@pytest.fixture
def silent() -> Iterator[str]:
    """Accept connections and never answer."""
    held: list[socket.socket] = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                held.append(server.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)
    for each in held:
        each.close()


EXIT = """
import sys, time
sys.path.insert(0, "tests")
from otel_bench import call
from genai.ledger.otel import otlp
telemetry = otlp(sys.argv[1], content=True)
row = call()
telemetry.end(telemetry.begin(row, {}), row, reply="x")
print(time.time(), flush=True)
"""


def leave(url: str) -> float:
    """Give the seconds a program takes to end after its last line."""
    command = [sys.executable, "-c", EXIT, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return time.time() - float(done.stdout)


def test_a_program_ends_in_time_with_no_collector_or_a_silent_one(silent: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert leave(nobody) < 4.0  # two seconds, and the end of the interpreter on a busy machine
    assert leave(silent) < 4.0


def test_a_program_sends_its_last_call_at_exit(received: Collector) -> None:
    leave(received.url)
    assert len(received.traces) == len(received.logs) == 1
    assert received.metrics


# -- without it ----------------------------------------------------------------------------------


def test_the_package_is_loaded_on_construction_only() -> None:
    code = (
        "import sys, genai.ledger.otel\n"
        "assert not [n for n in sys.modules if n.startswith('opentelemetry')]\n"
        "genai.ledger.otel.Telemetry()\n"
        "assert 'opentelemetry.trace' in sys.modules and 'opentelemetry.sdk' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_missing_package_names_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith("opentelemetry.sdk.trace")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Blocked(), *sys.meta_path])
    with pytest.raises(MissingExtra, match=r"genai-workbench\[otel\]"):
        otlp()


class _Blocked:
    """Hides the SDK."""

    def find_spec(self, name: str, *rest: Any) -> None:
        if name.startswith("opentelemetry.sdk.trace"):
            raise ModuleNotFoundError("hidden", name=name)

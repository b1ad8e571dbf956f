"""A collector in memory, and calls to send it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from genai.ledger.otel import Telemetry
from genai.types import Call, Context, Cost, CostStatus, Usage, new_id

STARTED = 1_800_000_000.0
# what a caller may ask for, all at once
PARAMS: dict[str, Any] = {
    "temperature": 0, "top_p": 0.9, "top_k": 40, "frequency_penalty": 0.1, "presence_penalty": 0.2,
    "max_completion_tokens": 99, "stop": ["END"], "seed": 7, "n": 2, "service_tier": "flex",
    "response_format": {"type": "json_object"}, "tools": [{"type": "function"}],
    "reasoning_effort": "low", "previous_response_id": "resp_1", "dimensions": 256,
    "encoding_format": "float", "gen_ai.conversation.compacted": True,
    "openai.response.system_fingerprint": "fp_1", "gen_ai.data_source.id": "handbook",
    "gen_ai.agent.id": "a1", "gen_ai.agent.name": "planner", "gen_ai.agent.version": "2",
    "gen_ai.agent.description": "plans",
}  # fmt: skip


class Bench:
    """Telemetry whose three signals stay in memory."""

    def __init__(self, sampler: Any = None, **given: Any) -> None:
        self.spans_out = InMemorySpanExporter()
        self.logs_out = InMemoryLogRecordExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans_out))
        loggers = LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs_out))
        self.telemetry = Telemetry(
            tracer_provider=self.tracers,
            meter_provider=MeterProvider([self.reader], shutdown_on_exit=False),
            logger_provider=loggers,
            **given,
        )

    def send(self, call: Call, params: dict[str, Any] | None = None, **end: Any) -> Any:
        """Send one call from begin to end, and give its span."""
        before = replace(call, outcome="sent", seconds=0.0, usage=Usage(), finish_reason="")
        handle = self.telemetry.begin(before, params or {})
        self.telemetry.end(handle, call, **end)
        return self.spans[-1]

    @property
    def spans(self) -> Any:
        return self.spans_out.get_finished_spans()

    @property
    def events(self) -> list[Any]:
        return [each.log_record for each in self.logs_out.get_finished_logs()]

    def metrics(self) -> dict[str, Any]:
        """Give name -> metric of all that was recorded."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for r in data.resource_metrics for scope in r.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}


def call(**fields: Any) -> Call:
    """Give a finished streamed call of which everything is known."""
    base: dict[str, Any] = {
        "id": new_id(), "kind": "model", "started_at": STARTED, "seconds": 2.5, "outcome": "ok",
        "model": "openai/gpt-5-mini", "operation": "chat", "provider": "openai",
        "context": Context(session="s1", feature="faq", prompt_id="rag/answer@ba286c04d1f7"),
        "usage": Usage(
            100, 40, 30, "provider", cache_write_5m_tokens=5, audio_input_tokens=7,
            image_input_tokens=9, reasoning_tokens=11, audio_output_tokens=3,
            image_output_tokens=2,
        ),
        "cost": Cost(Decimal("0.00012"), CostStatus.PRICED), "response_model": "gpt-5-mini-2026",
        "host": "api.openai.com", "stream": True, "ttft": 0.3, "itl_mean": 0.02, "chunks": 11,
        "request_id": "chatcmpl-1", "finish_reason": "stop", "served_tier": "default",
    }  # fmt: skip
    return Call(**{**base, **fields})


KINDS: dict[str, dict[str, Any]] = {
    "inference": {"provider": "ollama", "model": "ollama/qwen3"},
    "openai": {},
    "anthropic": {"provider": "anthropic", "model": "anthropic/claude-x"},
    "embeddings": {"kind": "embedding", "operation": "", "stream": False},
    "create_agent": {"operation": "create_agent"},
    "invoke_agent": {"operation": "invoke_agent"},
    "invoke_agent_internal": {"operation": "invoke_agent", "host": ""},
    "invoke_workflow": {"kind": "chain", "operation": "", "provider": "", "host": ""},
}


def failed(**fields: Any) -> Call:
    """Give a call that was refused by the server, of which nobody counted anything."""
    return call(
        outcome="error", reason="rate_limited", usage=Usage(), finish_reason="error",
        http_status=429, ttft=None, itl_mean=None, chunks=None, **fields,
    )  # fmt: skip


class Collector:
    """What arrived over OTLP."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.traces: list[Any] = []
        self.metrics: list[Any] = []
        self.logs: list[Any] = []

    def take(self, path: str, body: bytes) -> None:
        """Decode one request."""
        if path == "/v1/traces":
            for each in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.traces += [span for scope in each.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics += [m for scope in each.scope_metrics for m in scope.metrics]
        elif path == "/v1/logs":
            for each in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.logs += [r for scope in each.scope_logs for r in scope.log_records]


@contextmanager
def collector() -> Iterator[Collector]:
    """Receive OTLP over HTTP on a free loopback port."""
    own = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if own.status == 200:
                own.take(self.path, body)
            self.send_response(own.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    own.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)

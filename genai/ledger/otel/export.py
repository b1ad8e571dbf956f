"""To a collector over OTLP, in batches, and what it missed, again."""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from genai import extras
from genai.ledger.otel.telemetry import Telemetry
from genai.types import Call

_BATCH = 512  # as many as one export takes, and well below the queue of the SDK


class _Watched:
    """An exporter that counts what was not taken, and may be shut down twice."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._shut = False
        self.failed = 0

    def export(self, spans: Any) -> Any:
        """Send a batch."""
        result = self._inner.export(spans)
        if result.name != "SUCCESS":
            self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Stop waiting for a collector that does not answer."""
        if not self._shut:
            self._shut = True
            self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True


class _Exported(Telemetry):
    """Telemetry whose providers are its own: closed at exit, within two seconds."""

    def __init__(self, watched: _Watched, providers: tuple[Any, Any, Any], content: bool) -> None:
        traces, meters, loggers = providers
        super().__init__(
            content=content,
            tracer_provider=traces,
            meter_provider=meters,
            logger_provider=loggers,
        )
        self._watched = watched
        self._shutdowns = [each.shutdown for each in providers]
        self._closed = threading.Event()
        self._closers: list[threading.Thread] = []
        self._prepare()
        prepare = weakref.WeakMethod(self._prepare)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: (prepare() or _nothing)())
        atexit.register(self.close)

    @property
    def undelivered(self) -> int:  # type: ignore[override]
        """Spans the collector did not take."""
        return self._watched.failed

    def _prepare(self) -> None:
        # A shutdown of the SDK waits as long as it likes, and no thread can be started at exit:
        # so the threads that will do it wait from the beginning.
        self._closed = threading.Event()
        self._closers = [
            threading.Thread(target=_when, args=(self._closed, shutdown), daemon=True)
            for shutdown in self._shutdowns
        ]
        for thread in self._closers:
            thread.start()

    def close(self, seconds: float = 2.0) -> None:
        """Send what waits and let go, after at most `seconds`; the ledger has it all."""
        if self._closed.is_set():
            return
        end = time.monotonic() + seconds
        atexit.unregister(self.close)
        self._closed.set()
        for thread in self._closers:
            thread.join(max(0.0, end - time.monotonic()))
        self._watched.shutdown()


def _nothing() -> None:
    """Stand in for a Telemetry that is gone."""


def _when(closed: threading.Event, shutdown: Callable[[], None]) -> None:
    closed.wait()
    shutdown()


def otlp(endpoint: str = "", *, content: bool = False) -> Telemetry:
    """Send to a collector over OTLP and HTTP: `http://host:4318`, or what `OTEL_EXPORTER_*` says.

    Spans go in batches of 512 every five seconds; a queue that is full drops them and says so in
    the log. At exit the rest is sent within two seconds, collector or not.

    Raises:
        MissingExtra: the SDK or the exporter is not installed.
    """
    traces = extras.load("opentelemetry.sdk.trace", "otel")
    batches = extras.load("opentelemetry.sdk.trace.export", "otel")
    metrics = extras.load("opentelemetry.sdk.metrics", "otel")
    readers = extras.load("opentelemetry.sdk.metrics.export", "otel")
    logs = extras.load("opentelemetry.sdk._logs", "otel")
    log_batches = extras.load("opentelemetry.sdk._logs.export", "otel")
    resource = _resource()
    http = "opentelemetry.exporter.otlp.proto.http"
    exporters = [
        getattr(extras.load(f"{http}.{module}", "otel"), name)(endpoint=_url(endpoint, signal))
        for module, name, signal in (
            ("trace_exporter", "OTLPSpanExporter", "traces"),
            ("metric_exporter", "OTLPMetricExporter", "metrics"),
            ("_log_exporter", "OTLPLogExporter", "logs"),
        )
    ]
    watched = _Watched(exporters[0])
    tracer_provider = traces.TracerProvider(resource=resource, shutdown_on_exit=False)
    tracer_provider.add_span_processor(batches.BatchSpanProcessor(watched))
    reader = readers.PeriodicExportingMetricReader(exporters[1])
    meter_provider = metrics.MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    logger_provider = logs.LoggerProvider(resource=resource, shutdown_on_exit=False)
    logger_provider.add_log_record_processor(log_batches.BatchLogRecordProcessor(exporters[2]))
    return _Exported(watched, (tracer_provider, meter_provider, logger_provider), content)


def _url(endpoint: str, signal: str) -> str | None:
    return f"{endpoint.rstrip('/')}/v1/{signal}" if endpoint else None


def _resource() -> Any:
    resources = extras.load("opentelemetry.sdk.resources", "otel")
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return resources.Resource.create({} if named else {"service.name": "genai"})


def replay(calls: Iterable[Call], telemetry: Telemetry) -> int:
    """Send rows of the ledger as spans, with the times they had; give how many were taken.

    A row sent twice is the same span twice: its ids follow from the row, so a backend knows it.
    Where the row's Context names a trace and the span around it (`Telemetry.active`), it stands
    under that span; a child stands under its ledger parent. Metrics are not sent again: they carry
    no time of their own. It ends at the first batch that the collector does not take; go on later
    with the rows after those counted.
    """
    rows, taken = iter(calls), 0
    while batch := list(islice(rows, _BATCH)):
        before = telemetry.undelivered
        for call in batch:
            telemetry.resend(call)
        telemetry.flush()
        if telemetry.undelivered > before:
            break
        taken += len(batch)
    return taken

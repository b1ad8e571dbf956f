"""What happens, told to OpenTelemetry: a span a call, its metrics, and the events asked for."""

import os
import time
import traceback
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from genai import extras
from genai.errors import GenaiError
from genai.ledger.otel import attributes, ids, names
from genai.ledger.otel.handles import Handle, Step
from genai.ledger.otel.measures import Measures
from genai.types import Call, Message, Reply


class Telemetry:
    """Sends calls as the GenAI conventions say.

    The names are those of v1.41.1, or the newer ones where `OTEL_SEMCONV_STABILITY_OPT_IN` holds
    `gen_ai_latest_experimental`; never both.

    Content is sent only with `content=True` or
    `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` (`true`, `span_only`, `event_only`,
    `span_and_event`). Providers not given are the ones your program has set. A span is a child of
    its ledger parent's open span, else of the active span, else of the one its Context names; it
    is never made the current one, so nothing leaks out of a stream.

    Time per output chunk: each gap told to `Handle.chunk` is one observation. Where none was told,
    the row's mean gap counts once for each chunk after the first: count and sum are exact, the
    spread inside that one reply is not.

    Raises:
        MissingExtra: `opentelemetry` is not installed.
    """

    undelivered = 0  # spans a collector did not take, where the exporter is ours

    def __init__(
        self,
        *,
        content: bool = False,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        logger_provider: Any = None,
    ) -> None:
        self._trace = extras.load("opentelemetry.trace", "otel")
        self._context = extras.load("opentelemetry.context", "otel").Context
        metrics = extras.load("opentelemetry.metrics", "otel")
        logs = extras.load("opentelemetry._logs", "otel")
        self._severity = logs.SeverityNumber(names.WARN)
        self._dialect = names.dialect()
        url = self._dialect.schema_url
        self._provider = tracer_provider or self._trace.get_tracer_provider()
        self._tracer = self._provider.get_tracer("genai", schema_url=url)
        meter = (meter_provider or metrics.get_meter_provider()).get_meter("genai", schema_url=url)
        loggers = logger_provider or logs.get_logger_provider()
        self._logger = loggers.get_logger("genai", schema_url=url)
        self._measures = Measures(self._dialect, meter, self._trace)
        self._on_span, self._on_event = _content(content)
        self._open: weakref.WeakValueDictionary[str, Handle] = weakref.WeakValueDictionary()
        self._ids = self._own_ids()

    # -- a call ----------------------------------------------------------------------------------

    def begin(self, call: Call, params: Mapping[str, Any]) -> Handle:
        """Open the span of a call with what is known of it."""
        values = attributes.opening(call, params, self._dialect)
        handle = self._begun(call, values, self._parent(call))
        above = self._open.get(call.context.parent_id)
        handle.in_turn = above is not None and above.shape == "invoke_workflow"
        self._open[call.id] = handle
        return handle

    def end(
        self,
        handle: Handle,
        call: Call,
        *,
        messages: Sequence[Message] | None = None,
        reply: str | Reply = "",
        error: BaseException | None = None,
    ) -> None:
        """Close the span with the finished row, and record its metrics; a second time is nothing.

        `messages` and `reply` are sent only where content is on, and of a call within a turn of a
        chain no reply: the turn's own span holds the answer as the guards let it out. `error`
        gives the exception event its type, message and stack.
        """
        if handle.done:
            return
        handle.done = True
        self._open.pop(call.id, None)
        handle.learn(attributes.closing(call))
        if self._on_span or self._on_event:
            finish = "" if self._dialect is names.LATEST else call.finish_reason
            provider = str(handle.values.get("gen_ai.provider.name", ""))
            told = "" if handle.in_turn else reply
            said = attributes.spoken(handle.shape, provider, messages, told, finish)
            handle.learn({name: value for name, value in said.items() if value})
        self._measures.call(handle, call)
        self._tell(handle, call, error)
        self._finish(handle, call)

    def resend(self, call: Call) -> None:
        """Send the span of a row that has ended: its own times and ids, and no metrics again."""
        values = attributes.opening(call, {}, self._dialect)
        handle = self._begun(call, values, self._row_parent(call))
        handle.learn(attributes.closing(call))
        self._finish(handle, call)

    # -- what else the conventions name ----------------------------------------------------------

    def retrieval(
        self,
        source: str = "",
        *,
        top_k: int | None = None,
        query: str = "",
        provider: str = "",
        model: str = "",
        host: str = "",
        parent: str = "",
    ) -> Step:
        """Open the span of a search in `source`; its result is `[(document id, score), ...]`.

        `parent` is the call id of an open call; without it the active span is the parent.
        """
        address, port = attributes.server(host)
        values = {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": source,
            "gen_ai.provider.name": self._dialect.providers.get(provider, provider),
            "gen_ai.request.model": model,
            "gen_ai.request.top_k": top_k,
            "gen_ai.retrieval.top_k": top_k,
            "gen_ai.retrieval.query.text": query,
            "server.address": address,
            "server.port": port,
        }
        return Step(self, self._start("retrieval", values, self._under(parent)))

    def execute_tool(
        self,
        name: str,
        *,
        call_id: str = "",
        kind: str = "",
        description: str = "",
        arguments: Any = None,
        parent: str = "",
    ) -> Step:
        """Open the span of a tool that runs here; `kind` is `function`, `extension`, `datastore`.

        `call_id` is the model's id of the tool call, `parent` the call id of an open call.
        """
        values = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": call_id,
            "gen_ai.tool.type": kind,
            "gen_ai.tool.description": description,
            "gen_ai.tool.call.arguments": arguments,
        }
        return Step(self, self._start("execute_tool", values, self._under(parent)))

    def evaluation(
        self,
        name: str,
        score_value: float | None = None,
        label: str | None = None,
        explanation: str | None = None,
        response_id: str | None = None,
        error_type: str | None = None,
        *,
        of: Handle | Call | None = None,
    ) -> None:
        """Tell the result of a judgement on the span `of`; without it, on the active span."""
        context = None
        if isinstance(of, Handle):
            context = self._trace.set_span_in_context(of.span)
        elif of is not None:
            context = self._remote(ids.trace_id(of), ids.span_id(of.id))
        values = {
            "gen_ai.evaluation.name": name,
            "gen_ai.evaluation.score.value": score_value,
            "gen_ai.evaluation.score.label": label,
            "gen_ai.evaluation.explanation": explanation,
            "gen_ai.response.id": response_id,
            "error.type": error_type,
        }
        self._event(names.EVALUATION, values, context)

    def served(self, call: Call) -> None:
        """Record a call that we answered as a server: its seconds, first token, later tokens."""
        values = attributes.opening(call, {}, self._dialect) | attributes.closing(call)
        self._measures.served(call, values)

    def active(self) -> dict[str, str]:
        """Give the active span, for `genai.scope(**...)`: rows can then be sent again under it."""
        here = self._trace.get_current_span().get_span_context()
        if not here.is_valid:
            return {}
        return {"trace_id": format(here.trace_id, "032x"), "span_id": format(here.span_id, "016x")}

    def flush(self) -> None:
        """Send the spans that wait."""
        if hasattr(self._provider, "force_flush"):
            self._provider.force_flush()

    def close(self, seconds: float = 2.0) -> None:
        """Send what waits; providers of your own stay open."""
        self.flush()

    # -- spans -----------------------------------------------------------------------------------

    def _begun(self, call: Call, values: dict[str, Any], context: Any) -> Handle:
        shape = attributes.shape_of(call, self._dialect)
        title = "" if shape else f"{call.kind} {call.model}"
        own = (ids.trace_id(call), ids.span_id(call.id))
        return self._start(shape, values, context, own, title, int(call.started_at * 1e9))

    def _start(
        self,
        shape: str,
        values: dict[str, Any],
        context: Any,
        own: tuple[int, int] = (0, 0),
        title: str = "",
        start_time: int | None = None,
    ) -> Handle:
        subject = values.get(names.SUBJECTS.get(shape, "gen_ai.request.model"))
        client = shape in names.CLIENTS or (
            values.get("server.address") and shape not in ("", "execute_tool", "invoke_workflow")
        )
        table = self._dialect.spans.get(shape, {})
        if self._ids is not None:
            self._ids.tell(*own)
        span = self._tracer.start_span(
            (title or f"{values['gen_ai.operation.name']} {subject or ''}").strip(),
            context=context,
            kind=self._trace.SpanKind.CLIENT if client else self._trace.SpanKind.INTERNAL,
            attributes=attributes.fit(table, values, content=self._on_span),
            start_time=start_time,
        )
        if self._ids is not None:
            self._ids.tell(0, 0)
        return Handle(span, shape, values)

    def _finish(self, handle: Handle, call: Call) -> None:
        end_time = int((call.started_at + call.seconds) * 1e9)
        self._close(handle, attributes.error_type(call), end_time)

    def _close(self, handle: Handle, failed: str, end_time: int | None = None) -> None:
        span = handle.span
        if span.is_recording():
            table = self._dialect.spans.get(handle.shape, {})
            span.set_attributes(attributes.fit(table, handle.later, content=self._on_span))
            if failed:
                span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, failed))
        span.end(end_time=end_time)

    def _step_done(self, step: Step, error: BaseException | None, seconds: float) -> None:
        handle = step.handle
        failed = "" if error is None else type(error).__qualname__
        handle.learn({"error.type": failed})
        if handle.shape == "execute_tool":
            handle.learn({"gen_ai.tool.call.result": step.result})
        else:
            found = [{"id": str(each[0]), "score": float(each[1])} for each in step.result or ()]
            handle.learn({"gen_ai.retrieval.documents": found or None})
        self._measures.lasted(handle, seconds)
        self._close(handle, failed)

    def _parent(self, call: Call) -> Any:
        context = self._under(call.context.parent_id)
        if context is not None or self._trace.get_current_span().get_span_context().is_valid:
            return context
        around = ids.hexadecimal(call.context.span_id, 16)
        return self._remote(ids.trace_id(call), around) if around else None

    def _row_parent(self, call: Call) -> Any:
        above = call.context.parent_id
        around = ids.span_id(above) if above else ids.hexadecimal(call.context.span_id, 16)
        # without a parent the context is an empty one: whatever is active now has no part in it
        return self._remote(ids.trace_id(call), around) if around else self._context()

    def _under(self, call_id: str) -> Any:
        handle = self._open.get(call_id) if call_id else None
        return None if handle is None else self._trace.set_span_in_context(handle.span)

    def _remote(self, trace: int, span: int) -> Any:
        flags = self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED)
        named = self._trace.SpanContext(trace, span, is_remote=True, trace_flags=flags)
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(named), self._context())

    def _own_ids(self) -> ids.Ids | None:
        """Let spans of this library take the ids of their rows, where the SDK can."""
        inner = getattr(self._tracer, "id_generator", None)
        if inner is None or isinstance(inner, ids.Ids):
            return inner
        self._tracer.id_generator = ids.Ids(inner)  # this tracer is the library's alone
        found: ids.Ids = self._tracer.id_generator
        return found

    # -- events ----------------------------------------------------------------------------------

    def _tell(self, handle: Handle, call: Call, error: BaseException | None) -> None:
        context = self._trace.set_span_in_context(handle.span)
        if self._on_event and handle.shape in names.INFERENCE:
            self._event(names.DETAILS, handle.values, context)
        if call.outcome == "error" and handle.shape:
            values: dict[str, Any] = {"exception.type": attributes.error_type(call)}
            if error is not None:
                values = _exception(error, self._on_event)
            self._event(names.EXCEPTION, values, context, severity_number=self._severity)

    def _event(self, name: str, values: Mapping[str, Any], context: Any, **more: Any) -> None:
        table = self._dialect.events[name]
        kept = attributes.fit(table, values, content=self._on_event, flat=False)
        kept = {each: value for each, value in kept.items() if each in table}
        self._logger.emit(
            event_name=name, timestamp=time.time_ns(), context=context, attributes=kept, **more
        )


def _content(given: bool) -> tuple[bool, bool]:
    """Say whether content goes onto spans, and whether into events."""
    asked = os.environ.get(names.CONTENT_SWITCH, "").strip().lower()
    if given or asked in ("true", "1", "yes", "on", "span_and_event"):
        return True, True
    return asked == "span_only", asked == "event_only"


def _exception(error: BaseException, content: bool) -> dict[str, Any]:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    # our own messages hold no content; what others write into theirs, nobody knows
    told = str(error) if content or isinstance(error, GenaiError) else ""
    return {
        "exception.type": f"{module}{kind.__qualname__}",
        "exception.message": told,
        "exception.stacktrace": "".join(traceback.format_tb(error.__traceback__)),
    }

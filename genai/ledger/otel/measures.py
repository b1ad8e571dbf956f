"""The histograms and counters of the conventions, with exactly the buckets they name."""

from collections.abc import Iterable, Mapping
from typing import Any

from genai.ledger.otel import attributes, names
from genai.ledger.otel.handles import Handle
from genai.types import Call


class Measures:
    """Records what a finished call took, in the names of one dialect."""

    def __init__(self, dialect: names.Dialect, meter: Any, trace: Any) -> None:
        self._dialect = dialect
        self._trace = trace
        self._instruments = {n: _instrument(meter, n, m) for n, m in dialect.metrics.items()}

    def call(self, handle: Handle, call: Call) -> None:
        """Record a call we made: its seconds, the gaps of its stream, its tokens."""
        self.lasted(handle, call.seconds)
        if handle.shape in names.INFERENCE:
            self._chunks(handle, call)
        if self._dialect is names.STABLE:
            self._tokens(handle, call)
        elif handle.shape in names.INFERENCE:
            self._token_counts(handle, call)

    def lasted(self, handle: Handle, seconds: float) -> None:
        """Record how long a span lasted, where its kind has a metric."""
        metric = self._dialect.durations.get(handle.shape)
        if metric is not None:
            self._record(metric, seconds, handle.values, handle)

    def served(self, call: Call, values: Mapping[str, Any]) -> None:
        """Record a call we answered as a server."""
        self._record("gen_ai.server.request.duration", call.seconds, values)
        if call.ttft is None:
            return
        self._record("gen_ai.server.time_to_first_token", call.ttft, values)
        if call.output_tokens is not None and call.output_tokens > 1:
            each = (call.seconds - call.ttft) / (call.output_tokens - 1)
            self._record("gen_ai.server.time_per_output_token", each, values)

    def _chunks(self, handle: Handle, call: Call) -> None:
        if not call.stream:
            return
        room = "inference" if self._dialect is names.LATEST else "operation"
        if call.ttft is not None:
            name = f"gen_ai.client.{room}.time_to_first_chunk"
            self._record(name, call.ttft, handle.values, handle)
        gaps = handle.gaps
        if not gaps and call.itl_mean is not None:
            gaps = [call.itl_mean] * ((call.chunks or 2) - 1)
        self._record_all(f"gen_ai.client.{room}.time_per_output_chunk", gaps, handle.values, handle)

    def _tokens(self, handle: Handle, call: Call) -> None:
        # an agent or a workflow only sums what its calls have already recorded
        if call.input_tokens is None or handle.shape not in {*names.INFERENCE, "embeddings"}:
            return
        counts = {"input": call.input_tokens, "output": call.output_tokens}
        if handle.shape == "embeddings":
            del counts["output"]
        for kind, count in counts.items():
            values = {**handle.values, "gen_ai.token.type": kind}
            self._record("gen_ai.client.token.usage", count or 0, values, handle)

    def _token_counts(self, handle: Handle, call: Call) -> None:
        counts = attributes.modalities(call.usage)
        if call.input_tokens is None:
            if not attributes.error_type(call):
                return
            # the newer names ask for a 0 of a call that failed
            counts = [(name, "unknown", 0) for name in dict.fromkeys(n for n, _, _ in counts)]
        for name, modality, count in counts:
            if count or modality == "unknown":
                values = {**handle.values, "gen_ai.token.modality": modality}
                self._record(f"gen_ai.client.inference.usage.{name}", count, values, handle)
        for name, total in (("input", call.input_tokens), ("output", call.output_tokens)):
            if total is not None:
                metric = f"gen_ai.client.inference.operation.{name}_tokens"
                self._record(metric, total, handle.values, handle)

    def _record(
        self, name: str, value: float, values: Mapping[str, Any], handle: Handle | None = None
    ) -> None:
        self._record_all(name, (value,), values, handle)

    def _record_all(
        self,
        name: str,
        numbers: Iterable[float],
        values: Mapping[str, Any],
        handle: Handle | None = None,
    ) -> None:
        table = self._dialect.metrics[name].attributes
        kept = attributes.fit(table, {n: values[n] for n in table if n in values})
        if any(each.level == "R" and n not in kept for n, each in table.items()):
            return  # a series without its required attributes is nobody's
        # the span goes along, so that an exemplar can point at it
        context = None if handle is None else self._trace.set_span_in_context(handle.span)
        record = self._instruments[name]
        for number in numbers:
            record(number, kept, context)


def _instrument(meter: Any, name: str, metric: names.Metric) -> Any:
    if metric.kind == "counter":
        return meter.create_counter(name, metric.unit).add
    return meter.create_histogram(
        name, metric.unit, explicit_bucket_boundaries_advisory=metric.buckets
    ).record

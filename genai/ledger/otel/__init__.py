"""OpenTelemetry: the ledger's calls as spans, metrics and events of the GenAI conventions.

    telemetry = otlp("http://127.0.0.1:4318")     # or Telemetry() over providers of your own
    replay(ledger_rows, telemetry)                # what a backend missed, under the same ids

The ledger never depends on it: rows are not sampled, and a span that is lost can be sent again.
`opentelemetry` is imported when a Telemetry is made, not before.
"""

from genai.ledger.otel.export import otlp, replay
from genai.ledger.otel.handles import Handle, Step
from genai.ledger.otel.telemetry import Telemetry

__all__ = ["Handle", "Step", "Telemetry", "otlp", "replay"]

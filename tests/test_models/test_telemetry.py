"""A call through the door is one span, sent again under the same ids; content only if asked."""

import pytest
from faults import WORDS, faulty, reply
from otel_bench import Bench

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models import Hooks, open_model
from genai.types import Call


@pytest.mark.parametrize("content", [False, True])
def test_a_stream_is_one_span_which_its_row_can_send_again(content: bool) -> None:
    rows: list[Call] = []
    bench = Bench(content=content)
    hooks = Hooks(record=rows.append, telemetry=bench.telemetry)
    with faulty(reply()) as (url, _):
        model = open_model(f"openai/m@{url}", hooks=hooks)
        *pieces, _ = model.stream("my private question", temperature=0.5)
    assert pieces == WORDS
    (span,) = bench.spans
    assert span.name == "chat m"
    assert span.attributes["gen_ai.usage.input_tokens"] == rows[0].input_tokens
    assert span.attributes["gen_ai.request.temperature"] == 0.5
    assert ("my private question" in str(dict(span.attributes))) is content
    bench.telemetry.resend(rows[0])
    again = bench.spans[-1]
    assert (again.name, again.context.span_id) == (span.name, span.context.span_id)
    assert "gen_ai.client.operation.time_per_output_chunk" in bench.metrics()


def test_each_attempt_is_a_span_and_a_failed_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genai.models.attempts._BASE", 0.01)
    bench = Bench()
    hooks = Hooks(telemetry=bench.telemetry)
    with faulty(reply(429)) as (url, _):
        model = open_model(f"openai/m@{url}", hooks=hooks, settings=ModelSettings(retries=1))
        with pytest.raises(ModelError):
            model("hi")
    assert [span.attributes["error.type"] for span in bench.spans] == ["rate_limited"] * 2

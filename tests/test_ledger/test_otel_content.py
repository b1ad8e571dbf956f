"""OpenTelemetry: what was said is sent only where somebody asked, in the published form."""

import json
from dataclasses import replace
from pathlib import Path

import otel_tables as published
import pytest
from indexes import starter
from otel_bench import Bench, call, failed

import genai
from genai.cli import main
from genai.ledger.otel.attributes import spoken
from genai.ledger.otel.names import LATEST, STABLE, Dialect
from genai.models import Fake
from genai.types import Message, Part, Reply, ToolCall

SECRET = "the moon is made of basil"
TURNS = [Message("system", (Part("be brief"),)), Message.user(SECRET)]


@pytest.fixture(params=[STABLE, LATEST], ids=["v1.41.1", "latest"])
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Dialect:
    words = "http, gen_ai_latest_experimental" if request.param is LATEST else "http"
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", words)
    return request.param


def everything(bench: Bench) -> str:
    told = [each.to_json() for each in bench.spans]
    return "".join(told) + str([(e.event_name, e.attributes, e.body) for e in bench.events])


def speak(bench: Bench) -> None:
    bench.send(call(), {"tools": [{"name": SECRET}]}, messages=TURNS, reply=SECRET)
    bench.send(failed(), messages=TURNS, error=ValueError(SECRET))
    with bench.telemetry.retrieval("handbook", query=SECRET) as search:
        search.result = [(SECRET, 0.5)]
    with bench.telemetry.execute_tool("t", arguments={"q": SECRET}) as tool:
        tool.result = SECRET


@pytest.mark.parametrize("switch", ["", "no_content", "false"])
def test_no_content_by_default(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", switch)
    bench = Bench()
    speak(bench)
    assert SECRET not in everything(bench)
    assert [each.event_name for each in bench.events] == ["gen_ai.client.operation.exception"]


@pytest.mark.parametrize(
    ("switch", "on_span", "on_event"),
    [("true", True, True), ("span_only", True, False), ("EVENT_ONLY", False, True)],
)
def test_content_where_the_environment_asks(
    monkeypatch: pytest.MonkeyPatch, switch: str, on_span: bool, on_event: bool
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", switch)
    bench = Bench()
    speak(bench)
    assert any(SECRET in each.to_json() for each in bench.spans) is on_span
    assert any(SECRET in str(each.attributes) for each in bench.events) is on_event


def test_turns_have_the_published_form(dialect: Dialect) -> None:
    bench = Bench(content=True)
    tool = ToolCall("t1", "look", '{"q": 1}')
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    turns = [
        *TURNS,
        Message("user", (Part("see "), Part("this"), Part("", data=picture))),
        Message("assistant", (), (tool,)),
        Message("tool", (Part("42"),), tool_call_id="t1"),
    ]
    reply = replace(_reply(), text="basil", tool_calls=(tool,))
    span = bench.send(call(finish_reason="tool_calls"), messages=turns, reply=reply)
    told = json.loads(span.attributes["gen_ai.input.messages"])
    asked = {"type": "tool_call", "id": "t1", "name": "look", "arguments": {"q": 1}}
    answer = {"type": "tool_call_response", "id": "t1", "response": "42"}
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "QUJD"}
    assert told == [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": SECRET}]},
        {"role": "user", "parts": [{"type": "text", "content": "see this"}, blob]},
        {"role": "assistant", "parts": [asked]},
        {"role": "tool", "parts": [answer]},
    ]
    output = {"role": "assistant", "parts": [{"type": "text", "content": "basil"}, asked]}
    if dialect is STABLE:
        output["finish_reason"] = "tool_call"
    assert json.loads(span.attributes["gen_ai.output.messages"]) == [output]
    (event,) = bench.events
    assert event.event_name == "gen_ai.client.inference.operation.details"
    assert set(event.attributes) <= set(published.details(dialect.name))
    assert event.attributes["gen_ai.output.messages"][0]["role"] == "assistant"
    assert event.span_id == span.context.span_id


def _reply() -> Reply:
    done = call()
    return Reply("", done.model, done.usage, done.cost, 1.0)


def test_other_kinds_of_parts_keep_their_form() -> None:
    given = [
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "input_audio", "input_audio": {"data": "QQ=="}},
        {"type": "file", "file": {"file_id": "f1"}},
        {"type": "video", "seconds": 3},
    ]
    turn = Message("user", tuple(Part("", data=each) for each in given))
    broken = Message("assistant", (), (ToolCall("t", "f", "{"),))
    said = spoken("openai", "openai", [turn, broken], "", "")["gen_ai.input.messages"]
    kinds = [part["type"] for part in said[0]["parts"]]
    assert kinds == ["uri", "blob", "file", "video"]
    assert said[1]["parts"][0]["arguments"] == "{"


def test_a_question_that_a_guard_stopped_is_in_no_span_and_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter(tmp_path, terms="# Terms\n\nThe notice period is 30 days.\n")
    bench, key = Bench(content=True), "AKIA" + "IOSFODNN7EXAMPLE"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENAI_TELEMETRY_ENABLED", "true")
    monkeypatch.setattr("genai.wiring.parts._telemetry", lambda _: bench.telemetry)
    outcome = genai.load()(f"Why does {key} not work, asks ann@firm.com?")
    assert isinstance(outcome, genai.Refusal)
    assert outcome.reason == "policy"
    assert [span.name for span in bench.spans] == ["invoke_workflow"]
    told = everything(bench) + repr(outcome)
    assert key not in told
    assert "ann@firm.com" not in told


def test_a_reply_reaches_a_collector_only_as_its_guards_let_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter(tmp_path, terms="# Terms\n\nThe notice period is 30 days. Ask the staff office.\n")
    bench, mail = Bench(content=True), "ann.smith@firm.com"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENAI_TELEMETRY_ENABLED", "true")
    monkeypatch.setattr("genai.wiring.parts._telemetry", lambda _: bench.telemetry)
    assert main(["index", "sync"]) == 0
    chain = genai.load()
    said = f"The notice period is 30 days. [1] The notice period is 30 days, says {mail}. [1]"
    chain.model = genai.model("fake/script", provider=Fake([said]))
    outcome = chain("How long is the notice period?")
    assert isinstance(outcome, genai.Answer)
    spans = {span.name.partition(" ")[0]: span.attributes for span in bench.spans}
    assert mail not in everything(bench)
    assert "The notice period is 30 days" in spans["invoke_workflow"]["gen_ai.output.messages"]
    assert "notice period" in spans["chat"]["gen_ai.input.messages"]

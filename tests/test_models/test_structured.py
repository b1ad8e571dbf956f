"""Structured replies and tools: checked, mended, asked again, and each request paid for."""

import json
from decimal import Decimal
from typing import Any

import pytest
from faults import Fault, faulty, reply
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from servers import openai_server

from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models import Hooks, open_model
from genai.models.base import worst_case
from genai.models.structured import mend
from genai.types import Call, Cost, CostStatus, Message, Part, ToolCall, Usage


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


SCHEMA = {
    "title": "person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


def says(text: str) -> Fault:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    body = {"id": "c", "model": "m", "choices": [choice], "usage": usage}
    return reply(body=json.dumps(body).encode())


def price(model: str, usage: Usage, **_: str) -> Cost:
    return Cost(Decimal("0.001"), CostStatus.PRICED)


def ask(url: str, schema: Any, rows: list[Call], **params: Any) -> Any:
    hooks = Hooks(record=rows.append, price=price)
    given = ModelSettings(retries=0)
    return open_model(f"openai/m@{url}", hooks=hooks, settings=given)(
        "Who?", schema=schema, **params
    )


GOOD = '{"name": "Ada", "age": 36}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here you are:\n{GOOD}\nAnything else?",
        '{"name": "Ada", "age": 36,}',
    ],
)
def test_a_reply_is_parsed_and_plain_damage_is_mended(text: str) -> None:
    rows: list[Call] = []
    with faulty(says(text)) as (url, server):
        assert ask(url, Person, rows).parsed == Person(name="Ada", age=36)
        assert ask(url, SCHEMA, rows).parsed == {"name": "Ada", "age": 36}
    sent = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["response_format"]["type"] == "json_schema"
    assert sent["response_format"]["json_schema"]["name"] == "Person"
    assert len(rows) == 2


def test_a_wrong_reply_is_asked_again_and_every_request_is_paid_for() -> None:
    rows: list[Call] = []
    with faulty(says('{"name": "Ada"}'), says("I do not know"), says(GOOD)) as (url, server):
        found = ask(url, Person, rows)
    assert (found.parsed.age, found.attempts) == (36, 3)
    assert found.cost.amount == Decimal("0.003")
    assert found.usage.input_tokens == 30
    assert [row.cost.amount for row in rows] == [Decimal("0.001")] * 3
    again = json.loads(server.requests[1].partition(b"\r\n\r\n")[2])["messages"]
    assert [m["role"] for m in again] == ["user", "assistant", "user"]
    assert "age breaks `missing`" in again[2]["content"]
    assert json.dumps(Person.model_json_schema()) in again[2]["content"]  # a server may ignore it


def test_a_schema_is_part_of_the_dearest_a_request_may_cost() -> None:
    def priced(model: str, usage: Usage, **_: str) -> Cost:
        return Cost(Decimal(usage.input_tokens), CostStatus.PRICED)

    long = {"type": "object", "description": "x" * 4000}
    form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": long}}
    bare, formed = (
        worst_case(priced, lambda _: None, "m", [Message.user("hi")], params).amount or 0
        for params in ({}, {"response_format": form})
    )
    assert formed - bare > 1000


@pytest.mark.parametrize("schema", [Person, SCHEMA])
def test_after_the_last_request_it_is_an_error_without_content(schema: Any) -> None:
    rows: list[Call] = []
    with faulty(says('{"name": "secret-name", "age": "secret-age"}')) as (url, server):
        with pytest.raises(ModelError, match=r"fitted the schema in 2 requests \(age breaks") as e:
            ask(url, schema, rows, reasks=1)
    assert "secret" not in str(e.value)
    assert len(server.requests) == len(rows) == 2


def test_a_model_that_declines_is_not_asked_again() -> None:
    message = {"role": "assistant", "content": None, "refusal": "I will not say a secret-name."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()
    rows: list[Call] = []
    with faulty(reply(body=body)) as (url, server):
        with pytest.raises(ModelError, match=r"refused to answer.*\(1 attempt\)") as e:
            ask(url, Person, rows)
        assert open_model(f"openai/m@{url}")("hi").refusal == message["refusal"]
    assert e.value.kind == "refusal"
    assert "secret" not in str(e.value)
    assert len(rows) == 1
    assert len(server.requests) == 2


def test_a_reply_that_is_cut_at_its_limit_is_not_asked_for_again() -> None:
    choice = {"index": 0, "message": {"content": '{"name": "A'}, "finish_reason": "length"}
    body = json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()
    with faulty(reply(body=body)) as (url, server), pytest.raises(ModelError) as caught:
        ask(url, Person, [])
    assert "cut at its limit of tokens before its JSON was whole; raise `max_tokens`" in str(
        caught.value
    )
    assert (caught.value.kind, len(server.requests)) == ("bad_reply", 1)


@pytest.mark.parametrize(
    "schema", [7, "text", {"type": "no-such-type"}, {"$ref": "https://example.invalid/schema"}]
)
def test_a_wrong_schema_is_an_error_before_any_request(schema: Any) -> None:
    with faulty(says(GOOD)) as (url, server), pytest.raises(ModelError, match="schema"):
        ask(url, schema, [])
    assert not server.requests


@given(st.text(max_size=60))
def test_mending_never_fails(text: str) -> None:
    assert isinstance(mend(text), str)


@given(st.dictionaries(st.text(max_size=4), st.integers(), max_size=4))
def test_mending_leaves_sound_json_alone(value: dict[str, int]) -> None:
    text = json.dumps(value)
    assert json.loads(mend(f"Sure: {text} ."[:-2])) == value or "," in text or "`" in text


def test_tools_images_and_files_pass_through_as_they_are() -> None:
    call = {"index": 0, "id": "t1", "type": "function",
            "function": {"name": "add", "arguments": '{"a": 1}'}}  # fmt: skip
    choice = {"index": 0, "message": {"content": None, "tool_calls": [call]},
              "finish_reason": "tool_calls"}  # fmt: skip
    body = json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    file = {"type": "file", "file": {"file_id": "f1"}}
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    with faulty(reply(body=body)) as (url, server):
        parts = (Part("Look: "), Part("", data=image), Part("", data=file))
        answer = open_model(f"openai/m@{url}")([Message("user", parts)], tools=[tool])
    assert answer.tool_calls == (ToolCall("t1", "add", '{"a": 1}'),)
    assert answer.finish_reason == "tool_calls"
    sent = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["messages"][0]["content"] == [{"type": "text", "text": "Look: "}, image, file]
    assert sent["tools"] == [tool]


@pytest.mark.parametrize("wrong", [{"content": "no role"}, {"role": "user", "content": [{}]}, 7])
def test_a_message_of_another_form_is_named(wrong: Any) -> None:
    with pytest.raises(ModelError, match="not in the chat form"):
        open_model("fake/echo")([wrong])


@pytest.mark.parametrize(("title", "name"), [("Größe (cm)", "Gr__e__cm_"), ("", "reply")])
def test_a_title_becomes_a_name_that_every_server_takes(title: str, name: str) -> None:
    schema = {"title": title, "type": "object"}
    with openai_server(text="{}") as (url, server):
        assert open_model(f"openai/m@{url}")("hi", schema=schema).parsed == {}
    assert server.requests[0]["response_format"]["json_schema"]["name"] == name

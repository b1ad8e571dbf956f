"""Replay: what shapes a reply is in its key, a miss is unmeasured, and many may share a file."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faults import WORDS, faulty, reply
from hypothesis import given, settings
from hypothesis import strategies as st

from genai.config import ModelSettings
from genai.errors import InputError, Unmeasured
from genai.models import Hooks, Model, open_model
from genai.models.base import as_messages
from genai.models.replay import Replay, key_of
from genai.types import Call, Message, Part, ToolCall

BASE: dict[str, Any] = {
    "provider": "openai",
    "name": "openai/gpt-x",
    "url": "127.0.0.1:1",
    "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
    "params": {"temperature": 0.5, "tools": [{"a": 1}], "response_format": {"b": 2}, "seed": 1},
}


def key(**changed: Any) -> str:
    given = {**BASE, **changed}
    messages = [Message(m["role"], (Part(m["content"]),)) for m in given["messages"]]
    return key_of(given["provider"], given["name"], given["url"], messages, given["params"])


@settings(max_examples=200)
@given(
    st.one_of(
        st.fixed_dictionaries({"provider": st.text(min_size=1)}),
        st.fixed_dictionaries({"name": st.text(min_size=1)}),
        st.fixed_dictionaries({"url": st.text(min_size=1)}),
        st.builds(
            lambda n, role, text: {
                "messages": [
                    {"role": role, "content": text} if n == m else each
                    for m, each in enumerate(BASE["messages"])
                ]
            },
            st.integers(0, 1),
            st.sampled_from(["system", "user", "assistant"]),
            st.text(),
        ),
        st.builds(
            lambda name, value: {"params": {**BASE["params"], name: value}},
            st.one_of(st.sampled_from(list(BASE["params"])), st.text(min_size=1)),
            st.one_of(st.floats(allow_nan=False), st.text(), st.lists(st.integers(), max_size=3)),
        ),
        st.builds(
            lambda name: {"params": {k: v for k, v in BASE["params"].items() if k != name}},
            st.sampled_from(list(BASE["params"])),
        ),
        st.just({"messages": BASE["messages"][::-1]}),
        st.just({"messages": BASE["messages"] * 2}),
    )
)
def test_each_changed_field_changes_the_key(changed: dict[str, Any]) -> None:
    same = all(json.dumps(BASE[name]) == json.dumps(value) for name, value in changed.items())
    assert (key(**changed) == key()) == same


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
FILE = {"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}}
CALL = {"id": "t1", "function": {"name": "add", "arguments": '{"a": 1}'}}
RICH: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE, FILE]},
    {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "t2"}]},
    {"role": "tool", "content": "2", "tool_call_id": "t1"},
]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the path of every text in a value."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, inner in pairs for leaf in leaves(inner, (*path, key))]
    return [path] if isinstance(value, str) else []


def rich_key(messages: list[dict[str, Any]]) -> str:
    return key_of("openai", "openai/m", "h", as_messages(messages), {})


@given(path=st.sampled_from(leaves(RICH)), text=st.text(max_size=6))
def test_each_part_of_an_image_a_file_and_a_tool_call_is_in_the_key(
    path: tuple[Any, ...], text: str
) -> None:
    changed = copy.deepcopy(RICH)
    inner: Any = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = text
    assert (rich_key(changed) == rich_key(RICH)) == (changed == RICH)


def test_their_order_and_number_are_in_the_key() -> None:
    parts, calls = RICH[0]["content"], RICH[1]["tool_calls"]
    others = [
        [{**RICH[0], "content": parts[::-1]}, *RICH[1:]],
        [{**RICH[0], "content": parts[:2]}, *RICH[1:]],
        [{**RICH[0], "content": [*parts, IMAGE]}, *RICH[1:]],
        [RICH[0], {**RICH[1], "tool_calls": calls[::-1]}, RICH[2]],
        [RICH[0], {**RICH[1], "tool_calls": calls[:1]}, RICH[2]],
        [RICH[0], {"role": "assistant", "content": None}, RICH[2]],
    ]
    assert len({rich_key(each) for each in [RICH, *others]}) == 7


def test_the_order_of_parameters_does_not_change_the_key() -> None:
    assert key(params=dict(reversed(BASE["params"].items()))) == key()


def opened(url: str, path: Path, mode: Any, rows: list[Call]) -> tuple[Model, Replay]:
    replay = Replay(path, mode)
    hooks = Hooks(record=rows.append, replay=replay)
    return open_model(f"openai/m@{url}", hooks=hooks), replay


def test_recorded_then_replayed_without_a_server(tmp_path: Path) -> None:
    rows: list[Call] = []
    with faulty(reply()) as (url, server):
        model, _ = opened(url, tmp_path / "r.db", "record", rows)
        first = model("hi", temperature=0)
        *pieces, streamed = model.stream("hi", temperature=1)
        assert pieces == WORDS
        assert len(server.requests) == 2
        model, _ = opened(url, tmp_path / "r.db", "record", rows)
        model("hi", temperature=0)
        assert len(server.requests) == 2  # it has that one
    model, _ = opened(url, tmp_path / "r.db", "replay", rows)
    again = model("hi", temperature=0)
    *pieces, last = model.stream("hi", temperature=1)
    assert (again.text, again.usage, again.finish_reason) == (first.text, first.usage, "stop")
    assert "".join(map(str, pieces)) == first.text
    assert last.usage == streamed.usage  # type: ignore[union-attr]
    row = rows[-1]
    assert (row.cache_source, row.cost.status, row.cost.amount) == ("replay", "declared_free", 0)


def test_a_miss_is_unmeasured_and_sends_nothing(tmp_path: Path) -> None:
    rows: list[Call] = []
    with faulty(reply()) as (url, server):
        model, _ = opened(url, tmp_path / "r.db", "replay", rows)
        with pytest.raises(Unmeasured, match="no recorded reply in r.db") as caught:
            model("hi")
        assert caught.value.code == 4
        assert not server.requests
    assert not rows


def test_repeats_have_their_own_replies_in_order(tmp_path: Path) -> None:
    bodies = [reply(body=_body(text)) for text in ("one", "two", "three")]
    rows: list[Call] = []
    with faulty(*bodies) as (url, _):
        model, _ = opened(url, tmp_path / "r.db", "record", rows)
        assert [model("hi").text for _ in range(3)] == ["one", "two", "three"]
    model, replay = opened(url, tmp_path / "r.db", "replay", rows)
    assert [model("hi").text for _ in range(3)] == ["one", "two", "three"]
    with pytest.raises(Unmeasured):
        model("hi")
    replay.begin()
    assert model("hi").text == "one"


def test_refresh_asks_again_and_replaces(tmp_path: Path) -> None:
    with faulty(reply(body=_body("old")), reply(body=_body("new"))) as (url, _):
        assert opened(url, tmp_path / "r.db", "record", [])[0]("hi").text == "old"
        assert opened(url, tmp_path / "r.db", "refresh", [])[0]("hi").text == "new"
    assert opened(url, tmp_path / "r.db", "replay", [])[0]("hi").text == "new"


def test_a_failed_call_is_not_kept(tmp_path: Path) -> None:
    with faulty(reply(400)) as (url, _):
        model, _ = opened(url, tmp_path / "r.db", "record", [])
        with pytest.raises(InputError):
            model("hi")
    with pytest.raises(Unmeasured):
        opened(url, tmp_path / "r.db", "replay", [])[0]("hi")


def test_another_address_or_version_is_another_model(tmp_path: Path) -> None:
    with faulty(reply()) as (url, _):
        opened(url, tmp_path / "r.db", "record", [])[0]("hi")
        other = url.replace("/v1", "/team-b/v1")
        with pytest.raises(Unmeasured):
            opened(other, tmp_path / "r.db", "replay", [])[0]("hi")
    versions = {open_model(f"vertex_ai/claude-x@{version}").identity for version in (1, 2)}
    assert len(versions) == 2


@pytest.mark.parametrize("how", ["fallbacks", "weights"])
def test_who_answered_in_a_recording_answers_in_its_replay(tmp_path: Path, how: str) -> None:
    def ask(url: str, bad: str, mode: Any) -> list[str]:
        first, second = f"openai/a@{url if how == 'weights' else bad}", f"openai/b@{url}"
        given: Any = {"weights": {first: 1.0, second: 1.0}}
        if how == "fallbacks":
            given = {"fallbacks": [second]}
        chosen = ModelSettings(retries=0, **given)
        hooks = Hooks(record=rows.append, replay=Replay(tmp_path / "r.db", mode))
        model = open_model(first, settings=chosen, hooks=hooks)
        return [model(f"q{n % 4}").text for n in range(16)]

    rows: list[Call] = []
    bodies = [reply(body=_body(str(n))) for n in range(17)]
    with faulty(reply(503)) as (bad, _), faulty(*bodies) as (url, _):
        recorded = ask(url, bad, "record")
    rows.clear()
    assert ask(url, bad, "replay") == recorded == [str(n) for n in range(16)]
    assert {(row.attempt, row.cache_source, row.fallback_of) for row in rows} == {(1, "replay", "")}


def test_tools_a_refusal_and_probabilities_are_kept(tmp_path: Path) -> None:
    token = {"token": "x", "bytes": [120], "logprob": -0.5, "top_logprobs": []}
    message = {"content": "x", "refusal": "not that", "tool_calls": [{"type": "function", **CALL}]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls",
              "logprobs": {"content": [token]}}  # fmt: skip
    body = json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()
    with faulty(reply(body=body)) as (url, _):
        first = opened(url, tmp_path / "r.db", "record", [])[0]("hi", logprobs=True)
    again = opened(url, tmp_path / "r.db", "replay", [])[0]("hi", logprobs=True)
    for found in (first, again):
        assert (found.refusal, found.logprobs) == ("not that", (token,))
        assert found.tool_calls == (ToolCall("t1", "add", '{"a": 1}'),)


def _body(text: str) -> bytes:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()


WORKED = """
import os, pathlib, pytest
from genai.models import Hooks, open_model
from genai.models.replay import Replay

model = open_model(os.environ["MODEL"], hooks=Hooks(replay=Replay(pathlib.Path("r.db"), "record")))

@pytest.mark.parametrize("n", range(40))
def test_says(n, worker_id):
    assert model(f"say {n}").text == "Hello from the loopback."
    pathlib.Path(worker_id).touch()
"""


def test_two_workers_of_xdist_fill_one_store(tmp_path: Path) -> None:
    (tmp_path / "test_calls.py").write_text(WORKED)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    with faulty(reply()) as (url, server):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "xdist.plugin", "-n", "2"],
            cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "MODEL": f"openai/m@{url}", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert len(server.requests) == 40
    assert {"gw0", "gw1"} <= {path.name for path in tmp_path.iterdir()}
    model, _ = opened(url, tmp_path / "r.db", "replay", [])
    assert all(model(f"say {n}").text for n in range(40))


def test_a_damaged_store_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "r.db").write_bytes(b"not a database " * 100)
    with faulty(reply()) as (url, _), pytest.raises(InputError, match="cannot be used"):
        opened(url, tmp_path / "r.db", "record", [])[0]("hi")
    assert (tmp_path / "r.db").read_bytes() == b"not a database " * 100

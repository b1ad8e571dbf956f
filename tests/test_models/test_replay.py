"""Replay: what shapes a reply is in its key, a miss is unmeasured, and many may share a file."""

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from faults import WORDS, faulty, reply
from hypothesis import given, settings
from hypothesis import strategies as st

from genai.errors import InputError, Unmeasured
from genai.models import Hooks, Model, open_model
from genai.models.replay import Replay, key_of
from genai.types import Call, Message, Part

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


@settings(max_examples=200, deadline=None)
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


def _body(text: str) -> bytes:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode()


def write(url: str, path: Path, name: str) -> None:
    model, _ = opened(url, path, "record", [])
    for n in range(25):
        model(f"{name} {n}")


def test_processes_write_one_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with faulty(reply()) as (url, server):
        args = [(url, tmp_path / "r.db", name) for name in "abc"]
        workers = [context.Process(target=write, args=each) for each in args]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        assert len(server.requests) == 75
    model, _ = opened(url, tmp_path / "r.db", "replay", [])
    assert all(model(f"{name} {n}").text for name in "abc" for n in range(25))


def test_a_damaged_store_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "r.db").write_bytes(b"not a database " * 100)
    with faulty(reply()) as (url, _), pytest.raises(InputError, match="cannot be used"):
        opened(url, tmp_path / "r.db", "record", [])[0]("hi")
    assert (tmp_path / "r.db").read_bytes() == b"not a database " * 100

"""Who a call is for: threads, tasks and executors keep their own; users are stored as hashes."""

import asyncio
import errno
import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from makers import call

from genai.ledger import Ledger, bind, carry, current, merged, scope
from genai.models import Fake, Hooks, open_model
from genai.types import Call, Context


def test_a_scope_is_seen_inside_and_nowhere_else() -> None:
    with scope(feature="faq", user="ann"):
        assert current() == Context(feature="faq", user="ann")
        with scope(session="s1"):
            assert current() == Context(feature="faq", user="ann", session="s1")
        assert current().session == ""
    assert current() == Context()
    with pytest.raises(TypeError), scope(colour="red"):
        pass


def test_an_explicit_context_wins_and_the_scope_fills_the_rest() -> None:
    with scope(feature="faq", user="ann"):
        assert merged(Context(feature="chat")) == Context(feature="chat", user="ann")
    assert merged(None) == Context()


def test_16_threads_and_their_tasks_keep_session_and_parent() -> None:
    rows: list[Call] = []
    model = open_model("fake/echo", provider=Fake(delay=0.001), record=rows.append)

    async def inside(name: str) -> None:
        with scope(session=name, parent_id=f"p-{name}"):
            await asyncio.gather(*(model.acall(f"{name} {n}") for n in range(5)))
            await asyncio.to_thread(model, f"{name} thread")

    def work(name: str) -> None:
        asyncio.run(inside(name))
        with scope(session=name, parent_id=f"p-{name}"):
            model(f"{name} sync")
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(bind(model), [f"{name} pool"] * 3))
            for _ in model.stream(f"{name} stream"):
                assert current().session == name

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(rows) == 16 * 11
    assert all(row.context.parent_id == f"p-{row.context.session}" for row in rows)
    assert {row.context.session for row in rows} == {f"t{n}" for n in range(16)}


def test_reading_a_stream_changes_no_scope_of_the_reader() -> None:
    model = open_model("fake/echo", provider=Fake(["a b c"]), record=None)

    def pieces() -> Iterator[str]:
        with scope(feature="reader"):
            for piece in model.stream("x"):
                assert current().feature == "reader"
                yield str(piece)

    reader = pieces()
    next(reader)
    assert list(reader)


def child(carried: dict[str, str], folder: Path) -> None:
    with scope(**carried):
        Ledger(folder / "ledger.db").record(call(id="child", context=current()))


def test_a_scope_is_carried_into_another_process(tmp_path: Path) -> None:
    with scope(session="s", user="ann"):
        args = (carry(), tmp_path)
        process = multiprocessing.get_context("spawn").Process(target=child, args=args)
        process.start()
        process.join(60)
    row = Ledger(tmp_path / "ledger.db").call("child")
    assert row is not None
    assert row.context.session == "s"


def test_a_user_is_stored_as_a_keyed_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "a" / "ledger.db")
    ledger.record(call(id="x", context=Context(user="ann@example.org")))
    (row,) = ledger.calls(user="ann@example.org")
    assert len(row.context.user) == 24
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"ann@" not in stored
    assert (tmp_path / "a" / "user.key").stat().st_mode & 0o777 == 0o600
    other = Ledger(tmp_path / "b" / "ledger.db")
    other.record(call(id="x", context=Context(user="ann@example.org")))
    assert other.calls()[0].context.user != row.context.user  # another key, another name
    monkeypatch.setenv("GENAI_USER_KEY", "shared by all machines")
    from genai.ledger.users import pseudonym

    assert pseudonym(tmp_path / "c", "ann") == pseudonym(tmp_path / "d", "ann")


def test_a_user_whose_key_cannot_be_kept_stops_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("GENAI_USER_KEY", raising=False)
    state = tmp_path / "state"
    state.write_text("a file where the folder should be")
    ledger = Ledger(state / "ledger.db")
    model = open_model("fake/echo", hooks=Hooks(record=ledger.record, sent=ledger.sent))
    with scope(user="zoe"):
        assert [model("hello").text for _ in range(2)] == ["hello"] * 2
    (said,) = [each.getMessage() for each in caplog.records if "user.key" in each.getMessage()]
    assert "GENAI_USER_KEY" in said
    assert "zoe" not in said
    state.unlink()  # there is room again: the rows come, and users have their lasting names
    assert ledger.flush().stored == 2
    assert len({row.context.user for row in ledger.calls()}) == 1
    assert ledger.user_key("zoe") == Ledger(state / "ledger.db").user_key("zoe")
    assert (state / "user.key").is_file()


def test_a_users_key_is_kept_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.delenv("GENAI_USER_KEY", raising=False)
    monkeypatch.setattr(os, "link", refuses)
    assert Ledger(tmp_path / "ledger.db").user_key("ann")
    (kept,) = tmp_path.iterdir()
    assert (kept.name, kept.stat().st_mode & 0o777) == ("user.key", 0o600)

"""Batches by the `openai` package on a loopback server, and vectors under budget and spans."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from faults import faulty, reply
from otel_bench import Bench

from genai.errors import BudgetExceeded, InputError, ModelError
from genai.ledger import Budgets, Ledger, Limit, Prices
from genai.models import Hooks, make_embedder
from genai.models.base import worst_case
from genai.models.batch import Batch
from genai.types import Call, CostStatus, Reply, ToolCall

RATES = {
    "input": "0.00001", "output": "0.00002", "batch_input": "0.000005", "batch_output": "0.00001",
}  # fmt: skip
PRICES = Prices.read({"models": {"openai/m": RATES}}, "p.yaml")


class Server(BaseHTTPRequestHandler):
    """Plays the files and batches of an OpenAI server; `status` says how the batch stands."""

    status = "in_progress"
    metadata: dict[str, str] | None = None
    uploads: list[bytes] = []
    output: bytes = b""
    errors: bytes = b""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/files"):
            type(self).uploads.append(body)
            self.send({"id": "file-1", "object": "file", "bytes": len(body), "created_at": 1,
                       "filename": "batch.jsonl", "purpose": "batch"})  # fmt: skip
        else:
            if self.path.endswith("/batches"):
                type(self).metadata = json.loads(body).get("metadata")
            type(self).status = "cancelling" if self.path.endswith("/cancel") else self.status
            self.send(self.batch())

    def do_GET(self) -> None:
        if self.path.endswith("/content"):
            self.raw(self.output if "file-out" in self.path else self.errors)
        else:
            self.send(self.batch())

    def batch(self) -> dict[str, Any]:
        done = self.status in ("completed", "expired")
        said = {"data": [{"code": "invalid_json_line", "message": "private", "line": 1}]}
        return {
            "id": "batch_1", "object": "batch", "completion_window": "24h", "created_at": 100,
            "endpoint": "/v1/chat/completions", "input_file_id": "file-1", "status": self.status,
            "completed_at": 160 if done else None,
            "output_file_id": "file-out" if done else None,
            "error_file_id": "file-err" if done and self.errors else None,
            "errors": said if self.status == "failed" else None, "metadata": self.metadata,
        }  # fmt: skip

    def send(self, body: Any) -> None:
        self.raw(json.dumps(body).encode())

    def raw(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Server]]]:
    played = type("Played", (Server,), {"uploads": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), played)
    Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}/v1", played
    running.shutdown()
    running.server_close()


def line(key: str, text: str | None, **said: Any) -> str:
    message = {"role": "assistant", "content": text, **said}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [choice], "usage": usage}  # fmt: skip
    return json.dumps({"custom_id": key, "response": {"status_code": 200, "body": body}})


def test_a_batch_is_uploaded_fetched_and_booked_once_at_half_price(
    server: tuple[str, type[Server]], tmp_path: Path
) -> None:
    url, played = server
    ledger = Ledger(tmp_path / "ledger.db")
    batch = Batch(f"openai/m@{url}", hooks=Hooks(price=PRICES.cost, record=ledger.record))
    number = batch.submit({"a": "one?", "b": "two?", "c": "three?"}, max_tokens=9)
    assert b'"custom_id":"a"' in played.uploads[0]
    assert b'"max_tokens":9' in played.uploads[0]
    assert (batch.status(number), batch.replies(number)) == ("in_progress", None)
    played.status = "completed"
    played.output = "\n".join([line("b", "second"), line("a", "first")]).encode()
    played.errors = json.dumps({"custom_id": "c", "error": {"code": "batch_expired"}}).encode()
    for _ in range(2):  # fetched twice, booked once
        replies = batch.replies(number)
        assert replies is not None
        first, third = replies["a"], replies["c"]
        assert isinstance(first, Reply)
        assert first.text == "first"
        assert first.cost.amount == Decimal("0.006")  # 1,000 at 5 and 100 at 10 a million
        assert isinstance(third, ModelError)
        assert "batch_expired" in str(third)
        ledger.flush()
    rows = ledger.calls(limit=9)
    assert sorted(row.outcome for row in rows) == ["error", "ok", "ok"]
    assert {row.seconds for row in rows} == {60}
    ledger.flush()


def test_a_request_that_failed_says_whether_it_is_worth_sending_as_it_was(
    server: tuple[str, type[Server]], tmp_path: Path
) -> None:
    url, played = server
    ledger = Ledger(tmp_path / "ledger.db")
    batch = Batch(f"openai/m@{url}", hooks=Hooks(record=ledger.record))
    number = batch.submit({"a": "1?", "b": "2?", "c": "3?", "d": "4?", "e": "5?"}, max_tokens=9)
    refused = {"message": "private", "param": "max_tokens", "code": "unsupported_parameter"}
    said = [
        {"custom_id": "a", "response": {"status_code": 400, "body": {"error": refused}}},
        {"custom_id": "b", "response": {"status_code": 500, "body": {"error": {"code": "oops"}}}},
        {"custom_id": "e", "response": {"status_code": 200, "body": {
            "choices": [{"index": 0, "finish_reason": "error"}], "error": {"code": "cut"}}}},
    ]  # fmt: skip
    call = {"id": "t", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    played.status, played.errors = "completed", "\n".join(map(json.dumps, said)).encode()
    played.output = "\n".join(
        [line("c", None, refusal="I will not."), line("d", None, tool_calls=[call])]
    ).encode()
    found: Any = batch.replies(number)
    assert "failed (unsupported_parameter: `max_tokens`); mend it and send it anew" in str(
        found["a"]
    )
    assert "failed (oops); send it again" in str(found["b"])
    assert "failed (cut); send it again" in str(found["e"])
    assert [(found[key].kind, found[key].status) for key in "abe"] == [
        ("bad_request", 400), ("server", 500), ("server", 200),
    ]  # fmt: skip
    assert (found["c"].text, found["c"].refusal) == ("", "I will not.")
    assert found["d"].tool_calls == (ToolCall("t", "look", "{}"),)
    ledger.flush()
    reasons = sorted(row.reason for row in ledger.calls(limit=9))
    assert reasons == ["", "", "bad_request", "server", "server"]


def test_a_refused_batch_says_why_and_not_what_was_asked(server: tuple[str, type[Server]]) -> None:
    url, played = server
    batch = Batch(f"openai/m@{url}")
    with pytest.raises(InputError, match="no prompts"):
        batch.submit({})
    number = batch.submit({"a": "hi"})
    played.status = "failed"
    with pytest.raises(ModelError, match="invalid_json_line") as caught:
        batch.replies(number)
    assert "private" not in str(caught.value)
    played.status, played.output = "completed", b"{broken"
    with pytest.raises(ModelError, match="no reply"):
        batch.replies(number)
    batch.cancel(number)
    assert batch.status(number) == "cancelling"
    with pytest.raises(ModelError, match="takes batches"):
        Batch("anthropic/x")


def test_a_batch_over_budget_is_not_sent_and_others_are_held_and_settled(
    server: tuple[str, type[Server]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, played = server
    ledger = Ledger(tmp_path / "ledger.db")
    budgets = Budgets(ledger.database, [Limit("total", Decimal("0.01"))], ledger.user_key)

    def worst(name: str, messages: Any, params: Any) -> Any:
        return worst_case(PRICES.cost, PRICES.entry, name, messages, params)

    def held() -> tuple[Decimal, Decimal]:
        budgets.flush()
        time.sleep(0.1)
        (row,) = budgets.status()
        return row.spent, row.reserved

    batch = Batch(f"openai/m@{url}", hooks=Hooks(PRICES.cost, budgets=budgets, worst=worst))
    with pytest.raises(BudgetExceeded):
        batch.submit({"a": "hi"})
    with pytest.raises(BudgetExceeded, match="has no price"):
        Batch(f"openai/no@{url}", hooks=batch._hooks).submit({"a": "hi"})
    assert played.uploads == []
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="is not set"):  # nothing was sent, so nothing is held
        Batch("openai/m", hooks=batch._hooks).submit({"a": "hi"}, max_tokens=600)
    number = batch.submit({"a": "hi"}, max_tokens=600)
    spent, reserved = held()
    assert (spent, reserved > Decimal("0.006")) == (0, True)
    with pytest.raises(BudgetExceeded):  # the first one is still out
        batch.submit({"a": "hi"}, max_tokens=600)
    played.status, played.output = "completed", line("a", "first").encode()
    for _ in range(2):  # by another process too
        Batch(f"openai/m@{url}", hooks=batch._hooks).replies(number)
        assert held() == (Decimal("0.006"), 0)
    batch.submit({"a": "hi"}, max_tokens=9)
    played.status = "failed"
    with pytest.raises(ModelError, match="invalid_json_line"):
        batch.replies(number)
    assert held() == (Decimal("0.006"), 0)


def test_without_a_key_or_server_the_batch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelError, match="OPENAI_API_KEY is not set"):
        Batch("openai/m").submit({"a": "hi"})
    with faulty(reply(401)) as (url, _), pytest.raises(ModelError, match="refused the key"):
        Batch(f"openai/m@{url}").submit({"a": "hi"})


def test_a_batch_is_sent_once_and_with_one_reply_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with faulty(reply(500)) as (url, server):
        with pytest.raises(ModelError, match=r"failed; try again.*\[HTTP 500 .*\(1 attempt\)"):
            Batch(f"openai/m@{url}").submit({"a": "hi"})
        assert len(server.requests) == 1
        with pytest.raises(ModelError, match="`n` asks for 2 replies"):
            Batch(f"openai/m@{url}").submit({"a": "hi"}, n=2)
        assert len(server.requests) == 1


def test_embedding_calls_keep_budgets_and_have_spans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai.models.attempts._BASE", 0.0)
    rows: list[Call] = []
    bench = Bench()
    ledger = Ledger(tmp_path / "ledger.db")
    budgets = Budgets(ledger.database, [Limit("total", Decimal("0.0001"))], ledger.user_key)
    vectors = {"data": [{"index": 0, "embedding": [1.0, 0.0], "object": "embedding"}],
               "usage": {"prompt_tokens": 2, "total_tokens": 2}}  # fmt: skip
    hooks = Hooks(price=PRICES.cost, record=rows.append, budgets=budgets, telemetry=bench.telemetry)
    answers = [reply(500), reply(body=json.dumps(vectors).encode())]
    with faulty(*answers) as (url, server):
        embedder = make_embedder(f"openai/m@{url}", hooks=hooks)
        assert embedder.embed(["hi"]).tolist() == [[1.0, 0.0]]
        with pytest.raises(BudgetExceeded):
            embedder.embed(["a long text " * 100])
        assert server.count == 2
    assert [(row.outcome, row.reason, row.attempt) for row in rows] == [
        ("error", "server", 1), ("ok", "", 2),
    ]  # fmt: skip
    assert rows[1].retry_of == rows[0].id
    assert rows[1].cost.status == CostStatus.PRICED
    assert [span.name for span in bench.spans] == ["embeddings m"] * 2
    ledger.flush()

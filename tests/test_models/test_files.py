"""Files kept at a provider: uploaded, named in messages, deleted; on a loopback server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from faults import faulty, hang_up, reply

import genai
from genai.config import ModelSettings
from genai.errors import InputError, ModelError
from genai.models import open_model
from genai.models.files import File, upload_file
from genai.types import Message, Part

SECRET = "the secret of the report"
STORED = reply(body=json.dumps({
    "id": "file-7", "object": "file", "bytes": 24, "created_at": 1, "filename": "report.txt",
    "purpose": "user_data", "status": "processed",
}).encode())  # fmt: skip
COMPLETED = {"type": "response.completed", "sequence_number": 0, "response": {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [],
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": "completed",
}}  # fmt: skip
DELETED = reply(body=b'{"id": "file-7", "object": "file", "deleted": true}')


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret-key")
    path = tmp_path / "report.txt"
    path.write_text(SECRET, encoding="utf-8")
    return path


def sent(request: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request.partition(b"\r\n\r\n")[2])
    return found


def completed(connection: Any, request: bytes) -> bool:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    event = f"event: response.completed\ndata: {json.dumps(COMPLETED)}\n\n"
    connection.sendall(head + event.encode())
    return False


def as_mapping(file: File) -> Any:
    return {"role": "user", "content": ["What does it say?", file]}


def as_message(file: File) -> Any:
    return Message("user", (Part("What does it say?"), file))


@pytest.mark.parametrize("put", [as_mapping, as_message])
def test_an_uploaded_file_is_named_in_a_message_and_deleted(
    report: Path, put: Callable[[File], Any]
) -> None:
    with faulty(STORED, reply(), DELETED, reply(404)) as (url, server):
        file = genai.upload(report, f"openai/m@{url}")
        answer = open_model(f"openai/m@{url}")([put(file)])
        file.delete()
        file.delete()  # gone already, as wanted
    assert answer.text == "Hello from the loopback."
    stored, chat, *deleted = server.requests
    assert stored.startswith(b"POST /v1/files ")
    assert b'name="purpose"\r\n\r\nuser_data' in stored
    assert b'filename="report.txt"' in stored
    assert SECRET.encode() in stored
    assert sent(chat)["messages"][0]["content"] == [
        {"type": "text", "text": "What does it say?"},
        {"type": "file", "file": {"file_id": "file-7"}},
    ]
    assert [each.startswith(b"DELETE /v1/files/file-7 ") for each in deleted] == [True, True]
    assert SECRET.encode() not in chat
    assert "very-secret-key" not in repr(file)


def test_the_responses_api_has_its_own_names_for_the_pieces(report: Path) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    with faulty(STORED, completed) as (url, server):
        file = upload_file(report, "responses/m", base_url=url)
        model = open_model("responses/m", settings=ModelSettings(base_url=url))
        model(
            [
                {"role": "user", "content": ["Both?", file, picture]},
                {"role": "assistant", "content": ["Yes.", file]},
                {"role": "user", "content": "Why?"},
            ]
        )
    first, second, third = sent(server.requests[1])["input"]
    assert first["content"] == [
        {"type": "input_text", "text": "Both?"},
        {"type": "input_file", "file_id": "file-7"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AA=="},
    ]
    assert second["content"][0] == {"type": "output_text", "text": "Yes."}
    assert third["content"] == "Why?"


def test_your_own_sync_client_uploads_and_deletes(report: Path) -> None:
    with faulty(STORED, DELETED) as (url, server), openai.OpenAI(base_url=url) as client:
        file = genai.upload(str(report), "openai/m", client=client)
        file.delete()
    assert file.id == "file-7"
    assert server.requests[1].startswith(b"DELETE /v1/files/file-7 ")


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (reply(401), "key", "refused the key in OPENAI_API_KEY"),
        (reply(404), "bad_request", "keeps no files"),
        (reply(413), "bad_request", "file report.txt: .* refused it .HTTP 413.; check its type"),
        (reply(400), "bad_request", "file report.txt: .* refused it .HTTP 400.; check its type"),
        (reply(429), "rate_limited", "limits the rate"),
        (hang_up, "network", "no connection"),
        (reply(body=b"<html>"), "bad_reply", "not about a file"),
        (reply(body=b"{}"), "bad_reply", "not about a file"),
    ],
)
def test_a_refused_upload_is_one_line_without_key_or_content(
    report: Path, fault: Any, kind: str, said: str
) -> None:
    with faulty(fault) as (url, _), pytest.raises(ModelError, match=said) as caught:
        genai.upload(report, f"openai/m@{url}")
    text = str(caught.value)
    assert caught.value.kind == kind
    assert "\n" not in text
    assert not any(word in text for word in (SECRET, "very-secret-key", "private question"))


def test_a_refused_deletion_is_one_line(report: Path) -> None:
    with faulty(STORED, reply(401)) as (url, _):
        file = genai.upload(report, f"openai/m@{url}")
        with pytest.raises(ModelError, match="refused the key in OPENAI_API_KEY"):
            file.delete()


def test_what_cannot_be_uploaded_is_said_before_anything_is_sent(report: Path) -> None:
    folder = report.parent
    (folder / "empty.txt").touch()
    with (folder / "large.bin").open("wb") as file:
        file.truncate(512 * 2**20 + 1)  # a hole: no disk is used
    with faulty(STORED) as (url, server):
        for name, said in (
            ("none.txt", "cannot be read (No such file or directory); check the path"),
            ("", "is not a file; upload one file at a time"),
            ("empty.txt", "is empty; there is nothing to upload"),
            ("large.bin", "has 512 MB, and a provider takes 512 MB at most; split it"),
        ):
            with pytest.raises(InputError) as caught:
                genai.upload(folder / name, f"openai/m@{url}")
            assert str(caught.value) == f"{folder / name}: {said}"
    assert server.requests == []


@pytest.mark.parametrize("name", ["extractive", "anthropic/claude", "ollama/llama", "openai/"])
def test_a_model_whose_provider_keeps_no_files_says_so(report: Path, name: str) -> None:
    with pytest.raises(ModelError, match="keeps no files; put the file into the message"):
        genai.upload(report, name)


def test_without_a_key_it_says_which_one(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelError, match="OPENAI_API_KEY is not set"):
        genai.upload(report, "openai/m")

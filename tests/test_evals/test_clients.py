"""What clients raise and return: their trouble is unmeasured, a fault of the task is a failure."""

import io
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import requests
import tenacity
from openai.types.chat import ChatCompletionMessage
from sums import run, sums

from genai.errors import ModelError, Unmeasured

ASKED = httpx.Request("POST", "https://api.openai.com/v1/chat/completions")


class StatusError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("from a client of yours")
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("model x: no", "key"), "no_key"),
        (ModelError("model x: no", "permission"), "no_key"),
        (ModelError("model x: no", "network"), "network"),
        (ModelError("model x: no", "rate_limited"), "rate_limited"),
        (ModelError("model x: no", "server"), "server_error"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError("refused"), "network"),
        (StatusError(401), "no_key"),
        (StatusError(402), "no_key"),
        (StatusError(429), "rate_limited"),
        (StatusError(503), "server_error"),
        (Unmeasured("no recorded reply"), "replay_miss"),
    ],
)
def test_what_could_not_be_measured_is_neither_passed_nor_zero(
    tmp_path: Path, error: Exception, code: str
) -> None:
    def dead(question: str) -> str:
        raise error

    report = run(sums(tmp_path, 3), dead)
    metric = report.metric("exact")
    assert (metric.value, metric.state, metric.unmeasured) == (None, "unmeasured", 3)
    assert metric.reason.startswith(code)
    assert report.exit_code == 4


def test_a_client_that_says_bad_request_is_a_fault_of_the_task(tmp_path: Path) -> None:
    def wrong(question: str) -> str:
        raise StatusError(400)

    assert run(sums(tmp_path, 3), wrong).metric("exact").value == 0


def of_openai(status: int = 429) -> None:
    """Raise what its SDK raises."""
    kind = openai.RateLimitError if status == 429 else openai.BadRequestError
    raise kind("slow down", response=httpx.Response(status, request=ASKED), body=None)


def of_requests(status: int) -> None:
    reply = requests.Response()
    reply.status_code = status
    reply.raise_for_status()


def retried() -> None:
    retrying = tenacity.Retrying(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
    retrying(of_openai)


def tried_again_by_requests() -> None:
    raise requests.exceptions.RetryError("too many 429 error responses")


def never_good_enough() -> None:
    """Raise what tenacity raises where each attempt gave something and none was wanted."""
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none(),
        retry=tenacity.retry_if_result(lambda given: given == "no"),
    )  # fmt: skip
    retrying(lambda: "no")


class ClientError(Exception):
    """An error as google-genai's `errors.APIError` is: `code` is the status, `status` its name."""

    def __init__(self, code: int, status: str) -> None:
        super().__init__(f"{code} {status}.")
        self.code, self.status = code, status


class AppError(Exception):
    """An application's own error."""


def raises(error: Exception, cause: Exception | None = None) -> Callable[[], None]:
    def call() -> None:
        raise error from cause

    return call


GONE = "http://127.0.0.1:9/"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (of_openai, "rate_limited"),
        (lambda: of_openai(400), None),
        (retried, "rate_limited"),
        (never_good_enough, None),
        (raises(ClientError(429, "RESOURCE_EXHAUSTED")), "rate_limited"),
        (raises(ClientError(503, "UNAVAILABLE")), "server_error"),
        (raises(ClientError(400, "INVALID_ARGUMENT"), ConnectionError()), None),
        (lambda: of_requests(429), "rate_limited"),
        (lambda: of_requests(404), None),
        (lambda: requests.get(GONE, timeout=5), "network"),
        (tried_again_by_requests, "server_error"),
        (raises(requests.exceptions.ConnectTimeout()), "timeout"),
        (raises(requests.exceptions.JSONDecodeError("no", "", 0)), None),
        (lambda: httpx.Response(503, request=ASKED).raise_for_status(), "server_error"),
        (lambda: httpx.get(GONE), "network"),
        (raises(httpx.RemoteProtocolError("disconnected")), "network"),
        (raises(httpx.ReadError("reset")), "network"),
        (raises(httpx.WriteTimeout("slow")), "timeout"),
        (raises(urllib.error.HTTPError("https://x", 429, "Slow", {}, io.BytesIO())),  # type: ignore[arg-type]
         "rate_limited"),
        (lambda: urllib.request.urlopen(GONE), "network"),
        (raises(AppError("no answer"), ConnectionResetError()), "network"),
        (raises(AppError("no answer"), ModelError("x: slow", "rate_limited")), "rate_limited"),
        (raises(AppError("no answer"), KeyError("x")), None),
        (raises(ModelError("model x: refused", "bad_request"), TimeoutError()), None),
        (raises(SystemExit(503)), None),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_trouble_is_known_whichever_client_tells_of_it(
    tmp_path: Path, call: Callable[[], Any], code: str | None
) -> None:
    report = run(sums(tmp_path, 1), lambda question: call())
    assert report.states == {"unmeasured" if code else "failed": 1}
    assert code is None or report.reasons == {code: 1}


CALLS = ChatCompletionMessage.model_validate({
    "role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}]},
)  # fmt: skip


@pytest.mark.parametrize("given", [CALLS, {"text": CALLS.content, "tool_calls": CALLS.tool_calls}])
def test_tool_calls_of_the_openai_sdk_are_read_as_they_come(tmp_path: Path, given: Any) -> None:
    (tmp_path / "evals").mkdir()
    path = tmp_path / "evals" / "tools.yaml"
    path.write_text(
        "suite: tools\nmetrics: {tool_calls: {min: 1}}\ncases:\n"
        "  - {id: a, input: look, expected_tools: [{name: look, args: {x: 1}}]}\n"
    )
    assert run(path, lambda question: given).ok

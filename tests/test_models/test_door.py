"""Models behind the one door: streams, prices, rows, and errors that say what to do."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from servers import free_port, openai_server

import genai
from genai.config import ModelSettings
from genai.errors import ModelError
from genai.models import Fake, Model, make_embedder, open_model
from genai.models.extractive import Extractive
from genai.types import Call, Message, Part

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def rows() -> list[Call]:
    return []


def scripted(script: list[Any], rows: list[Call], **settings: Any) -> Model:
    provider = Fake(script, **settings)
    return open_model("fake/test", provider=provider, record=rows.append)


# -- one call, one row -----------------------------------------------------------------------------


def test_a_call_a_stream_and_an_await_give_the_same_and_leave_one_row_each(
    rows: list[Call],
) -> None:
    model = scripted(["one two three"] * 3, rows)
    whole = model("hi")
    *pieces, streamed = model.stream("hi")
    awaited = asyncio.run(model.acall("hi"))
    assert whole.text == "".join(map(str, pieces)) == awaited.text == "one two three"
    assert isinstance(streamed, genai.Reply)
    assert [row.outcome for row in rows] == ["ok"] * 3
    assert [row.id for row in rows] == [whole.call_id, streamed.call_id, awaited.call_id]
    assert rows[0].ttft is not None
    assert rows[0].seconds >= rows[0].ttft >= 0


def test_a_stream_that_is_closed_leaves_a_cancelled_row_with_what_came(rows: list[Call]) -> None:
    model = scripted(["one two three four"], rows, delay=0.01)
    pieces = model.stream("hi")
    assert next(pieces) == "one"
    pieces.close()
    assert [row.outcome for row in rows] == ["cancelled"]
    assert rows[0].output_tokens == 1


def test_a_provider_that_raises_leaves_an_error_row(rows: list[Call]) -> None:
    model = scripted([ModelError("model x: no", "rate_limited")], rows)
    with pytest.raises(ModelError, match="model x: no"):
        model("hi")
    assert [(row.outcome, row.reason) for row in rows] == [("error", "rate_limited")]
    assert rows[0].input_tokens is None  # nobody knows, so it is not 0


def test_silence_ends_a_stream_after_the_timeout_and_a_whole_reply_after_the_total(
    rows: list[Call],
) -> None:
    provider = Fake(["late"], delay=30)
    settings = ModelSettings(timeout=0.05, total_timeout=0.06)
    model = open_model("fake/slow", provider=provider, settings=settings, record=rows.append)
    start = time.perf_counter()
    with pytest.raises(
        ModelError, match=r"no reply within 0.05 s; raise `models.fake/slow.timeout`"
    ):
        list(model.stream("hi"))
    with pytest.raises(ModelError, match=r"no whole reply within 0.06 s; raise .*\.total_timeout`"):
        model("hi")
    assert time.perf_counter() - start < 10
    assert [row.reason for row in rows] == ["timeout"] * 2


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gtp-5", "use extractive"),
        ("extractiv", "did you mean `extractive`"),
        ("openai", "openai/N"),
    ],
)
def test_an_unknown_name_lists_the_forms(name: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        open_model(name)
    assert hint in str(caught.value)
    assert caught.value.kind == "unknown_model"


@pytest.mark.parametrize(
    "name",
    ["opanai/m@http://ann:very-secret@h:80/v1", "openai/m@htp://ann:very-secret@h:80/v1",
     "mistral/m@https://ann:very-secret@h:80/v1", "m@http://ann:very-secret@h:80",
     "openai/m@ann:very-secret@h:80"],
)  # fmt: skip
@pytest.mark.parametrize("opens", [open_model, make_embedder])
def test_a_name_with_a_slip_shows_no_password_of_its_url(opens: Any, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        opens(name)
    assert "very-secret" not in str(caught.value)
    assert "URL" in str(caught.value)


# -- any OpenAI-compatible server ------------------------------------------------------------------


def test_the_openai_protocol_streams_with_usage_and_is_priced(rows: list[Call]) -> None:
    with openai_server(text="It works [1].") as (url, server):
        model = open_model(f"openai/gpt-4o-mini@{url}", record=rows.append)
        reply = model("Does it?", temperature=0.5)
    assert reply.text == "It works [1]."
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 7)
    assert reply.usage.source == "provider"
    request = server.requests[0]
    assert request["messages"] == [{"role": "user", "content": "Does it?"}]
    assert (request["model"], request["temperature"]) == ("gpt-4o-mini", 0.5)
    assert rows[0].model == "openai/gpt-4o-mini"


def test_the_stored_row_names_the_snapshot_that_priced_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    with openai_server() as (url, _):
        genai.model("openai/gpt-5-mini", base_url=url)("hi")
    (row,) = genai.open_ledger().calls()
    listed = json.loads(next((tmp_path / "configs" / "prices").glob("*.json")).read_text())
    assert row.cost.snapshot == listed["sha256"][:16]
    assert (row.cost.key, row.cost.status) == ("gpt-5-mini", "priced")


def test_the_standard_tier_of_groq_is_no_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    with openai_server(more={"service_tier": "on_demand"}) as (url, _):
        reply = genai.model("openai/gpt-5-mini", base_url=url)("hi")
    (row,) = genai.open_ledger().calls()
    assert (row.served_tier, reply.cost.status, reply.cost.reason) == ("on_demand", "priced", "")


def test_without_usage_the_tokens_are_counted_and_say_so(rows: list[Call]) -> None:
    with openai_server(usage=False) as (url, _):
        reply = open_model(f"openai/x@{url}", record=rows.append)("hi")
    assert reply.usage.source == "counted"
    assert rows[0].usage.source == "counted"


@pytest.mark.parametrize(
    ("question", "tokens"),  # of `o200k_base`, the vocabulary of gpt-4o
    [
        ("退货政策：客人可以在三十天内退回未使用的灯具，并获得全额退款。请保留收据和原包装。", 34),
        ("未使用のランプは三十日以内に返品し、全額返金を受けることができます。", 26),
        ("반품 정책: 고객은 사용하지 않은 램프를 삼십 일 이내에 반품할 수 있습니다.", 25),
        ("Return policy: guests may return an unused lamp within thirty days.", 13),
    ],
)
def test_counted_tokens_are_near_the_real_ones_in_other_scripts(
    question: str, tokens: int, rows: list[Call]
) -> None:
    with openai_server(usage=False) as (url, _):
        open_model(f"openai/x@{url}", record=rows.append)(question)
    assert 0.8 * tokens <= rows[0].usage.input_tokens <= 1.5 * tokens


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_users_own_client_object_is_used_as_it_is(kind: str, rows: list[Call]) -> None:
    with openai_server() as (url, server):
        options = {"base_url": url, "api_key": "my-own-key", "max_retries": 0}
        client = openai.OpenAI(**options) if kind == "sync" else openai.AsyncOpenAI(**options)  # type: ignore[arg-type]
        model = open_model("openai/x", client=client, record=rows.append)
        assert model("hi").text == "Hello from the loopback."
        assert server.keys == ["my-own-key"]
        if isinstance(client, openai.OpenAI):
            client.close()
        else:
            from genai import bridge

            bridge.run(client.close())
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("behaviour", "kind", "said"),
    [
        ({"status": 401}, "key", "refused the key in OPENAI_API_KEY"),
        ({"status": 404}, "unknown_model", "has no such model"),
        ({"status": 429}, "rate_limited", "limits the rate"),
        ({"status": 500}, "server", "failed"),
        ({"raw": b"<html>not json</html>"}, "bad_reply", "not a whole chat completion"),
        ({"cut_after": 2}, "", "try again"),
    ],
)
def test_a_server_that_misbehaves_is_one_sentence_without_content(
    behaviour: dict[str, Any], kind: str, said: str, rows: list[Call]
) -> None:
    with openai_server(**behaviour) as (url, _):
        settings = ModelSettings(retries=0)
        model = open_model(f"openai/x@{url}", settings=settings, record=rows.append)
        with pytest.raises(ModelError) as caught:
            list(model.stream("my private question"))
    message = str(caught.value)
    assert said in message
    assert kind in ("", caught.value.kind)
    assert "private" not in message
    assert "\n" not in message
    assert [row.outcome for row in rows] == ["error"]


def test_no_network_and_no_key_name_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"no connection to http://127.0.0.1:\d+") as caught:
        open_model(f"openai/x@http://127.0.0.1:{free_port()}/v1")("hi")
    assert caught.value.kind == "network"
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ModelError, match="OPENAI_API_KEY is not set; export") as caught:
        open_model("openai/gpt-5-mini")("hi")
    assert caught.value.kind == "key"


# -- a proxy ---------------------------------------------------------------------------------------


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """A real LiteLLM proxy on loopback, in front of the loopback server."""
    command = ROOT / ".venv-peers" / "proxy" / "bin" / "litellm"
    if not command.exists():
        assert "CI" not in os.environ, "run `make test`, which installs the proxy"
        pytest.skip("the LiteLLM proxy is not installed; `make test` does it")
    with openai_server(text="Through the proxy.") as (url, server):
        config = tmp_path / "proxy.yaml"
        config.write_text(
            "model_list:\n  - model_name: small\n    litellm_params:\n"
            f"      model: openai/behind\n      api_base: {url}\n      api_key: behind-key\n",
            encoding="utf-8",
        )
        port = free_port()
        environment = {
            **os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True",
            "LITELLM_MASTER_KEY": "sk-loopback", "LITELLM_TELEMETRY": "False",
        }  # fmt: skip
        line = [command, "--config", config, "--host", "127.0.0.1", "--port", str(port),
                "--telemetry", "False"]  # fmt: skip
        log = (tmp_path / "proxy.log").open("w")
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
        try:
            for _ in range(600):
                assert process.poll() is None, (tmp_path / "proxy.log").read_text()[-2000:]
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/health/liveliness").status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1", server
        finally:
            process.terminate()
            process.wait(30)
            log.close()


def test_a_real_litellm_proxy_answers_in_its_place(
    proxy: tuple[str, Any], monkeypatch: pytest.MonkeyPatch, rows: list[Call]
) -> None:
    url, server = proxy
    monkeypatch.setenv("PROXY_KEY", "sk-loopback")
    settings = ModelSettings(api_key_env="PROXY_KEY")
    model = open_model(f"openai/small@{url}", settings=settings, record=rows.append)
    assert model("hi").text == "Through the proxy."
    assert server.keys == ["behind-key"]
    monkeypatch.setenv("PROXY_KEY", "sk-wrong")
    wrong = open_model(f"openai/small@{url}", settings=settings)
    with pytest.raises(ModelError, match="model openai/small: the server at http://127") as caught:
        wrong("hi")
    assert "sk-wrong" not in str(caught.value)


# -- the embedded defaults -------------------------------------------------------------------------


def passages(*texts: str) -> tuple[Message, ...]:
    parts = [Part(text, "retrieved", "passages", str(n)) for n, text in enumerate(texts)]
    question = Part("How long is the notice period?", "untrusted", "question")
    return (Message("user", (*parts, question)),)


def test_the_extractive_model_quotes_and_cites() -> None:
    model = open_model("extractive")
    reply = model(passages("Birds fly.", "# Terms\n\nThe notice period is 30 days. Dogs bark."))
    assert reply.text == "The notice period is 30 days. [2]"
    assert model(passages()).text == "NO_ANSWER"
    assert "no LLM" in model.label


def test_a_table_row_is_quoted_with_its_column_names_and_code_is_not_quoted() -> None:
    table = "| topic | value |\n|---|---|\n| notice period | 30 days |\n\n```\nnotice period\n```"
    chosen = Extractive(make_embedder("static").encode, most=1)
    assert open_model("extractive", provider=chosen)(passages(table)).text == (
        "topic: notice period; value: 30 days [1]"
    )


def test_code_that_opens_a_sentence_hides_nothing_behind_it() -> None:
    told = "Read the terms. ```terms.md``` holds them. The notice period is 30 days."
    assert open_model("extractive")(passages(told)).text == "The notice period is 30 days. [1]"

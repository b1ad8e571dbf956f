"""Embedders: which vectors they give, and what of the texts leaves in one request."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import faulty, reply
from indexes import current, many, starter
from servers import openai_server

import genai
from genai.cli import main
from genai.errors import BudgetExceeded, ModelError
from genai.ledger.cap import Cap, capped
from genai.models import Hooks, make_embedder
from genai.models.embedders import STATIC
from genai.types import Call
from genai.wiring.parts import open_ledger


@pytest.fixture
def rows() -> list[Call]:
    return []


def test_the_static_embedder_gives_unit_rows_that_tell_topics_apart(rows: list[Call]) -> None:
    embedder = make_embedder("static", hooks=Hooks(record=rows.append))
    vectors = embedder.embed(["the price of a model", "what a model costs", "storks in spring", ""])
    assert vectors.shape == (4, embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-5)
    assert not vectors[3].any()
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert [row.kind for row in rows] == ["embedding"]
    assert embedder.id.startswith("static-minilm-256-int8@")


def test_a_process_loads_the_shipped_weights_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Index, guards and the model of a chain each open the embedder."""
    said = ["the price of a model"]
    vectors = make_embedder("static").encode(said)
    monkeypatch.delattr("model2vec.StaticModel.from_pretrained")
    assert np.array_equal(make_embedder("static").encode(said), vectors)


def test_a_sentence_transformers_folder_is_an_embedder(tmp_path: Path) -> None:
    reason = "sentence-transformers is not installed; pip install 'genai-workbench[finetune]'"
    package = pytest.importorskip("sentence_transformers", reason=reason)
    tokenizers = pytest.importorskip("tokenizers", reason=reason)
    words = tokenizers.Tokenizer.from_file(str(STATIC / "tokenizer.json"))
    modules = pytest.importorskip(
        "sentence_transformers.sentence_transformer.modules", reason=reason
    )
    module = modules.StaticEmbedding(words, embedding_dim=16)
    package.SentenceTransformer(modules=[module]).save(str(tmp_path))
    vectors = make_embedder(f"sentence-transformers/{tmp_path}").encode(["a stork", "a stork", "b"])
    assert vectors.shape == (3, 16)
    assert np.allclose(vectors[0], vectors[1])


def test_under_a_cap_an_embedder_without_a_price_is_refused_unless_it_stays_here(
    rows: list[Call],
) -> None:
    hooks = Hooks(record=rows.append)
    with openai_server() as (url, server), capped(Cap(Decimal(1))) as cap:
        there = make_embedder(f"openai/nobody-knows@{url}", hooks=hooks)
        with pytest.raises(BudgetExceeded, match=r"openai/nobody-knows: its price is unknown"):
            there.embed(["a stork"])
        assert (server.requests, cap.refused, rows) == ([], 1, [])
        here = make_embedder(lambda texts: [[3.0, 4.0]] * len(texts), hooks=hooks)
        assert here.embed(["a stork"]).shape == (1, 2)
    assert len(rows) == 1


@pytest.mark.parametrize("name", ["statics", "litellm", "no.such.module:function"])
def test_an_unknown_embedder_lists_the_forms(name: str) -> None:
    with pytest.raises(ModelError, match="give|use"):
        make_embedder(name)


def test_a_callable_is_an_embedder_and_a_wrong_one_is_named() -> None:
    good = make_embedder(lambda texts: [[3.0, 4.0]] * len(texts))
    assert np.allclose(good.encode(["x"]), [[0.6, 0.8]])
    with pytest.raises(ModelError, match="one row a text"):
        make_embedder(lambda texts: [[1.0]]).encode(["x", "y"])
    with pytest.raises(ModelError, match="NaN"):
        make_embedder(lambda texts: [[float("nan")]] * len(texts)).encode(["x"])


# -- what leaves in one request --------------------------------------------------------------------


def project(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: str) -> Path:
    """Make a project whose settings are these, with two small pages."""
    starter(folder, lamps="The lamp of the works council is green.", birds="Storks nest high.")
    (folder / "configs" / "genai.yaml").write_text(f"version: 1\n{settings}", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def test_a_folder_goes_to_a_server_in_requests_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with openai_server(most_inputs=96) as (url, server):
        root = project(tmp_path / "p", monkeypatch, f"embedder: openai/e@{url}\n")
        many(root / "docs", 120, paragraphs=6)
        assert main(["index", "sync"]) == 0
        index = genai.Index()
        assert index.count() > 250
        assert index.search("Storks nest high.")
    sent = [text for request in server.requests for text in request["input"]]
    assert len(sent) > 2 * index.count() > 5 * 96  # the sentences too
    assert max(sum(map(len, request["input"])) for request in server.requests) <= 32_000
    calls = [row for row in open_ledger().calls(limit=1000) if row.kind == "embedding"]
    assert len(calls) == len(server.requests)
    assert sum(row.input_tokens for row in calls) == 3 * len(server.requests)
    index.close()


@pytest.mark.parametrize("text", ["The lamp of the works council. ", "工作委员会的灯是绿色的。"])
def test_a_request_keeps_to_the_fewest_tokens_that_a_provider_takes(text: str) -> None:
    sizes = []

    def mistral(connection: Any, request: bytes) -> bool:
        asked = json.loads(request)["input"]
        sizes.append(sum(len(each.encode()) for each in asked) // 2)  # a token is no less
        if sizes[-1] > 16_384:
            said = {"object": "error", "message": "Too many tokens in batch. Max is 16384"}
            return reply(400, body=json.dumps(said).encode())(connection, request)
        data = [{"index": n, "embedding": [1.0, n]} for n in range(len(asked))]
        return reply(body=json.dumps({"data": data}).encode())(connection, request)

    with faulty(mistral) as (url, _):
        assert len(make_embedder(f"openai/e@{url}").embed([text * 30] * 300)) == 300
    assert max(sizes) > 8_000  # and they are not sent one by one


def test_vectors_of_several_requests_are_those_of_one(rows: list[Call]) -> None:
    texts = ["x" * (number % 50 + 1) for number in range(200)] + ["y" * 60_000] * 2
    with openai_server() as (url, server):
        embedder = make_embedder(f"openai/e@{url}", hooks=Hooks(record=rows.append))
        found = embedder.embed(texts)
        assert np.array_equal(found, embedder.encode(texts))
    wanted = np.array([[len(text), 1.0] for text in texts], np.float32)
    assert np.allclose(found, wanted / np.linalg.norm(wanted, axis=1, keepdims=True))
    assert [len(each["input"]) for each in server.requests] == [96, 96, 8, 1, 1] * 2
    assert [row.attempt for row in rows] == [1] * 5


def test_a_request_of_several_is_repeated_alone(
    rows: list[Call], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai.models.attempts._BASE", 0.0)

    def vectors(count: int) -> Any:
        data = [{"index": n, "embedding": [1.0, 0.0]} for n in range(count)]
        return reply(body=json.dumps({"data": data}).encode())

    with faulty(vectors(96), reply(429), vectors(4)) as (url, server):
        embedder = make_embedder(f"openai/e@{url}", hooks=Hooks(record=rows.append))
        assert embedder.embed(["a stork"] * 100).shape == (100, 2)
    assert server.count == 3
    assert [(row.outcome, row.attempt) for row in rows] == [("ok", 1), ("error", 1), ("ok", 2)]
    assert rows[2].retry_of == rows[1].id


def test_a_wait_that_nobody_has_time_for_is_not_waited() -> None:
    with faulty(reply(429, "Retry-After: 3600\r\n")) as (url, server):
        with pytest.raises(ModelError, match=r"\(1 attempt\)"):
            make_embedder(f"openai/e@{url}").embed(["a stork"])
    assert server.count == 1


# -- the server that the settings name, and no other -----------------------------------------------

WAYS = {
    "in its name": "embedder: openai/e@{url}\n",
    "in the settings": "embedder: openai/e\nmodels:\n  openai/e: {{base_url: '{url}'}}\n",
}


@pytest.mark.parametrize("way", WAYS)
def test_texts_go_to_the_named_server_alone_from_workers_and_after_a_rollback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with openai_server() as (url, own), openai_server() as (public, other):
        monkeypatch.setenv("OPENAI_BASE_URL", public)  # where a name without a server leads
        root = project(tmp_path / "p", monkeypatch, WAYS[way].format(url=url))
        assert main(["index", "sync", "--workers", "1"]) == 0
        assert own.requests
        (root / "configs" / "genai.yaml").write_text("version: 1\nembedder: static\n")
        assert main(["index", "sync"]) == 0
        assert main(["index", "rollback"]) == 0
        own.requests.clear()
        index = genai.Index()
        assert index.search("Storks nest high.")
        opened = current(index)
        opened.store.write("DELETE FROM vector", [()])
        index.close()
        assert main(["index", "verify", "--repair"]) == 0
        assert [len(request["input"]) for request in own.requests] == [1, 4]
    assert other.requests == []


def test_no_password_of_a_url_is_part_of_an_address() -> None:
    embedder = make_embedder("openai/e@http://ann:geheim@127.0.0.1:9/v1")
    assert (embedder.name, embedder.address) == ("openai/e", "openai/e@http://127.0.0.1:9/v1")


SET = """embedder: {name}
models:
  {name}: {{base_url: '{url}', api_key_env: TEAM_KEY, params: {{dimensions: 2}}, retries: 0}}
"""


@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
@pytest.mark.parametrize("words", [[], ["--workers", "1"]], ids=["here", "in a worker"])
@pytest.mark.parametrize("name", ["openai/e", "litellm/openai/text-embedding-3-small"])
def test_key_parameters_and_retries_of_the_settings_hold_for_an_embedder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: list[str]
) -> None:
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with openai_server() as (url, server):
        project(tmp_path / "p", monkeypatch, SET.format(name=name, url=url))
        assert main(["index", "sync", *words]) == 0
        assert set(server.keys) == {"sk-team"}
        assert {request["dimensions"] for request in server.requests} == {2}
        before = genai.Index().generation
        server.status, sent = 500, len(server.requests)
        assert main(["index", "sync", "--rebuild", *words]) == 64
        assert len(server.requests) == sent + 1
        plain = genai.Index(embedder=make_embedder(name))
        assert plain.wanted() != before  # vectors of another length are another embedder's


NAMED = """embedder: openai/e@{url}
models:
  openai/e: {{{server}api_key_env: TEAM_KEY}}
"""


@pytest.mark.parametrize(
    ("server", "key"), [("", "sk-team"), ("base_url: 'http://a/v1', ", "sk-all")]
)
def test_an_entry_holds_for_its_name_with_an_address_unless_it_leads_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, key: str
) -> None:
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-all")
    with openai_server() as (url, asked):
        project(tmp_path / "p", monkeypatch, NAMED.format(url=url, server=server))
        assert main(["index", "sync"]) == 0
        assert set(asked.keys) == {key}


def test_an_address_without_its_scheme_is_refused() -> None:
    with pytest.raises(ModelError, match="`@` is followed by a URL"):
        make_embedder("openai/e@127.0.0.1:8000/v1")

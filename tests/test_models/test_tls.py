"""Calls over TLS: whose certificates count, and what is said of one that nobody vouches for."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asking import QUESTION, model, rows
from certificates import make_certificate, serving
from faults import faulty, reply

from genai.errors import ModelError
from genai.ledger import Ledger

pytestmark = [
    pytest.mark.usefixtures("secret", "quick", "litellm_closed"),
    pytest.mark.filterwarnings("ignore"),  # LiteLLM's own code draws warnings of what it uses
]
NAMES = ["openai/m", "azure/m", "hosted_vllm/m"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_a_certificate_that_nobody_vouches_for_is_named_with_the_cure(
    certificate: Path, ledger: Ledger
) -> None:
    with faulty(reply(), tls=serving(certificate)) as (url, server):
        for name in NAMES:
            with pytest.raises(ModelError) as caught:
                model(url, ledger, name=name, retries=0)(QUESTION)
            assert f"the certificate of {url} is not trusted here (self-signed" in str(caught.value)
            assert "export SSL_CERT_FILE=..." in str(caught.value)
            assert (caught.value.kind, caught.value.sent) == ("network", False)
    assert server.requests == []
    assert {row.cost.amount for row in rows(ledger)} == {0}


def test_certificates_of_the_environment_count(certificate: Path) -> None:
    ask = "import sys, genai; print(genai.model(sys.argv[1])('hi').text)"
    with faulty(reply(), tls=serving(certificate)) as (url, server):
        done = subprocess.run(
            [sys.executable, "-c", ask, f"openai/m@{url}"], text=True, capture_output=True,
            env={**os.environ, "SSL_CERT_FILE": str(certificate)}, timeout=60, check=False,
        )  # fmt: skip
    assert (done.stdout.strip(), server.count) == ("Hello from the loopback.", 1), done.stderr


def test_where_a_machine_has_none_those_of_certifi_count(
    certificate: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setattr("certifi.where", lambda: str(certificate))
    with faulty(reply(), tls=serving(certificate)) as (url, _):
        assert asyncio.run(model(url, ledger, retries=0).acall(QUESTION)).text

"""guardrails-ai both ways, proven with its own Guard, in a process without a network."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from genai.errors import ConfigError
from genai.guards import Policy, PolicySettings, apply, load_policy
from genai.guards.guardrails_ai import GuardrailsGuard, as_validator, silent
from genai.guards.pii import PiiGuard
from genai.guards.secrets import SecretsGuard
from genai.types import Action

pytest.importorskip("guardrails", reason="pip install 'genai-workbench[guards]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # its own deprecations, and its dependencies'


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    asked: list[Any] = []

    def refuse(*args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield asked
    assert not asked


def test_its_guard_runs_our_validators() -> None:
    guard = silent().Guard().use(as_validator(PiiGuard()), as_validator(SecretsGuard()))
    text = "Mail ann@firm.com, the key is AKIAIOSFODNN7EXAMPLE."
    outcome = guard.validate(text)
    assert outcome.validated_output == "Mail [email], the key is [secret]."
    assert guard.validate("Nothing to see here.").validation_passed is True
    assert guard.validate("Nothing to see here.").validated_output == "Nothing to see here."
    noted = silent().Guard().use(as_validator(PiiGuard(), on_fail="noop")).validate(text)
    assert noted.validation_passed is False
    summary = noted.validation_summaries[0]
    assert [text[s.start : s.end] for s in summary.error_spans] == ["ann@firm.com"]
    assert "ann@firm.com" not in summary.failure_reason


def its_validator() -> Any:
    package = silent()
    from guardrails.validator_base import ErrorSpan, FailResult, PassResult

    @package.register_validator(name="test/no-cats", data_type="string")
    class NoCats(package.Validator):  # type: ignore[misc, name-defined]
        def _validate(self, value: str, metadata: dict[str, Any]) -> Any:
            at = value.find("cat")
            if at < 0:
                return PassResult()
            spans = [ErrorSpan(start=at, end=at + 3, reason="a cat")]
            return FailResult(error_message=f"cat in {value}", error_spans=spans)

    return NoCats(on_fail="noop")


def test_our_policy_runs_its_validators() -> None:
    guard = GuardrailsGuard(its_validator())
    policy = Policy(PolicySettings(), extra=[("answer", guard)])
    verdict = policy.check("A cat sat.", "answer")[0]
    assert verdict.decision is Action.BLOCK
    assert [(s.start, s.end) for s in verdict.spans] == [(2, 5)]
    assert "cat sat" not in verdict.reason
    assert policy.check("A dog sat.", "answer")[0].decision is Action.ALLOW


def test_its_validators_look_at_the_texts_of_many_chats_at_once() -> None:
    policy = Policy(PolicySettings(), extra=[("answer", GuardrailsGuard(its_validator()))])
    texts = [f"A {'cat' if n % 3 else 'dog'} sat. {'It sat. ' * n}" for n in range(200)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda text: policy.check(text, "answer")[0], texts))
    assert [bool(v.spans) for v in found] == ["cat" in text for text in texts]
    assert {v.decision for v in found} == {Action.ALLOW, Action.BLOCK}


def test_its_validator_keeps_the_law_of_streams() -> None:
    policy = Policy(PolicySettings(), extra=[("answer", GuardrailsGuard(its_validator()))])
    for text in ("A cat sat. It was Ann's. The end", "A dog sat. It was Bob's. The end"):
        whole = policy.gate("answer")
        expected = whole.feed(text) + whole.finish()
        for cut in range(len(text) + 1):
            gate = policy.gate("answer")
            assert gate.feed(text[:cut]) + gate.feed(text[cut:]) + gate.finish() == expected
            assert [v.spans for v in gate.verdicts] == [v.spans for v in whole.verdicts]


def test_a_policy_file_names_its_validator(tmp_path: Path) -> None:
    path = tmp_path / "guards.yaml"
    path.write_text(
        "answer:\n  - {guard: guardrails, validator: 'guards_fixture:Loud', action: redact,"
        " on_error: closed, timeout: 60, params: {most: 2}}\n"
    )
    module = tmp_path / "guards_fixture.py"
    module.write_text(
        "from guardrails import Validator, register_validator\n"
        "from guardrails.validator_base import FailResult, PassResult\n"
        "@register_validator(name='test/loud', data_type='string')\n"
        "class Loud(Validator):\n"
        "    def __init__(self, most=0, on_fail=None):\n"
        "        super().__init__(on_fail=on_fail, most=most)\n"
        "        self.most = most\n"
        "    def _validate(self, value, metadata):\n"
        "        if value.count('!') <= self.most:\n"
        "            return PassResult()\n"
        "        return FailResult(error_message='loud', fix_value=value.replace('!', '.'))\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        policy = load_policy(path)
        verdicts = policy.check("No! No! No!", "answer")
        assert apply("No! No! No!", verdicts) == "No. No. No."
        gate = policy.gate("answer")
        assert "".join(map(gate.feed, "No! No! No!")) + gate.finish() == "No. No. No."
    finally:
        sys.path.remove(str(tmp_path))


def test_a_validator_that_cannot_be_made_is_a_verdict() -> None:
    guard = GuardrailsGuard("json.decoder:JSONDecoder", {"most": 2})
    policy = Policy(PolicySettings(), extra=[("answer", guard)])
    assert policy.check("text", "answer")[0].reason.endswith("failed (ConfigError).")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("guards_nowhere:Nothing", "there is no module guards_nowhere"),
        ("guards_nowhere.hub:Nothing", "there is no module guards_nowhere.hub"),
        ("json.nowhere.at_all:Nothing", "there is no module json.nowhere.at_all"),
        ("json.decoder:Nothing", "json.decoder holds no Nothing"),
        ("json.decoder", "it is no such path"),
        ("json decoder:JSONDecoder", "it is no such path"),
    ],
)
def test_a_validator_that_is_not_there_is_refused_without_an_import(path: str, why: str) -> None:
    loaded = set(sys.modules)
    with pytest.raises(ConfigError) as caught:
        GuardrailsGuard(path)
    assert f"configs/guards.yaml: `validator`: {path!r} cannot be made ({why}); give" in str(
        caught.value
    )
    assert set(sys.modules) == loaded


@pytest.mark.parametrize("path", ["pkg.inner:Fine", "pkg:Made", "spread.deep.er:Fine", "pkg:Any"])
def test_a_validator_that_may_be_there_is_left_to_its_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for name, text in {
        "pkg/__init__.py": "from json import *\n",
        "pkg/inner.py": "class Fine: ...\n",
        "spread/deep/er.py": "class Fine: ...\n",  # packages without an `__init__`
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert GuardrailsGuard(path).name == path


def test_telemetry_stays_off_for_guards_made_later() -> None:
    from guardrails.settings import settings

    package = silent()
    for _ in range(3):
        package.Guard().use(as_validator(PiiGuard()))
        assert settings.rc.enable_metrics is False


def test_nothing_of_it_is_loaded_before_it_is_used() -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom genai.guards import load_policy\n"
        "policy = load_policy(Path('configs/guards.yaml'))\n"
        "policy.check('a text', 'log')\n"
        "assert not {'guardrails', 'litellm', 'torch'} & set(sys.modules)\n"
    )
    root = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, timeout=60)

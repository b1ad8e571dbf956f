"""The demo from nothing to a served model, by the commands a reader types, offline.

The commands are those of the README and of the handbook's chapter, so a change there is tried here.
"""

import json
import os
import re
import resource
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
import yaml
from servers import free_port

from genai.cli import main
from genai.finetune.gate import Gate, read_gate

ROOT = Path(__file__).parents[2]
README, CHAPTER = ROOT / "README.md", ROOT / "docs" / "prompting-and-fine-tuning.md"
MESSAGE = "hello . i want my money back . i live in lisbon . please hurry . ana"
FORM = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["refund", "late", "broken", "cancel", "address", "invoice"]},
        "plan": {"type": ["string", "null"], "maxLength": 8},
        "urgent": {"type": "boolean"},
    },
    "required": ["intent", "plan", "urgent"],
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # the starter is the project, and its state lies here
    return tmp_path


def commands(page: Path = README) -> list[list[str]]:
    """Give the commands of a page's walk, up to the server that ends it."""
    block = re.search(
        r"^```bash no-run: [^\n]*test_chain[^\n]*\n(.*?)^```", page.read_text(), re.M | re.S
    )
    assert block is not None
    lines = [shlex.split(line, comments=True)[1:] for line in block[1].splitlines()]
    assert lines[-1][0] == "serve"
    return lines


def gate_of(here: Path, run: str) -> Gate:
    return read_gate(here / ".genai" / "finetune" / "runs" / run)[0]


def slices(gate: Gate) -> dict[str, float]:
    return {each.metric: each.after or 0.0 for each in gate.slices}


def changed(here: Path, recipe: Path, name: str, **training: object) -> str:
    """Write a recipe with another rate and length, and with nothing that anchors it."""
    given = yaml.safe_load(recipe.read_text())
    given |= {"name": name, "training": {**given["training"], **training}}
    given["preference"] = {"beta": 0.1, "losses": {"sigmoid": 1}}
    made = here / f"{name}.yaml"
    made.write_text(yaml.safe_dump(given))
    return str(made)


def used() -> float:
    """Give the processor time of this process and of those that it has ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


@contextmanager
def served(here: Path, words: list[str]) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "genai", *words, "--port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=here, env=environment) as server:
        try:
            for _ in range(1200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert server.poll() is None
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def test_the_readme_and_the_chapter_walk_the_same_way() -> None:
    assert commands(README) == commands(CHAPTER)


@pytest.mark.timeout(900)  # on a machine that is busy with others; idle it takes a minute
def test_the_chapters_commands_lead_from_nothing_to_a_served_model(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start, before = time.perf_counter(), used()
    said = {}
    *walk, serve = commands()
    for words in walk:
        capsys.readouterr()
        assert main(words) == 0, words
        said[" ".join(words)] = capsys.readouterr().out

    assert {row.before for row in gate_of(here, "quick-sft").slices} == {0.0}  # random weights
    first = slices(gate_of(here, "quick-sft"))
    assert first["json_valid"] >= 0.98
    assert first["exact_present"] >= 0.9
    assert first["null_when_absent"] <= 0.1  # it invents a plan, as those who taught it did
    assert 0.4 <= first["exact"] <= 0.6
    gate = gate_of(here, "quick-dpo")
    assert gate.word == "IMPROVED"
    assert slices(gate)["exact"] >= 0.95
    assert slices(gate)["null_when_absent"] >= 0.9
    assert "the same to the bit" in said["finetune verify quick-dpo"]
    merged = said["finetune export quick-dpo exported"]
    assert re.search(r"merged: .* 100 of 100 answers are the same", merged)
    card = (here / "exported" / "README.md").read_text()
    assert "| null_when_absent | 0.000 |" in card
    assert "More Information" not in card
    _ask(here, serve)

    took, processor = time.perf_counter() - start, used() - before
    with capsys.disabled():
        sys.stdout.write(f"\nthe walk took {took:.0f} s, {processor:.0f} s of processor time\n")

    # the best of a trainer's numbers and the end of the model: refused, with the slice that fell
    good = ROOT / "configs" / "dpo.yaml"
    bad = changed(here, good, "quick-bad", learning_rate=5e-3, steps=60)
    capsys.readouterr()
    assert main(["finetune", "run", bad, "--checked", "--yes"]) == 0
    assert "beware: the chosen answers lost" in capsys.readouterr().out
    assert main(["finetune", "compare", "quick-bad", "quick-dpo", "--promote"]) == 1
    both = capsys.readouterr().out
    assert re.search(
        r"quick-bad: not promoted: REGRESSION against quick-sft: exact 0\.\d+ -> 0", both
    )
    assert "quick-bad against quick-sft: REGRESSION" in both
    assert "quick-dpo against quick-sft: IMPROVED" in both
    side = r"quick-bad has the largest margin and is the worse model: .*exact_present 1\.000 -> 0"
    assert re.search(side, both)
    worse, better = (gate_of(here, f"quick-{name}").trainer for name in ("bad", "dpo"))
    assert worse["rewards/margins"] > 2 > better["rewards/margins"]
    assert not (here / ".genai" / "adapters" / "quick-bad").exists()


def _ask(here: Path, serve: list[str]) -> None:
    """Ask the promoted adapter, and the merged export, as any client would."""
    with (
        served(here, serve) as url,
        openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120) as client,
    ):
        assert {each.id for each in client.models.list()} == {"merged", "support"}
        for name in ("support", "merged"):
            found = client.chat.completions.create(
                model=name, messages=[{"role": "user", "content": MESSAGE}],
                response_format={
                    "type": "json_schema", "json_schema": {"name": "support", "schema": FORM}
                },
            )  # fmt: skip
            text = found.choices[0].message.content or ""
            assert json.loads(text) == {"intent": "refund", "plan": None, "urgent": True}
        pieces = client.chat.completions.create(
            model="support", messages=[{"role": "user", "content": MESSAGE}], stream=True,
            max_tokens=48,
        )  # fmt: skip
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
        assert json.loads(text) == {"intent": "refund", "plan": None, "urgent": True}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_support_demo_reaches_its_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = here / ".genai" / "finetune" / "demo" / "support"
    start, before = time.perf_counter(), used()
    assert main(["finetune", "data", "demo", "support"]) == 0
    assert main(["finetune", "run", str(demo / "sft.yaml")]) == 0
    assert main(["finetune", "compare", "support-sft"]) == 0
    assert slices(gate_of(here, "support-sft"))["exact"] >= 0.40
    assert main(["finetune", "run", str(demo / "dpo.yaml")]) == 0
    assert main(["finetune", "compare", "support-dpo", "--promote"]) == 0
    took, processor = time.perf_counter() - start, used() - before
    gate = gate_of(here, "support-dpo")
    found = slices(gate)
    with capsys.disabled():
        sys.stdout.write(f"\nsupport took {took:.0f} s, {processor:.0f} s of processor: {found}\n")
    assert found["exact"] >= 0.69
    assert found["null_when_absent"] >= 0.98
    assert {row.word for row in gate.slices if row.gate} <= {"PASS", "IMPROVED"}
    assert processor <= 2 * 12 * 60

    # more margin, a worse model
    bad = changed(here, demo / "dpo.yaml", "support-a", learning_rate=5e-4, steps=150)
    assert main(["finetune", "run", bad, "--checked", "--yes"]) == 0
    capsys.readouterr()
    assert main(["finetune", "compare", "support-a", "--promote"]) == 1
    worse = gate_of(here, "support-a")
    assert worse.trainer["rewards/margins"] > gate.trainer["rewards/margins"]
    assert worse.word == "REGRESSION"
    fell = {row.metric for row in worse.slices if row.gate and row.word == "REGRESSION"}
    assert fell >= {"exact_present", "json_valid", "city"}
    assert "null_when_absent" not in fell  # it gained what it was trained for
    refused = re.search(r"support-a: not promoted: REGRESSION .*", capsys.readouterr().out)
    assert refused is not None
    for name in fell:
        assert re.search(rf"\b{name} \d\.\d+ -> \d\.\d+", refused[0]), name

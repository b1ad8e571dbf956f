"""The loop's commands and their exit codes, on a project's own chain."""

import time
from decimal import Decimal
from pathlib import Path

import pytest

import genai
from genai.cli import main
from genai.project import init
from genai.types import Call, Context, Cost, CostStatus

LOOP = """online: {share: 1, spend: "0.01", metrics: {support: {min: 0.5}}}
canary: {suite: shop}
cases: shop
"""
SUITE = """suite: shop
metrics:
  contains: {min: 1}
cases:
  - {id: lamp, input: "Within how many days may guests return a lamp?", expected: ten days}
  - {id: open, input: "At which hour does the shop open on weekdays?", expected: nine}
"""
TERMS = "# Terms\n\nGuests may return a lamp within ten days. The shop opens at nine on weekdays.\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    init(tmp_path)
    for path in (tmp_path / "docs").glob("*.md"):
        path.unlink()
    (tmp_path / "docs" / "terms.md").write_text(TERMS)
    settings = tmp_path / "configs" / "genai.yaml"
    settings.write_text(settings.read_text().replace("content: none ", "content: all "))
    (tmp_path / "configs" / "loop.yaml").write_text(LOOP)
    (tmp_path / "evals" / "shop.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    assert main(["index", "sync"]) == 0
    return tmp_path


def test_a_canary_that_begins_to_fail_is_exit_code_1(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["loop", "canary"]) == 0
    assert "2 canaries in run" in capsys.readouterr().out
    assert main(["loop", "canary"]) == 0
    assert "not due before" in capsys.readouterr().out
    (project / "docs" / "terms.md").write_text(TERMS.replace("ten days", "one week"))
    assert main(["index", "sync"]) == 0
    capsys.readouterr()
    assert main(["loop", "canary", "--now"]) == 1
    out = capsys.readouterr().out
    assert "1 fail\n  lamp (passed the time before)" in out
    assert main(["loop", "canary", "--now"]) == 0  # it fails as it did before
    assert "1 fail\n  lamp\n" in capsys.readouterr().out


def test_a_spent_budget_of_judges_is_exit_code_3(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(genai.load()("Within how many days may guests return a lamp?"), genai.Answer)
    assert main(["loop", "score"]) == 0
    (run,) = [each for each in (project / ".genai" / "runs" / "online").iterdir() if each.is_dir()]
    ledger, cost = genai.open_ledger(), Cost(Decimal("0.02"), CostStatus.PRICED)
    ledger.record(Call("a" * 28, "model", time.time(), 0.1, "ok", "judge", Context(run=run.name),
                       cost=cost))  # fmt: skip
    ledger.flush()
    assert isinstance(genai.load()("At which hour does the shop open on weekdays?"), genai.Answer)
    capsys.readouterr()
    assert main(["loop", "score"]) == 3
    out = capsys.readouterr().out
    assert "0 answers in the sample; judges cost $0.0200 of today's $0.01" in out
    assert "the day's budget for judges is spent" in out

"""Online evals on a project's own chain: what an answer was made from is searched again."""

from pathlib import Path

import pytest

import genai
from genai.cli import main
from genai.loop.seen import online_scores
from genai.project import init

ONLINE = "online: {share: 1, metrics: {support: {min: 0.5}}}\ncases: shop\n"
LAMP = "Guests may return a lamp within ten days. The shop opens at nine on every day of the week."


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    init(tmp_path)
    for path in (tmp_path / "docs").glob("*.md"):
        path.unlink()
    (tmp_path / "docs" / "terms.md").write_text(f"# Terms\n\n{LAMP}\n")
    settings = tmp_path / "configs" / "genai.yaml"
    settings.write_text(settings.read_text().replace("content: none ", "content: all "))
    (tmp_path / "configs" / "loop.yaml").write_text(ONLINE)
    monkeypatch.chdir(tmp_path)
    assert main(["index", "sync"]) == 0
    return tmp_path


def test_passages_come_from_the_index_and_a_changed_one_leaves_calls_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = genai.load()("Within how many days may guests return a lamp?")
    assert isinstance(answer, genai.Answer)
    assert main(["loop", "score"]) == 0
    assert "1 answers in the sample" in capsys.readouterr().out
    ledger = genai.open_ledger()
    (scores,) = online_scores(ledger, 0.0).values()
    assert scores["support"] > 0.9  # judged by the very passages that it quotes

    assert isinstance(genai.load()("When does the shop open on every day?"), genai.Answer)
    (project / "docs" / "more.md").write_text("# More\n\nLamps are sold in pairs.\n")
    assert main(["index", "sync"]) == 0
    capsys.readouterr()
    assert main(["loop", "score"]) == 0
    out = capsys.readouterr().out
    assert "0 answers in the sample" in out
    assert "1 left out: the index or its settings have changed since" in out

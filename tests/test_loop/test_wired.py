"""Online evals on a project's own chain: what an answer was made from is searched again."""

from pathlib import Path
from typing import Any

import pytest
from servers import openai_server

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


ALONE = {
    "a lamp": ("Within how many days may guests return a sofa?", "a sofa within ten days"),
    "a hall": ("When does the hall of the sofa open?", "The hall of the sofa opens at nine"),
}


def test_follow_ups_are_kept_judged_and_reviewed_as_the_questions_that_were_asked(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "docs" / "terms.md").write_text("Guests may return a sofa within ten days.")
    (project / "docs" / "hall.md").write_text("The hall of the sofa opens at nine.")
    assert main(["index", "sync"]) == 0

    def reply(body: dict[str, Any]) -> str:
        asked = body["messages"][-1]["content"]
        for about, (alone, said) in ALONE.items():
            if alone in asked or about in asked:
                return f"{said} [1]." if alone in asked else alone
        raise AssertionError(asked)

    with openai_server(answer=reply) as (url, _):
        settings = project / "configs" / "genai.yaml"
        text = settings.read_text().replace("model: extractive", f"model: openai/m@{url}")
        text = text.replace('rewrite: "off"', "rewrite: auto").replace("top_k: 6", "top_k: 1")
        settings.write_text(text.replace("min_confidence: 0.4", "min_confidence: 0.0"))
        chain, ledger = genai.load(), genai.open_ledger()
        for about in ALONE:
            answer = chain([{"role": "user", "content": f"What of {about}?"},
                            {"role": "user", "content": "And the sofa?"}])  # fmt: skip
            assert isinstance(answer, genai.Answer)
            ledger.feedback(answer.call_id, False)
    assert main(["loop", "score"]) == 0
    assert "2 answers in the sample" in capsys.readouterr().out
    assert all(each["support"] > 0.9 for each in online_scores(ledger, 0.0).values())
    loop = genai.open_loop()
    loop.refresh()
    assert {item.question for item in loop.items()} == {alone for alone, _ in ALONE.values()}


def test_a_reranked_answer_is_judged_by_the_passages_it_was_made_from(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = "def score(question, texts):\n    return [float('nine' in each) for each in texts]\n"
    (project / "order.py").write_text(order)
    (project / "docs" / "shop.md").write_text("The shop opens at nine on every day of the week.")
    (project / "docs" / "terms.md").write_text("When does the shop open? It opens when we open.")
    settings = project / "configs" / "genai.yaml"
    text = settings.read_text().replace("top_k: 6", "top_k: 1")
    text = text.replace('rerank: "off"', "rerank: order:score")
    settings.write_text(text.replace("min_confidence: 0.4", "min_confidence: 0.0"))
    assert main(["index", "sync"]) == 0
    answer = genai.load()("When does the shop open?")
    assert isinstance(answer, genai.Answer)
    assert [each.document for each in answer.citations] == ["shop.md"]
    assert main(["loop", "score"]) == 0
    assert "1 answers in the sample" in capsys.readouterr().out
    (scores,) = online_scores(genai.open_ledger(), 0.0).values()
    assert scores["support"] == 1

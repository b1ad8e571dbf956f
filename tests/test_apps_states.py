"""Every page says in one line what is wrong and what to do next; none shows a traceback."""

import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from servers import openai_server
from suites import judged, right
from sums import run, sums

import genai
from genai import project
from genai.cli import main
from genai.ledger import Ledger
from genai.models import Fake
from genai.models.base import Delta
from genai.types import Call

APPS = Path(__file__).parent.parent / "apps"
CURVES = ".genai/finetune/runs/mine/curves.jsonl"
REPORT = ".genai/runs/handbook/r1/report.json"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project.init(tmp_path / "project")
    shutil.rmtree(tmp_path / "project" / "docs")  # nothing to embed, which takes seconds
    (tmp_path / "project" / "docs").mkdir()
    (tmp_path / "project" / "docs" / "one.md").write_text("An index holds passages.")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.syspath_prepend(str(APPS))
    # the page becomes the main module, and a process started later would begin by running it
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    return tmp_path / "project"


def drawn(name: str) -> Any:
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    st.cache_resource.clear()  # one process holds what the page of another project opened
    st.cache_data.clear()
    page = AppTest.from_file(str(APPS / name), default_timeout=60).run()
    assert not page.exception
    return page


@pytest.mark.parametrize(
    ("page", "file", "text", "said"),
    [
        ("chat", "configs/genai.yaml", "chain: {modle: x}", "did you mean `model`?"),
        ("pages/monitor", "configs/genai.yaml", "chain: {modle: x}", "did you mean `model`?"),
        ("pages/prompts", "configs/genai.yaml", "chain: {modle: x}", "did you mean `model`?"),
        ("pages/review", "configs/genai.yaml", "chain: {modle: x}", "did you mean `model`?"),
        ("pages/business", "configs/business.yaml", "titel: x", "did you mean `title`?"),
        ("pages/training", CURVES, "[]", "start the run with: genai finetune run"),
        ("pages/evals", REPORT, "[]", "delete its folder, and run the suite again"),
        ("pages/labelling", REPORT, "[]", "delete its folder, and run the suite again"),
        ("pages/monitor", ".genai/ledger.db", "text" * 2000, "is damaged"),
        ("pages/review", ".genai/ledger.db", "text" * 2000, "is damaged"),
    ],
)
def test_a_broken_file_is_told_in_one_line_under_the_title(
    place: Path, page: str, file: str, text: str, said: str
) -> None:
    (place / file).parent.mkdir(parents=True, exist_ok=True)
    (place / file).write_text(text)
    found = drawn(f"{page}.py")
    (told,) = [each.value for each in found.error]
    assert len(found.title) == 1
    assert said in told
    assert len(told.splitlines()) == 1


def test_a_damaged_run_hides_no_other_suite(place: Path) -> None:
    judged(place, right)
    (place / REPORT).parent.mkdir(parents=True)
    (place / REPORT).write_text("[]")
    page = drawn("pages/evals.py")
    (told,) = [each.value for each in page.error]
    assert told.startswith("handbook cannot be shown. ")
    assert page.selectbox[0].options == ["sums"]
    assert not page.info  # that no run is there


def test_the_chat_says_what_is_wrong_where_no_call_can_be_written(place: Path) -> None:
    (place / ".genai").mkdir()
    (place / ".genai" / "ledger.db").write_text("text" * 2000)
    found = drawn("chat.py").chat_input[0].set_value("What is an index?").run()
    assert not found.exception
    (told,) = [each.value for each in found.error]
    assert "ledger.db: is damaged" in told
    assert len(told.splitlines()) == 1


def test_the_chat_is_alone_where_a_project_has_no_other_pages(place: Path) -> None:
    from streamlit.testing.v1 import AppTest

    shutil.rmtree(place / "apps" / "pages")
    frame = AppTest.from_file(str(place / "apps" / "frame" / "app.py"), default_timeout=60).run()
    assert not frame.exception
    assert [each.value for each in frame.title] == ["Ask the documents"]


def test_the_chat_goes_on_while_the_ledger_is_away(place: Path) -> None:
    (place / ".genai").mkdir()
    (place / ".genai" / "ledger.db").write_text("text" * 2000)
    found = drawn("chat.py")
    for question in ("What is an index?", "And what is a passage?"):
        found = found.chat_input[0].set_value(question).run()
    said = [each.markdown[0].value for each in found.chat_message]
    assert said[::2] == ["What is an index?", "And what is a passage?"]
    assert all(said[1::2])


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("pages/evals", "No run yet. Run a suite and come back:"),
        ("pages/labelling", "No run yet. Run a suite and come back:"),
        ("pages/monitor", "Ask something in the chat, and come back."),
        ("pages/training", "No run yet. Start one and come back:"),
    ],
)
def test_a_project_in_which_nothing_happened_names_the_next_step(
    place: Path, page: str, said: str
) -> None:
    (told,) = [each.value for each in drawn(f"{page}.py").info]
    assert said in told


def test_the_chat_without_documents_says_how_to_give_it_some(place: Path) -> None:
    (place / "docs" / "one.md").unlink()
    (told,) = [each.value for each in drawn("chat.py").error]
    assert told.startswith("The chat cannot start. ")
    assert told.endswith("docs: holds no document that can be read; put some there")


def test_a_revenue_that_is_lost_is_shown_and_the_figures_stand_above_the_inputs(
    place: Path,
) -> None:
    path = place / "configs" / "business.yaml"
    lost = "  revenue: {value: -0.1, source: plan, owner: product}\n"
    path.write_text(path.read_text().replace("inputs:\n", f"inputs:\n{lost}", 1))
    page = drawn("pages/business.py")
    assert [each.value for each in page.number_input if each.label.startswith("revenue")] == [-0.1]
    title, figures, inputs = list(page.main.children.values())[:3]
    assert [title.type, inputs.type] == ["title", "expander"]
    assert "Cost per success" in [each.label for each in figures.metric]
    (ends,) = [each.value for each in page.markdown if each.value.startswith("payback at most")]
    assert re.fullmatch(r"payback at most 12: [\d.]+ months, (kept|broken)", ends)
    assert not any("money" in unit for unit in page.dataframe[0].value["unit"])


def test_a_business_case_without_its_spreadsheet_is_drawn_to_the_end(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)  # as where it is not installed
    page = drawn("pages/business.py")
    (told,) = [each.value for each in page.warning if "spreadsheet" in each.value]
    assert told.endswith("run: pip install 'genai-workbench[reports]'")
    offered = [each.proto.label for each in page.get("download_button")]
    assert offered == ["Download as HTML", "Download as JSON"]
    assert page.markdown[-1].value.startswith("genai 0.")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See https://evil.test/?q=1.", "See `https://evil.test/?q=1`."),
        (
            "(www.evil.test/a_b) and `curl http://a.test`",
            "(`www.evil.test/a_b`) and `curl http://a.test`",
        ),
        ("[here](http://evil.test) <http://evil.test>![x](http://evil.test/p.png)", "here x"),
        ("```\nhttp://a.test\n```", "```\nhttp://a.test\n```"),
        ("[a [b] c](//evil.test)", "[a [b] c] (//evil.test)"),
        ("a ``` b\n\n> [c]: //evil.test/p.png", "a ``` b\n\n> [c]\\: //evil.test/p.png"),
        ("\\`![c]\\`\r\r[c]: //evil.test/p.png", "\\`![c]\\`\n\n[c]\\: //evil.test/p.png"),
        ("`[a](//evil.test) ![b](<http://evil.test>)`", "`[a] (//evil.test) ![b]()`"),
    ],
)
def test_an_address_in_somebody_elses_text_is_no_link(place: Path, text: str, shown: str) -> None:
    from drawing import clean

    assert clean(text) == shown


def test_code_of_an_answer_is_shown_as_it_stands_in_the_document(place: Path) -> None:
    said = (
        "The lamp is lit by `$HOME/lamp <on> && m[i][j]`, by `vec![1, 2]` or by"
        " `lamps[name](event)`, and it costs $5 <today>."
    )
    (place / "docs" / "one.md").write_text(said)
    app = drawn("chat.py")
    app.chat_input[0].set_value("By what is the lamp lit?").run()
    shown = said.replace("$5 <today>", "\\$5 &lt;today&gt;")
    assert app.chat_message[1].markdown[0].value == f"{shown} [1]"


def test_a_ticked_thumb_on_a_follow_up_keeps_the_question_that_was_asked(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENAI_LEDGER_CONTENT", "feedback")
    with openai_server(text="What does an index hold in it?") as (url, _):
        monkeypatch.setenv("GENAI_CHAIN_REWRITE", f"openai/m@{url}")
        app = drawn("chat.py")
        app.chat_input[0].set_value("What does an index hold?").run()
        app.chat_input[0].set_value("And in it?").run()
    turn = app.session_state["turns"][1]["id"]
    app.session_state[f"thumb-{turn}-0"] = 0
    app.run()
    app.checkbox[0].check()
    pressed(app, "Send feedback")
    assert not app.exception
    loop = genai.open_loop()
    loop.refresh()
    (item,) = loop.items()
    assert item.question == "What does an index hold in it?"


class Cut(Fake):
    """A model that reaches its limit of tokens."""

    async def stream(self, messages: Any, params: Any) -> Any:
        yield Delta("An index holds passages [1]. It")
        yield Delta(finish_reason="length")


def test_an_answer_that_was_cut_says_so_on_the_page_and_in_the_terminal(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut(**given: Any) -> genai.Chain:
        return load(model=genai.model("fake/cut", provider=Cut()), chain__min_confidence=0.0)

    load = genai.load
    monkeypatch.setattr(genai, "load", cut)
    app = drawn("chat.py")
    app.chat_input[0].set_value("What does an index hold?").run()
    said = "The answer is cut: the model reached its limit of tokens."
    assert any(said in each.proto.body for each in app.get("html"))
    capsys.readouterr()
    assert main(["ask", "What does an index hold?"]) == 0
    assert f"An index holds passages. [1]\n{said}\n" in capsys.readouterr().out


def pressed(app: Any, label: str) -> None:
    (button,) = [each for each in app.button if each.label == label]
    button.click().run()


def test_a_chat_is_restored_after_a_decision_and_a_label_on_other_pages(place: Path) -> None:
    judged(place, right)
    settings = place / "configs" / "genai.yaml"
    settings.write_text(settings.read_text().replace("content: none ", "content: feedback "))
    ledger = Ledger(place / ".genai" / "ledger.db", content="feedback")
    ledger.record(Call(id="a1", kind="chain", started_at=time.time(), seconds=0.1, outcome="ok"))
    ledger.feedback("a1", False, reason="wrong", turn=("May I pay by cheque?", "No."), consent=True)
    ledger.flush()
    app = drawn("chat.py")
    app.chat_input[0].set_value("What does an index hold?").run()
    pressed(app, "New chat")
    assert not app.chat_message
    app.switch_page("pages/review.py").run()
    app.text_input[0].set_value("Bo").run()
    pressed(app, "It is right")
    app.switch_page("pages/labelling.py").run()
    app.text_input[0].set_value("Bo").run()
    pressed(app, "Pass")
    app.switch_page("chat.py").run()
    pressed(app, "Restore the last chat")
    assert not app.exception
    assert "What does an index hold?" in app.chat_message[0].markdown[0].value


def test_a_run_of_which_every_case_failed_says_so_and_is_not_offered_as_a_baseline(
    place: Path,
) -> None:
    def crashes(question: str) -> str:
        raise KeyError("order")

    path = sums(place, 3)
    run(path, crashes)
    shutil.copytree(place / "runs", place / ".genai" / "runs")
    page = drawn("pages/evals.py")
    assert [each.value for each in page.info] == ["This suite has no baseline yet."]
    (told,) = [each.value for each in page.error]
    assert told.startswith("The run measured nothing: every case failed")
    assert "KeyError 3" in told
    assert not page.code

"""Cases are drafted from documents and feedback, read by a person, and checked for leaks."""

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from makers import call
from servers import openai_server

import genai
from genai.cli import main
from genai.errors import CaseError, ModelError
from genai.evals import Case, load_suite
from genai.evals.case import Turn
from genai.evals.leaks import Source, find_leaks, read_texts
from genai.evals.make import from_documents, read_drafts, scrub
from genai.prompts import load_prompt
from genai.types import Cost, CostStatus, Message, Passage, Reply, Usage

ROOT = Path(__file__).parents[2]
STORK = (
    "The white stork builds its nest of sticks on chimneys and poles, and comes back to the same"
    " nest each spring, often with the same mate, to raise three to five chicks until August."
)
HERON = (
    "The grey heron stands still in shallow water for up to an hour, and takes fish of as much as"
    " half a kilogram with one thrust of its bill, mostly at dawn when the water is calm."
)
SUITE = """# birds, by hand
suite: birds
metrics:
  recall_at_k: {show: true}
cases:
  - id: herons
    input: How heavy a fish can a grey heron take?
    kind: answerable
    gold: [{document: birds.md, quote: "half a kilogram with one thrust"}]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("configs", "evals", "docs"):
        (tmp_path / name).mkdir()
    (tmp_path / "docs" / "birds.md").write_text(f"# Stork\n\n{STORK}\n\n# Heron\n\n{HERON}\n")
    (tmp_path / "evals" / "birds.yaml").write_text(SUITE)
    (tmp_path / "configs" / "guards.yaml").symlink_to(ROOT / "configs" / "guards.yaml")
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\nledger: {content: feedback}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(body: dict[str, Any]) -> str:
    """A model that asks of storks well, and of herons what a case asks already."""
    passage = body["messages"][-1]["content"]
    if "stork" in passage:
        given = [
            "Where does a white stork nest?",
            "builds its nest of sticks on chimneys and poles",
        ]
    else:
        given = ["Can a grey heron take a fish how heavy?", "with one thrust of its bill"]
    return json.dumps({"question": given[0], "quote": given[1]})


def test_a_draft_from_a_document_counts_once_somebody_has_read_it(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKER_KEY", "k")
    with openai_server(answer=asked) as (url, server):
        (project / "configs" / "genai.yaml").write_text(
            f'version: 1\nmodels:\n  openai/maker: {{base_url: "{url}", api_key_env: MAKER_KEY}}\n'
            "index: {splitter: sentences, overlap: 20}\n"
        )
        command = ["eval", "make", "birds", "--from", "documents", "--model", "openai/maker"]
        assert main(command) == 0
        assert main(command) == 0  # what is drafted is not drafted again
    said = capsys.readouterr().out
    assert "1 draft; 1 dropped: a case asks nearly the same" in said
    assert "0 drafts; 2 dropped: a case asks nearly the same" in said
    system, user = server.requests[0]["messages"]
    assert "nest" not in system["content"]
    assert "fish" not in system["content"]  # the passage stays in the user's turn, fenced
    assert re.search(r"<passage \w{10}>\n", user["content"])

    suite = load_suite(project / "evals" / "birds.yaml")
    [draft] = read_drafts(suite)
    assert len(suite.cases) == 1
    assert draft.gold[0].quote in STORK
    assert draft.provenance is not None
    assert draft.provenance["model"] == "openai/maker"
    assert draft.provenance["prompt"] == load_prompt("eval/question", ROOT / "prompts").id
    assert draft.provenance["reviewed"] == ""
    index = genai.Index()
    index.sync(project / "docs")
    assert draft.provenance["passage"] in {passage.id for passage in index.passages()}
    index.close()

    assert main(["eval", "make", "birds", "--accept", draft.id]) == 64
    assert "--reviewer NAME" in capsys.readouterr().err
    assert main(["eval", "make", "birds", "--accept", draft.id, "--reviewer", "Ada"]) == 0
    found = load_suite(project / "evals" / "birds.yaml")
    assert [case.id for case in found.cases] == ["herons", draft.id]
    assert (found.cases[1].provenance or {})["reviewed"] == "Ada"
    assert found.hash != suite.hash
    assert (project / "evals" / "birds.yaml").read_text().startswith(SUITE)  # comments stay
    assert not (project / "evals" / "birds.drafts.jsonl").exists()


def drafted(
    project: Path, replies: list[dict[str, str]], text: str = HERON, document: str = "birds.md"
) -> tuple[list[Case], Counter[str]]:
    given = iter(replies)

    async def ask(messages: tuple[Message, ...], *, schema: Any, **params: Any) -> Reply:
        free = Cost(None, CostStatus.UNPRICED)
        return Reply("", "m", Usage(), free, 0.0, parsed=schema(**next(given)))

    text = squeeze(text)
    passages = [Passage(f"p{n}", document, 0, 1, text) for n in range(len(replies))]
    suite = load_suite(project / "evals" / "birds.yaml")
    prompt = load_prompt("eval/question", ROOT / "prompts")
    done = from_documents(suite, passages, ask, prompt, count=9, model="m")
    return done.drafts, done.dropped


def squeeze(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("question", "quote", "why"),
    [
        ("Where do herons sleep?", "They sleep in high trees at night", "not in the document"),
        ("When do herons hunt?", "at dawn", "too short"),
        ("", "", "nothing to ask"),
        ("What does this passage say of herons?", "stands still in shallow water", "its passage"),
        ("Who stands still in shallow water?", "stands still in shallow water", "gives the answer"),
        ("How heavy a fish can a GREY heron take", "half a kilogram with one", "nearly the same"),
    ],
)
def test_a_question_that_proves_nothing_is_dropped(
    project: Path, question: str, quote: str, why: str
) -> None:
    drafts, dropped = drafted(project, [{"question": question, "quote": quote}])
    assert not drafts
    assert why in str(dropped)


def test_gold_may_stand_in_a_document_that_is_no_plain_text(project: Path) -> None:
    page = STORK.replace("nest of sticks", "<b>nest</b> of sticks")
    (project / "docs" / "stork.html").write_text(f"<h1>Stork</h1><p>{page}</p>")
    (project / "docs" / "scan.pdf").write_bytes(b"%PDF-1.4\n\xe2\xe3\xcf\xd3")
    path = project / "evals" / "birds.yaml"
    gold = "[{document: scan.pdf, quote: Storks nest here}]"
    path.write_text(f"{SUITE}  - {{id: scan, input: q, kind: answerable, gold: {gold}}}\n")
    assert len(load_suite(path).cases) == 2
    asks = {"question": "Where does a white stork nest?", "quote": "its nest of sticks on chimneys"}
    drafts, dropped = drafted(project, [asks], STORK, "stork.html")
    assert [each.gold[0].quote for each in drafts] == [asks["quote"]], dropped
    path.write_text(path.read_text().replace("scan.pdf", "lost.pdf"))
    with pytest.raises(CaseError, match=r"docs/lost\.pdf does not exist"):
        load_suite(path)


def test_two_drafts_that_ask_the_same_are_one(project: Path) -> None:
    one = {"question": "How long does a grey heron stand still?", "quote": "for up to an hour, and"}
    two = {"question": "A grey heron does stand still how long?", "quote": "for up to an hour, and"}
    drafts, dropped = drafted(project, [one, two])
    assert (len(drafts), dropped.total()) == (1, 1)


def test_a_model_that_is_no_llm_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", "make", "birds", "--from", "documents"]) == 64
    assert "name an LLM" in capsys.readouterr().err


def complain(question: str, *, up: bool = False, outcome: str = "ok") -> None:
    ledger = genai.open_ledger()
    row = call(kind="chain", outcome=outcome, started_at=time.time())
    ledger.record(row)
    if outcome == "ok":
        turn = (question, "It costs 5 euros.") if question else None
        ledger.feedback(row.id, up, reason="wrong", turn=turn, consent=True, comment="Not so.")


def test_thumbs_down_become_drafts_without_personal_data(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "sk-" + "a1B2c3D4e5F6g7H8i9J0k1L2"
    complain(f"Why was jane.roe@acme.io billed with {key}?")
    complain("How heavy a fish can the grey heron take?")
    complain("Who likes it?", up=True)
    complain("")
    complain("", outcome="error")
    assert main(["eval", "make", "birds", "--from", "feedback"]) == 0
    said = capsys.readouterr().out
    assert "1 draft; 1 dropped: a case asks nearly the same; 2 dropped: the ledger holds no" in said
    text = (project / "evals" / "birds.drafts.jsonl").read_text()
    assert "Why was [email] billed with [secret]?" in text
    assert not [each for each in ("jane", "acme", key) if each in text]
    draft = msgspec.json.decode(text)
    assert draft["metadata"] == {"said": "It costs 5 euros.", "comment": "Not so."}
    assert (draft["provenance"]["why"], draft["provenance"]["reason"]) == ("thumb", "wrong")


def test_a_failure_of_the_chain_becomes_a_draft(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real chain fails on a dead model; its question is there where the ledger keeps text."""
    shipped = Path(genai.__file__).parent.parent
    for name in ("configs/guards.yaml", "prompts/rag/answer.md"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes((shipped / name).read_bytes())
    (project / "configs" / "genai.yaml").write_text(
        "version: 1\nledger: {content: all}\nchain: {model: openai/x@http://127.0.0.1:9/v1}\n"
    )
    chain = genai.load()
    chain.index.sync(project / "docs")
    with pytest.raises(ModelError):
        chain("Where do storks nest in the spring, asks jane.roe@acme.io?")
    genai.open_ledger().flush()
    assert main(["eval", "make", "birds", "--from", "feedback"]) == 0
    assert "1 draft" in capsys.readouterr().out
    draft = msgspec.json.decode((project / "evals" / "birds.drafts.jsonl").read_bytes())
    assert draft["input"] == "Where do storks nest in the spring, asks [email]?"
    assert (draft["provenance"]["why"], draft["provenance"]["reason"]) == ("error", "network")


def test_scrubbing_leaves_the_rest_of_the_text() -> None:
    assert scrub("Call +41 44 668 18 00 or mail a@b.ch.") == "Call [phone] or mail [email]."
    assert scrub("Where do storks nest?") == "Where do storks nest?"


def test_a_suite_that_cannot_be_read_with_the_draft_is_left_as_it_was(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "evals" / "birds.yaml"
    draft = Case(id="herons", input="A second one with the id of the first?")
    (project / "evals" / "birds.drafts.jsonl").write_bytes(msgspec.json.encode(draft))
    before = path.read_bytes()
    command = ["eval", "make", "birds", "--accept", "herons", "--reviewer", "Ada"]
    assert main(command) == 64
    assert "the id `herons` stands twice" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not (project / "evals" / "birds.cases.jsonl").exists()
    assert (project / "evals" / "birds.drafts.jsonl").exists()
    assert main([*command[:4], "none", *command[5:]]) == 64
    assert "has no draft `none`; drafts: herons" in capsys.readouterr().err


# -- leaks ----------------------------------------------------------------------------------------

CASES = [
    Case(id="fish", input="How heavy a fish can a grey heron take at dawn?"),
    Case(id="nest", input="Where nests it?", expected=STORK),
    Case(id="turns", messages=(Turn(role="user", content="Why do bitterns boom?"),)),
]


@pytest.mark.parametrize(
    ("text", "case", "kind"),
    [
        ("How heavy a fish can a grey heron take at dawn?", "fish", "exact"),
        ("how heavy a fish can a GREY heron\ntake at dawn", "fish", "normalised"),
        ("At dawn a grey heron can take how heavy a fish?", "fish", "near"),
        ("Q: how heavy a fish can a grey heron take at dawn? A: half a kilo.", "fish", "overlap"),
        (f"Yes. {STORK[10:140]} ...", "nest", "overlap"),
        ("Why do bitterns boom", "turns", "normalised"),
    ],
)
def test_a_case_is_found_in_each_way_it_can_leak(text: str, case: str, kind: str) -> None:
    [leak] = find_leaks(CASES, [Source("train.jsonl", 3, text)])
    assert (leak.case, leak.kind) == (case, kind)


@pytest.mark.parametrize(
    "text",
    [
        "How heavy a nest can a white stork build in spring?",
        "The white stork builds its nest of sticks on poles.",  # a dozen words, not thirteen
        "Where is it?",
        "",
    ],
)
def test_what_merely_looks_alike_is_no_leak(text: str) -> None:
    assert find_leaks(CASES, [Source("train.jsonl", 3, text)]) == []


def test_leaks_are_named_with_file_and_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"messages": [{"role": "user", "content": "Hello there"}]},
        {"prompt": "how heavy a fish can a grey heron take", "completion": "half a kilo"},
    ]
    train = project / "train.jsonl"
    train.write_text("\n".join(json.dumps(row) for row in rows))
    shot = project / "shots.md"
    shot.write_text(
        "---\nid: shots\ninputs: {q: {}}\n---\n@system\nBe brief.\n@user\n"
        "Question: How heavy a fish can a grey heron take?\nAnswer: Half a kilo.\n{{q}}\n"
    )
    command = ["eval", "make", "birds", "--check-leaks"]
    assert main([*command, "train.jsonl", "shots.md"]) == 1
    said = capsys.readouterr().out
    assert "herons: normalised in train.jsonl:2: how heavy a fish" in said
    assert "herons: exact in shots.md:8: How heavy a fish" in said
    assert "1 of 1 cases stand in 2 files" in said
    train.write_text(json.dumps(rows[0]))
    assert main([*command, "train.jsonl"]) == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b'{"text": "fine"}\n{"text": "torn', "a.jsonl: line 2: is not JSON"),
        ("a.jsonl", b"\xff\xfe\x00", "cannot be read"),
        ("a.jsonl", b'{"n": 1}\n', "holds no text"),
        ("a.jsonl", b"", "holds no text"),
        ("a.csv", b"text", "is neither .jsonl nor a prompt"),
        ("none.jsonl", None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_checked_is_an_error_not_a_pass(
    project: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (project / name).write_bytes(content)
    with pytest.raises(CaseError, match=said):
        read_texts(Path(name))
    assert main(["eval", "make", "birds", "--check-leaks", name]) == 64

"""A citation that does not re-check never leaves, and support is more than shared words."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexes import starter
from spans import ENDINGS, PIECES, source

import genai
from genai.models import Fake, open_model
from genai.rag.cite import Citer, whole_sentences
from genai.text.marks import numbered
from genai.types import Citation, Passage

TEXT = "The notice period of a rental contract is 30 days. Anna Berg keeps the keys."
PASSAGE = Passage("p1", "terms.md", 0, len(TEXT), TEXT, "Terms")


def hashed(path: str) -> str:
    return "h"


def alike(cosine: float) -> Callable[[str, Sequence[str]], list[float]]:
    return lambda text, others: [cosine] * len(others)


def citer(cosine: float | None = None, least: float = 0.85) -> Citer:
    similar = None if cosine is None else alike(cosine)
    return Citer([PASSAGE], hashed, lambda stem: 1.0, 0.5, similar=similar, min_similarity=least)


NEAR = "Good tenants get 30 days of notice before leaving [1]."  # 3 of its 7 words are held


def test_a_near_miss_in_words_is_saved_by_a_close_embedding_alone() -> None:
    assert not citer().judge(NEAR).citations
    assert not citer(0.84).judge(NEAR).citations
    saved = citer(0.86).judge(NEAR)
    assert [each.quote for each in saved.citations] == [TEXT.split(" Anna")[0]]
    assert saved.support == 0.5


@pytest.mark.parametrize(
    "said",
    [
        "Good tenants get 90 days of notice before leaving [1].",  # another number
        "Good tenants of Berlin get 30 days of notice [1].",  # a name that is not there
        "Storks nest on chimneys [1].",  # not near at all
    ],
)
def test_no_embedding_saves_another_number_or_name_or_subject(said: str) -> None:
    assert not citer(0.99).judge(said).citations


def test_marks_cite_all_that_hold_the_sentence_and_no_mark_the_best_alone() -> None:
    also = replace(PASSAGE, id="p2", document="law.md")
    said = "The notice period of a rental contract is 30 days"

    def cited(sentence: str) -> list[str]:
        judge = Citer([PASSAGE, also], hashed, lambda stem: 1.0, 0.5).judge
        return [each.document for each in judge(sentence).citations]

    assert cited(f"{said} [1][2].") == ["terms.md", "law.md"]
    assert cited(f"{said} [2].") == ["law.md"]
    assert cited(f"{said}.") == ["terms.md"]


def test_an_introduction_of_nothing_claims_too_much() -> None:
    found = citer().judge("The notice period of a rental contract is 30 days [1].").citations
    lead = "The notice period of a rental contract:"
    assert citer().introduces(lead, found, "")
    assert not citer().introduces(lead, (), "")
    assert citer().introduces("Rental castles:", found, "")  # half of it, which is just enough
    assert not citer().introduces("A rental with pets and birds:", found, "")


def test_the_embedder_is_not_asked_where_words_decide() -> None:
    def never(text: str, others: Sequence[str]) -> list[float]:
        raise AssertionError("asked")

    each = Citer([PASSAGE], hashed, lambda stem: 1.0, 0.5, similar=never, min_similarity=0.85)
    assert each.judge("The notice period is 30 days [1].").citations
    assert each.judge("Storks notice [1].").citations  # half of its words, and half is asked for
    assert not each.judge("Storks nest on chimneys [1].").citations


def test_the_nearest_sentence_of_a_passage_counts_and_without_a_limit_only_an_equal_one() -> None:
    def last(text: str, others: Sequence[str]) -> list[float]:
        return [0.2] * (len(others) - 1) + [1.0]

    assert Citer([PASSAGE], hashed, lambda stem: 1.0, 0.5, similar=last).judge(NEAR).citations
    assert not citer(0.99, least=1.0).judge(NEAR).citations


def test_the_sentence_that_holds_the_number_is_quoted_before_one_with_more_words() -> None:
    text = "The notice period of a rental contract was longer. It is 30 days. So are 30 days."
    passage = replace(PASSAGE, text=text, start=7, end=7 + len(text))
    each = Citer([passage], hashed, lambda stem: 1.0, 0.5)
    (found,) = each.judge("The notice period of a rental contract is 30 days [1].").citations
    assert (found.quote, found.start, found.end) == ("It is 30 days.", 58, 72)
    assert text[58 - 7 : 72 - 7] == found.quote
    again = each.judge("It is 30 days [1].")
    assert (again.citations, again.text) == ((found,), "It is 30 days. [1]")


def test_what_is_no_claim_is_not_judged_and_no_passage_supports_nothing() -> None:
    judged = citer().judge(" [1]")
    assert (judged.text, judged.citations, judged.support, judged.dropped) == (" [1]", (), 1, 0)
    none = Citer([], hashed, lambda stem: 1.0, 0.5, similar=alike(1)).judge("It is 30 days [1].")
    assert (none.citations, none.support, none.dropped) == ((), 0, 1)
    hidden = citer().judge("Berg keeps [EMAIL_1] keys [1].", {"[EMAIL_1]"})
    assert (hidden.support, hidden.text) == (1, "Berg keeps [EMAIL_1] keys. [1]")


def test_a_number_is_counted_once_however_often_it_is_said() -> None:
    assert numbered("[7]" + "[1-999]" * 1000) == [7, *range(1, 7), *range(8, 1000)]
    assert numbered("[3, 2][2-5] `a[9]`") == [3, 2, 4, 5]
    assert citer().judge("The notice period is 30 days" + "[1-999]" * 1000).dropped == 998


def test_each_mark_that_is_not_borne_out_is_counted() -> None:
    other = replace(PASSAGE, id="p2", text="Storks nest on chimneys.", heading="")
    each = Citer([PASSAGE, other], hashed, lambda stem: 1.0, 0.5)
    judged = each.judge("The notice period is 30 days [1][2][2][0][9].")
    assert (judged.text, judged.dropped) == ("The notice period is 30 days. [1]", 3)
    (second,) = each.judge("Storks nest on chimneys [2].").citations
    assert second.number == 2


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> genai.Chain:
    starter(tmp_path, terms=TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENAI_CHAIN_MIN_CONFIDENCE", "0.05")
    genai.Index().sync(tmp_path / "docs")
    said = Fake(["The notice period is 30 days [1]. Anna Berg keeps the keys [1]."])
    return genai.load(model=open_model("fake/script", provider=said))


@pytest.mark.parametrize(
    "broken",
    [
        {"quote": "The notice period is 31 days."},
        {"start": 1},
        {"document_hash": "another"},
        {"document": "elsewhere.md"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_a_citation_that_does_not_re_check_is_removed_and_counted(
    chain: genai.Chain, monkeypatch: pytest.MonkeyPatch, broken: dict[str, str | int]
) -> None:
    whole = Citer._cite

    def cite(self: Citer, bare: str, passage: Passage) -> Citation:
        found = whole(self, bare, passage)
        return replace(found, **broken) if found.quote.startswith("The") else found  # type: ignore[arg-type]

    monkeypatch.setattr(Citer, "_cite", cite)
    answer = chain("How long is the notice period?")
    assert isinstance(answer, genai.Answer)
    assert "30 days" not in answer.text
    assert answer.text.startswith("Anna Berg keeps the keys.")
    assert answer.citations_dropped == 1


NOTICE, KEYS = "The notice period of a rental contract is 30 days", "Anna Berg keeps the keys"
ASKED = "How long is the notice period, and who keeps the keys?"


def replied(chain: genai.Chain, said: str) -> genai.Answer:
    chain.model = open_model("fake/script", provider=Fake([said]))
    answer = chain(ASKED)
    assert isinstance(answer, genai.Answer), answer
    return answer


@pytest.mark.parametrize(
    "marks",
    ["[1, 2].", "[1,2].", "[1; 2].", "[1-2].", "[1\u20132].", "[^1] [^2].",
     "\u30101\u3011\u30102\u3011.", "[Passage 1] [passage 2].", ". [1, 2]", ".[1][2]"],
)  # fmt: skip
def test_a_mark_counts_in_each_form_in_which_models_write_it(
    chain: genai.Chain, marks: str
) -> None:
    (genai.find_project().root / "docs" / "law.md").write_text(f"{NOTICE}, says the law.\n")
    chain.index.sync(genai.find_project().root / "docs")
    answer = replied(chain, f"{NOTICE}{marks if marks[0] == '.' else f' {marks}'}")
    assert answer.text == f"{NOTICE}. [1] [2]"
    assert {each.document for each in answer.citations} == {"terms.md", "law.md"}
    assert (answer.citations_dropped, answer.trace.sentences[0].support) == (0, 1)


def test_marks_behind_full_stops_part_sentences_of_two_documents(chain: genai.Chain) -> None:
    (genai.find_project().root / "docs" / "law.md").write_text("A storno costs seven euros.\n")
    chain.index.sync(genai.find_project().root / "docs")
    answer = replied(chain, f"{NOTICE}.[1] A storno costs seven euros.[2] {KEYS}.[1]")
    assert answer.text == f"{NOTICE}. [1] A storno costs seven euros. [2] {KEYS}. [3]"
    assert [each.document for each in answer.citations] == ["terms.md", "law.md", "terms.md"]


def test_whole_sentences_are_cut_to_the_letter() -> None:
    text = "A ends.[1]  B ends. [2] C costs 5.\n**2)** D [1]. Take 4. E follows.[3] \nF"
    parts = [text[start:end] for start, end in whole_sentences(text, ended=True)]
    assert parts == [
        "A ends.[1]", "B ends. [2]", "C costs 5.", "**2)** D [1].", "Take 4.", "E follows.[3]", "F",
    ]  # fmt: skip
    open_ = [text[start:end] for start, end in whole_sentences(text, ended=False)]
    assert open_ == parts[:-1]


def test_a_numbered_list_keeps_its_numbers_and_lines(chain: genai.Chain) -> None:
    answer = replied(chain, f"1. {NOTICE} [1].\n2) {KEYS}. [1]\n**3.** {KEYS} [1].")
    assert answer.text == f"1. {NOTICE}. [1]\n2) {KEYS}. [2]\n**3.** {KEYS}. [2]"
    assert [each.state for each in answer.trace.sentences] == ["released"] * 3
    answer = replied(chain, f"(1) {NOTICE} [1].\nStep 2: {KEYS} [1].\n**Step 3:** {KEYS} [1].")
    assert [each.state for each in answer.trace.sentences] == ["released"] * 3
    assert "Step 2: Anna" in answer.text


@pytest.mark.parametrize(
    ("stated", "said", "held"),
    [
        ("30.000", "30,000", True), ("30\u202f000", "30,000", True), ("30,000", "30000", True),
        ("30'000", "30 000", True), ("1.234,50", "1,234.50", True), ("5,50", "5.50", True),
        ("30.000", "30", False), ("1,5", "15", False), ("30.000", "3,000", False),
        ("1.234,50", "1,234.60", False), ("1.234,50", "1234.50", True),
        ("2,02", "202", False), ("10:30", "1030", False), ("0.500", "500", False),
        ("five", "5", True), ("twenty-four", "24", True), ("forty", "40", True),
        ("f\u00fcnf", "5", True), ("vierundzwanzig", "24", True), ("drei\u00dfig", "30", True),
        ("six", "5", False), ("twenty-four", "20", False), ("five hundred", "5", False),
    ],
)  # fmt: skip
def test_a_number_is_the_same_in_words_and_in_the_notation_of_another_country(
    chain: genai.Chain, stated: str, said: str, held: bool
) -> None:
    source = f"The lease of the large hall in the old town costs {stated} euros a year.\n"
    (genai.find_project().root / "docs" / "terms.md").write_text(source)
    chain.index.sync(genai.find_project().root / "docs")
    told = f"The lease of the large hall in the old town costs {said} euros a year"
    chain.model = open_model("fake/script", provider=Fake([f"{told} [1]."]))
    answer = chain("What does the lease of the large hall cost a year?")
    assert isinstance(answer, genai.Answer) == held
    if isinstance(answer, genai.Answer):
        assert answer.citations[0].quote == source.strip()


def test_soft_hyphens_and_ligatures_of_a_document_do_not_withhold_an_answer(
    chain: genai.Chain,
) -> None:
    held = "The con\u00adfi\u00adden\u00adtial \ufb01le is in the o\ufb03ce."
    (genai.find_project().root / "docs" / "law.md").write_text(f"{held}\n", "utf-8")
    chain.index.sync(genai.find_project().root / "docs")
    answer = replied(chain, "The confidential file is in the office.")
    assert [each.quote for each in answer.citations] == [held]
    assert chain.index.check(answer.citations[0])


def test_a_day_at_the_beginning_of_a_line_is_a_number_to_be_held() -> None:
    passage = replace(PASSAGE, text="Die Frist endet am 3. M\u00e4rz.", heading="")
    each = Citer([passage], hashed, lambda stem: 1.0, 0.5)
    assert each.judge("3. M\u00e4rz [1].").citations
    assert not each.judge("5. M\u00e4rz [1].").citations


def test_an_interval_is_no_mark() -> None:
    passage = replace(PASSAGE, text="Shares lie in [0, 1], ages in [10, 20].", heading="")
    each = Citer([passage], hashed, lambda stem: 1.0, 0.5)
    assert each.judge("Shares lie in [0, 1] [1].").text == "Shares lie in [0, 1]. [1]"
    assert each.judge("Ages lie in [10, 20] [1].").text == "Ages lie in [10, 20]. [1]"


TOLD = [f"The otter number {n} sleeps under bridge {n} today." for n in (1, 2, 3)]


@pytest.mark.parametrize("model", ["extractive", "scripted"])
@given(pieces=st.lists(PIECES, min_size=1, max_size=20), ending=st.sampled_from(ENDINGS))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_citation_of_a_generated_document_quotes_its_passage_and_that_its_document(
    chain: genai.Chain, model: str, pieces: list[str], ending: str
) -> None:
    folder = genai.find_project().root / "generated"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    mixed = [f"{TOLD[n % 3]} {piece}" for n, piece in enumerate([*pieces, "\n", "\n"])]
    (folder / f"x{ending}").write_bytes(source(mixed, ending))
    if chain.index.sync(folder, prune=True).failed:
        return
    said = Fake([" ".join(f"{each} [{n}]" for n, each in enumerate(TOLD, start=1))])
    chain.model = (
        open_model("extractive") if model == "extractive" else open_model("fake/x", provider=said)
    )
    answer = chain("Under which bridge does the otter sleep today?")
    assert isinstance(answer, genai.Answer)
    assert answer.citations
    passages = {passage.id: passage for passage in chain.index.passages()}
    for cited in answer.citations:
        text, stored = chain.index.document(cited.document) or ("", "")
        passage = passages[cited.passage_id]
        assert text[passage.start : passage.end] == passage.text
        assert text[cited.start : cited.end] == cited.quote
        assert passage.text[cited.start - passage.start : cited.end - passage.start] == cited.quote
        assert stored == cited.document_hash
        assert chain.index.check(cited)
        assert f"[{cited.number}]" in answer.text


def test_a_passage_that_was_not_retrieved_cannot_be_cited(chain: genai.Chain) -> None:
    judged = citer().judge("The notice period is 30 days [7].")
    assert judged.dropped == 1
    assert [each.passage_id for each in judged.citations] == ["p1"]

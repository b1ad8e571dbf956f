"""Every splitter gives exact spans, loses nothing, and cuts where a reader would."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import pdf_bytes
from spans import ENDINGS, PIECES, check, document, source, texts

from genai.config import IndexSettings
from genai.errors import ConfigError, DocumentError
from genai.models import make_embedder
from genai.rag import Index
from genai.rag.documents import Document, parse
from genai.rag.split import Splitting, passages_of, split, splitter_id
from genai.rag.split.tokens import open_tokenizer

RECURSIVE = "langchain_text_splitters:RecursiveCharacterTextSplitter"
SPLITTERS = {
    "structure": Splitting(300),
    "tables": Splitting(300, "tables"),
    "code": Splitting(300, "code"),
    "sentences": Splitting(300, "sentences"),
    "sentences, overlapping": Splitting(300, "sentences", overlap=80),
    "tokens": Splitting(300, "tokens", max_tokens=40),
    "tokens, overlapping": Splitting(300, "tokens", max_tokens=40, overlap=10),
    "tokens, counted": Splitting(300, "tokens", max_tokens=40, overlap=10, tokenizer="static"),
    "LangChain": Splitting(300, RECURSIVE, overlap=60),
}
LIMIT = {"tokens": 160, "tokens, overlapping": 160, "tokens, counted": 640, "LangChain": 300}


# -- exact spans for generated documents -----------------------------------------------------------


@pytest.mark.parametrize("name", SPLITTERS)
@given(pieces=st.lists(PIECES, min_size=1, max_size=30), ending=st.sampled_from(ENDINGS))
@settings(max_examples=60)
def test_spans_are_exact_and_nothing_is_lost(name: str, pieces: list[str], ending: str) -> None:
    try:
        read = parse(f"x{ending}", source(pieces, ending))
    except DocumentError:
        return
    passages = split(read, SPLITTERS[name])
    if name == "LangChain":  # it cuts inside letters, and knows no pages
        read = Document(read.path, read.text, read.kind)
        assert all(read.text[p.start : p.end] == p.text for p in passages)
        return
    check(read, passages, LIMIT.get(name, 300))


CLUSTERS = ["👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301\u0323", "\u1112\u1161\u11ab", "❤️"]
CLUSTERS += ["🏴\U000e0067\U000e0062\U000e007f"]


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("name", ["structure", "sentences", "tokens", "tokens, counted"])
def test_no_emoji_letter_or_flag_is_cut_in_two(cluster: str, name: str) -> None:
    whole = {cluster * count for count in range(1, 1000)}
    for shift in range(len(cluster) + 2):
        read = document("x" * shift + cluster * 400)
        passages = split(read, SPLITTERS[name])
        check(read, passages, LIMIT.get(name, 300))
        assert len(passages) > 1
        assert {passage.text.lstrip("x") for passage in passages} - {""} <= whole


@pytest.mark.parametrize("name", [each for each in SPLITTERS if each != "LangChain"])
def test_every_splitter_keeps_to_the_pages_of_a_pdf(name: str) -> None:
    pages = ["Apples are red. They grow. " * 20, "", "Plums are blue. " * 30]
    read = parse("x.pdf", pdf_bytes(pages))
    passages = split(read, SPLITTERS[name])
    check(read, passages, LIMIT.get(name, 300))
    for passage in passages:
        assert passage.page == (1 if "Apples" in passage.text or "grow" in passage.text else 3)


# -- each splitter ---------------------------------------------------------------------------------

GUIDE = """# Leave

Staff have 27 days. Part of it moves. Ask early.

## Sick leave

Ten days are paid. A note is needed.
"""
PRICES = (
    "# Prices\n\nAs of May.\n\n| item | euros |\n| --- | --- |\n"
    + "".join(f"| item {n} of the list | {n}.00 |\n" for n in range(40))
    + "\nTaxes are included.\n"
)


def test_structure_keeps_sections_and_a_long_table_names_its_columns_again() -> None:
    assert [(p.text[:8], p.heading) for p in split(document(GUIDE, "a.md"), Splitting())] == [
        ("# Leave\n", "Leave"),
        ("## Sick ", "Leave > Sick leave"),
    ]
    read = document(PRICES, "a.md")
    passages = split(read, Splitting(300))
    check(read, passages)
    table = [passage for passage in passages if "| item" in passage.text]
    assert [passage.heading for passage in table] == ["Prices"] + ["Prices > item | euros"] * (
        len(table) - 1
    )
    assert all("euros" not in passage.text for passage in table[1:])
    assert passages[-1].text == "Taxes are included."


def test_sentences_fill_a_passage_and_overlap_by_whole_sentences() -> None:
    read = document("One is here. Two is here. Three is here. Four is here.")
    cut = Splitting(28, "sentences")
    assert texts(split(read, cut)) == ["One is here. Two is here.", "Three is here. Four is here."]
    overlapping = Splitting(28, "sentences", overlap=15)
    assert texts(split(read, overlapping)) == [
        "One is here. Two is here.",
        "Two is here. Three is here.",
        "Three is here. Four is here.",
    ]
    sections = split(document(GUIDE, "a.md"), Splitting(40, "sentences"))
    assert ("A note is needed.", "Leave > Sick leave") in [(p.text, p.heading) for p in sections]


def test_tokens_are_counted_by_the_tokenizer_that_the_settings_name(tmp_path: Path) -> None:
    read = document("Unbelievable internationalisation happens, naturally. " * 60)
    tokenizer = open_tokenizer("static")
    passages = split(
        read, Splitting(splitter="tokens", max_tokens=50, overlap=9, tokenizer="static")
    )
    counts = [len(tokenizer.encode(p.text, add_special_tokens=False).ids) for p in passages]
    assert max(counts) <= 50
    assert min(counts[:-1]) > 40
    for before, after in zip(passages, passages[1:], strict=False):
        shared = read.text[after.start : before.end]
        assert 0 < len(tokenizer.encode(shared, add_special_tokens=False).ids) <= 9
    chinese = split(document("中文没有空格" * 100), Splitting(splitter="tokens", max_tokens=25))
    assert {len(passage.text) for passage in chinese} == {100}
    with pytest.raises(ConfigError, match=r"index\.tokenizer.*give `static` or the path"):
        splitter_id(Splitting(splitter="tokens", tokenizer=str(tmp_path / "none.json")))


def test_tables_give_each_row_its_own_passage_under_its_column_names() -> None:
    read = document(PRICES, "a.md")
    passages = split(read, Splitting(splitter="tables"))
    check(read, passages, 1000)
    assert passages[1].text == "| item 1 of the list | 1.00 |"
    assert passages[1].heading == "Prices > item | euros"
    assert passages[0].text.startswith("# Prices")
    assert passages[0].text.endswith("| item 0 of the list | 0.00 |")
    assert passages[-1].text == "Taxes are included."
    rows = split(document("name,city\nAnna,Rome\nBo,Oslo\n", "a.csv"), Splitting(splitter="tables"))
    assert texts(rows) == ["name: Anna; city: Rome", "name: Bo; city: Oslo"]


PYTHON = '''"""What this is for."""
import os

LIMIT = 3


@cached
def short(a):
    return (a,
        "def not_a_function():")


class Store:
    """Keeps things."""

    def put(self, key):
        """Keep one."""
        if key:
            self.keys.append(key)
        else:
            raise KeyError

    def get(self, key):
        return self.rows[key]
'''
SCRIPT = """import x from "y";

/** Adds. */
export function add(a, b) {
  return `} ${a} {` + '{';
}
class Store
{
    put(key) {
        if (key) { this.keys.push(key); }
        else { throw new Error("}"); }
    }
    async get(key)
    {
        return this.rows[key];
    }
}
"""


@pytest.mark.parametrize(
    ("name", "code", "wanted"),
    [
        (
            "a.py",
            PYTHON,
            [
                ('"""What', "LIMIT = 3", ""),
                ("@cached", '_function():")', ""),
                ("class Store:", 'things."""', ""),
                ("    def put", "raise KeyError", "class Store:"),
                ("    def get", "rows[key]", "class Store:"),
            ],
        ),
        (
            "a.js",
            SCRIPT,
            [
                ("import x", '"y";', ""),
                ("/** Adds", "}", ""),
                ("class Store", "{", ""),
                ("    put(", "    }", "class Store"),
                ("    async get", "    }\n}", "class Store"),
            ],
        ),
        ("b.js", SCRIPT + "(", [("import x", '"y";', ""), ("/** Adds", "}", "")]),  # indentation
    ],
)
def test_code_is_cut_between_functions_and_classes(
    name: str, code: str, wanted: list[tuple[str, str, str]]
) -> None:
    read = document(code, name)
    passages = split(read, Splitting(160))
    check(read, passages, 160)
    for passage, (begins, ends, heading) in zip(passages, wanted, strict=len(wanted) > 2):
        assert passage.text.startswith(begins)
        assert passage.text.endswith(ends)
        assert passage.heading == heading


def test_code_in_any_shape_is_cut_in_reasonable_time() -> None:
    for text in ("(" * 50_000, "{\n" * 20_000, "'" * 30_000, '"""' * 10_000, "x = {\n" * 9_000):
        for name in ("a.py", "a.ts", "a.rs"):
            read = document(text, name)
            check(read, split(read, Splitting(300)))


def test_a_kind_of_document_may_have_a_splitter_of_its_own() -> None:
    chosen = Splitting(28, by_kind={"text": "sentences"})
    assert len(split(document("One is here. Two is here. Three. Four."), chosen)) == 2
    assert chosen.of("markdown") == "structure"
    assert chosen.of("code") == "code"
    assert Splitting(splitter="sentences").of("code") == "sentences"


def test_an_index_is_named_by_all_that_changes_its_passages() -> None:
    variants = [
        *SPLITTERS.values(),
        Splitting(),
        Splitting(by_kind={"csv": "tables"}),
        Splitting(splitter="tokens", tokenizer="static"),
        Splitting(500, RECURSIVE),
    ]
    assert len({splitter_id(each) for each in variants}) == len(variants)
    with pytest.raises(ConfigError, match="'sentence' is not a splitter; use structure, sentences"):
        splitter_id(Splitting(splitter="sentence"))
    with pytest.raises(ConfigError, match=r"index\.overlap` works with the splitters sentences"):
        splitter_id(Splitting(overlap=100))


@pytest.mark.parametrize("name", SPLITTERS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_front_matter_is_in_no_passage_and_moves_no_span(name: str, ending: str) -> None:
    front = "---\ntitle: Lamps\nyear: 2024\n---\n".replace("\n", ending)
    body = "# Lamps\n\nThe lamp is green.\n\n    code\n".replace("\n", ending)
    with_front = split(document(front + body, "a.md"), SPLITTERS[name])
    alone = split(document(body, "a.md"), SPLITTERS[name])
    assert [(p.start - len(front), p.text, p.heading) for p in with_front] == [
        (p.start, p.text, p.heading) for p in alone
    ]
    prose = split(document("---\njust words\n---\n" + body, "a.md"), SPLITTERS[name])
    assert "just words" in " ".join(texts(prose))


def test_passages_of_a_folder_are_those_that_an_index_holds(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.md").write_text("---\nyear: 1\n---\n" + "One is here. " * 90)
    (tmp_path / "documents" / "b.md").write_text("Big. " * 300_000)
    chosen = IndexSettings(splitter="sentences", max_chars=300, overlap=40, max_megabytes=1)
    index = Index(tmp_path / "i", make_embedder("static"), chosen)
    index.sync(tmp_path / "documents")
    assert passages_of(tmp_path / "documents", chosen) == index.passages()
    assert {passage.document for passage in index.passages()} == {"a.md"}
    index.close()

"""Splitters of others, LangChain's above all: exact spans, or a refusal."""

from pathlib import Path

import pytest
from spans import check, document

from genai.errors import ConfigError, DocumentError
from genai.rag.documents import parse
from genai.rag.split import Splitting, split, splitter_id

RECURSIVE = "langchain_text_splitters:RecursiveCharacterTextSplitter"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a module of the user's own, `cutting`, to write functions into."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "cutting.py"


WORDS = """from langchain_text_splitters import RecursiveCharacterTextSplitter
splitter = RecursiveCharacterTextSplitter(
    chunk_size=30, chunk_overlap=8, length_function=lambda text: len(text.split())
)
"""


def test_langchain_splitters_with_a_length_of_words_get_exact_spans(own: Path) -> None:
    # langchain-text-splitters 1.1.3: `add_start_index` is wrong for 23 % of chunks measured so
    own.write_text(WORDS)
    handbook = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
    found = 0
    for path in handbook:
        read = parse(path.name, path.read_bytes())
        passages = split(read, Splitting(splitter="cutting:splitter"))
        check(read, passages, 10**6)
        found += len(passages)
    assert found > 500


def test_langchain_gets_repeated_text_right() -> None:
    read = document("the same line\n" * 200)
    passages = split(read, Splitting(100, RECURSIVE, overlap=30))
    check(read, passages, 100)
    assert passages[-1].end == len(read.text) - 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return [text.upper()]", "gave text 1, 'ONE.  TWO. THREE.', that does not follow"),
        ("return ['One.', 'Three.']", "gave text 2, 'Three.', that does not follow"),
        ("return ['One.', 'Two.']", "leaves out the end of the document"),
        ("return ['One. Two.', 'Three.']", "keeps every character"),
        ("return ['Two.', 'One.', 'Three.']", "gave text 1, 'Two.'"),
        ("return [1]", "failed (AttributeError"),
        ("raise ValueError('no')", "failed (ValueError: no); mend it"),
    ],
)
def test_a_splitter_that_changes_or_drops_text_is_refused(own: Path, body: str, said: str) -> None:
    name = f"cutting{abs(hash(body))}"
    own.with_name(f"{name}.py").write_text(f"def cut(text):\n    {body}\n")
    with pytest.raises(DocumentError) as caught:
        split(document("One.  Two. Three."), Splitting(splitter=f"{name}:cut"))
    assert said in str(caught.value)
    assert str(caught.value).startswith("a.txt: splitter cutting")


def test_text_dropped_between_repetitions_is_seen(own: Path) -> None:
    text = "abcdefghijklmnopqrstuvwxy" * 4  # the second text could stand at 35 too
    own.with_name("dropping.py").write_text(
        "def cut(text):\n    return [text[:60], text[60:90], text[67:68], text[68:]]\n"
    )
    with pytest.raises(DocumentError, match="gave text 3, 'r', that does not follow"):
        split(document(text), Splitting(splitter="dropping:cut"))


def test_a_splitter_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'no_such\.module:cut' cannot be opened"):
        splitter_id(Splitting(splitter="no_such.module:cut"))

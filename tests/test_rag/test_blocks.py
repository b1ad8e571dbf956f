"""Code and tables of a reply leave whole, with their marks where they break nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from indexes import starter

import genai
from genai.models import Fake, open_model
from genai.rag.blocks import whole_units

QUESTION = "How is the lamp lit, and what does each plan cost?"
DOCUMENT = """# Lamps

The lamp is lit by this script, and it goes out by itself:

```bash
lamp --on $HOME/lamps[1]
lamp --keep
```

| Plan | Price |
|---|---|
| Basic | $10 |
| Large | $25 |

The first word is `argv[1]`, of the grid it is `grid[0][2]`.
"""
CODE = "```bash\nlamp --on $HOME/lamps[1]\nlamp --keep\n```"
LAST = "The lamp goes out by itself"
HEAD = "| Plan | Price |\n|---|---|"


@pytest.fixture
def answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    starter(tmp_path, lamps=DOCUMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENAI_CHAIN_MIN_CONFIDENCE", "0")
    genai.Index().sync(tmp_path / "docs")

    def ask(reply: str) -> str:
        chain = genai.load(model=open_model("fake/script", provider=Fake([reply])))
        pieces: list[Any] = list(chain.stream(QUESTION))
        assert isinstance(pieces[-1], genai.Answer)
        assert "".join(pieces[:-1]) == pieces[-1].text
        return pieces[-1].text

    return ask


@pytest.mark.parametrize("marks", ["", "\n[1]", "\n\n[1]"])
def test_code_leaves_whole_with_its_marks_behind_it(
    answered: Callable[[str], str], marks: str
) -> None:
    start = "The lamp is lit by this script:"
    said = answered(f"{start}\n\n{CODE}{marks}\n\n{LAST} [1].")
    assert said == f"{start} [1]\n\n{CODE}\n\n[2]\n\n{LAST}. [1]"


def test_code_that_is_cut_at_the_replys_limit_is_closed(answered: Callable[[str], str]) -> None:
    assert answered(CODE.rpartition("\n")[0]) == f"{CODE}\n\n[1]"


def test_code_that_no_document_holds_is_withheld_whole(answered: Callable[[str], str]) -> None:
    assert answered(f"{CODE.replace('lamp', 'stork')}\n\n{LAST} [1].") == f"{LAST}. [1]"


def test_a_table_leaves_with_its_head_and_the_marks_in_its_cells(
    answered: Callable[[str], str],
) -> None:
    said = answered(f"{HEAD}\n| Basic | $10 [1] |\n| Vast | $90 [1] |\n| Large | $25 |\n")
    assert said == f"{HEAD}\n| Basic | $10 [1] |\n| Large | $25 [2] |"


@pytest.mark.parametrize("mark", [" [1]", " `[1]`", ""])
def test_an_index_in_inline_code_is_no_mark(answered: Callable[[str], str], mark: str) -> None:
    said = "The first word is `argv[1]`, of the grid it is `grid[0][2]`"
    assert answered(f"{said}{mark}.") == f"{said}. [1]"


@pytest.mark.parametrize("block", [f"{CODE}\n[1]\n\nMore.", f"{HEAD}\n| Basic | $10 |\n\nMore."])
def test_no_part_of_a_block_is_given_while_the_rest_is_to_come(block: str) -> None:
    whole = [block[start:end] for start, end in whole_units(block, True)]
    for size in range(len(block)):
        text = block[:size]
        found = [text[start:end] for start, end in whole_units(text, False)]
        assert found == whole[: len(found)], size

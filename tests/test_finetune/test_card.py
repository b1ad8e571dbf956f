"""The model card: filled from what was measured, with no hole left."""

import re
from pathlib import Path

import pytest
import yaml
from tuning import recipe

from genai.errors import ConfigError
from genai.finetune.card import write_card
from genai.finetune.gate import Gate, SliceRow
from genai.project import Project

LOCK = {
    "ended": 1_790_000_000.0, "weights": "a" * 64, "engine": "trl", "template": "b" * 64,
    "base": {"name": "base", "revision": "", "weights": "c" * 64, "licence": "CC0-1.0"},
    "packages": {"torch": "2.13.0", "trl": "1.16.0", "bitsandbytes": ""},
    "machine": {"name": "a processor", "threads": 1, "world_size": 1},
    "data": {"rows.jsonl": {"sha256": "d" * 64, "licence": "CC0-1.0", "source": "tests",
                            "consent": "synthetic", "pii": "none", "defects": ""}},
    "rows": {"count": 24, "sha256": "e" * 64},
    "plan": {"hours": 0.01, "gib": 1.0},
    "actual": {"seconds": 72.0, "steps": 12, "tokens": 12345, "gib": 1.25},
}  # fmt: skip
ROWS = (
    SliceRow("exact", "IMPROVED", True, 0.48, 0.98, 200, 0, 100, 0.436, 0.554),
    SliceRow("json_valid", "PASS", False, 1.0, 0.98, 200, 4, 0, -0.04, 0.0),
)
GATE = Gate("g1", "small", "a" * 64, "base", "c" * 64, "quick", "dada", "IMPROVED", "", ROWS,
            {"loss": 0.5, "rewards/margins": 0.36}, 1.0, {})  # fmt: skip


def card(tmp_path: Path, **changes: object) -> str:
    given = {"budget": {"hourly_price": 3.6, "watts": 50}, **changes}
    project = Project(tmp_path, tmp_path / ".genai")
    write_card(
        tmp_path / "README.md", LOCK, recipe(**given), [GATE], project=project, folder="merged"
    )
    return (tmp_path / "README.md").read_text()


def test_the_card_says_what_was_measured(tmp_path: Path) -> None:
    text = card(tmp_path)
    for said in (
        "DRAFT until somebody signs it", "| exact | 0.480 | 0.980 | 200 | 0, 100 | +0.436 to +0.554"
        " | IMPROVED |", "| json_valid | 1.000 | 0.980 | 200 | 4, 0 | -0.040 to +0.000 | shown |",
        "72 s; planned 36 s", "1.25 GiB at the peak; planned 1.00 GiB",
        "0.072 USD", "0.001 kWh", "12,345", "`cccc", "a processor",
        "torch 2.13.0, trl 1.16.0", "for information: loss 0.500, rewards/margins 0.360",
        "genai finetune verify small", "genai.model('local/merged')",
        "50 W of the machine", "| rows.jsonl | `dddddddddddddddd` | CC0-1.0 | tests |",
    ):  # fmt: skip
        assert said in text, said


def test_no_field_is_left_open(tmp_path: Path) -> None:
    text = card(tmp_path)
    assert not re.search(r"More Information Needed|TODO|TBD|None|nan|FOLDER|BASE", text)
    rows = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    assert len(rows) > 25
    for line in rows:
        if line != "| | |":
            assert all(cell.strip() for cell in line.strip("|").split("|")), line


def test_the_head_is_what_hubs_read(tmp_path: Path) -> None:
    head = yaml.safe_load(card(tmp_path).split("---")[1])
    assert head["license"] == "cc0-1.0"
    assert head["language"] == ["en"]
    assert head["tags"] == ["sft", "full"]


def test_a_base_of_the_hub_is_named_to_hubs_and_a_folder_of_the_project_is_not(
    tmp_path: Path,
) -> None:
    def base_model(base: str) -> object:
        head = card(tmp_path, base=base, weights="pretrained").split("---")[1]
        return yaml.safe_load(head).get("base_model")

    (tmp_path / "models" / "x").mkdir(parents=True)
    assert base_model("models/x") is None
    assert base_model("someone/x") == "someone/x"


def test_what_nobody_told_is_unknown_and_no_zero(tmp_path: Path) -> None:
    text = card(tmp_path, budget={})
    assert "| cost | unknown: the recipe names no `budget.hourly_price` |" in text
    assert "| power | unknown: the recipe names no `budget.watts` |" in text
    assert "| energy | unknown: the recipe names no `budget.watts` |" in text


@pytest.mark.parametrize("field", ["intended_use", "contact", "languages", "licence", "limits"])
def test_an_empty_field_stops_the_card(tmp_path: Path, field: str) -> None:
    empty: object = [] if field == "languages" else ""
    with pytest.raises(ConfigError, match=f"`card.{field}` is empty"):
        card(tmp_path, **{f"card__{field}": empty})


def test_a_placeholder_stops_the_card(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="would hold 'TODO'"):
        card(tmp_path, card__limits="TODO")

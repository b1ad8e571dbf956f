"""`genai models`, `models refresh` and `models compare` on a project's own files."""

import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from makers import call

import genai
from genai.cli import main
from genai.ledger import Prices
from genai.models.choose import endings
from genai.project import find_project
from genai.wiring.parts import prices
from genai.wiring.trials import suite_tools

ROOT = Path(__file__).parent.parent.parent
SOON = datetime.now(UTC).date() + timedelta(days=30)
OWN = f"""
  acme/open: {{input: "0.000001", output: "0.000002", context: 9000, max_output: 700,
              licence: Apache-2.0, regions: [eu, us], modalities: [image], end_of_life: {SOON}}}
  mistral/open-mistral-nemo: {{licence: Apache-2.0, regions: [eu]}}
aliases:
  vllm/our-name: acme/open
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the shipped prices, one model of its own and an alias for it."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\nchain: {model: openai/gpt-4o}\n")
    own = (ROOT / "configs" / "prices.yaml").read_text().replace(', "vllm/*"', "")
    (tmp_path / "configs" / "prices.yaml").write_text(re.sub(r'"vllm/\*",\s*', "", own) + OWN)
    shutil.copytree(ROOT / "configs" / "prices", tmp_path / "configs" / "prices")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def left(text: str) -> list[str]:
    """Give the models of the record's table."""
    table = text.partition("## Remaining")[2].partition("## Fell out")[0]
    return [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][1:]


def test_a_model_is_shown_with_price_context_end_and_terms(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "models", "acme/open")
    assert "acme/open: $1 in, $2 out, per million tokens (priced)" in text
    for line in ("context: 9000", "longest reply: 700", f"ends: {SOON}", "licence: Apache-2.0",
                 "regions: eu, us", "can: image"):  # fmt: skip
        assert f"  {line}\n" in text
    listed = said(capsys, "models", "openai/gpt-4o")
    assert "  context: 128000\n" in listed  # from the snapshot, beside the price of one's own
    assert "  licence: not known\n" in listed
    # twice that above 200,000 tokens of one request
    tiered = "gemini/gemini-2.5-pro: $1.25 in, $10 out, per million tokens (priced)"
    assert tiered in said(capsys, "models", "gemini/gemini-2.5-pro")


def test_a_password_in_a_configured_url_is_not_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "openai/m@http://{}127.0.0.1:1/v1"
    model = name.format("ann:secret@")
    given = f"version: 1\nchain: {{model: '{model}'}}\nevals: {{judge: '{model}'}}\n"
    (folder / "configs" / "genai.yaml").write_text(given)
    assert f"configured: {name.format('')} " in said(capsys, "models")
    assert suite_tools(find_project()).judge_name == name.format("")


def test_what_breaks_within_90_days_is_listed_and_what_you_use_is_marked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no model that you use ends within 90 days" in said(capsys, "models")
    with pytest.MonkeyPatch.context() as patch:  # a judge that the ledger has not seen yet
        patch.setenv("GENAI_EVALS_JUDGE", "vllm/our-name")
        assert f"{SOON}  acme/open  <- you use it" in said(capsys, "models")
    genai.open_ledger().record(call(model="vllm/our-name"))
    assert f"{SOON}  acme/open  <- you use it" in said(capsys, "models")
    every = said(capsys, "models", "--ending")
    days = [date.fromisoformat(line[:10]) for line in every.splitlines()]
    today = datetime.now(UTC).date()
    assert days == sorted(days)
    assert all(today <= day <= today + timedelta(days=90) for day in days)
    assert f"{SOON}  acme/open  <- you use it" in every


def test_what_has_ended_is_named_only_where_it_is_in_use() -> None:
    days = {"p/gone": "2026-01-01", "p/soon": "2026-12-24", "p/far": "2028-01-01"}
    own = {name: {"input": "1", "output": "1", "end_of_life": day} for name, day in days.items()}
    found = Prices.read({"models": own}, "x")
    day = date(2026, 11, 25)
    soon = (date(2026, 12, 24), "p/soon", False)
    assert endings(found, [], day) == [soon]
    assert endings(found, ["p/gone"], day) == [(date(2026, 1, 1), "p/gone", True), soon]


REFRESH = """
import sys
from genai.cli import main
code = main(["models", "refresh"])
assert "litellm" not in sys.modules, "it was imported"
sys.exit(code)
"""


def test_refresh_reads_the_installed_price_file_without_importing_it(folder: Path) -> None:
    made = next((folder / "configs" / "prices").iterdir())
    kept = made.read_bytes()
    made.unlink()
    done = subprocess.run(
        [sys.executable, "-c", REFRESH], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    new = next((folder / "configs" / "prices").glob("litellm-*.json"))
    assert f"{new.name}: " in done.stdout
    assert "models differ from the snapshot before it" in done.stdout
    assert new.stat().st_size > len(kept) / 2
    assert prices().snapshots[0].source == new.stem.replace("-", " ", 1)


def test_compare_looks_at_every_priced_model_and_writes_the_record(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds in (1.0, 2.0):
        genai.open_ledger().record(call(model="openai/gpt-4o", seconds=seconds))
    text = said(capsys, "models", "compare", "--can", "image", "--can", "tools", "--min-context",
                "100000", "--max-output", "10.5", "--max-p95", "5", "--write", "chat")  # fmt: skip
    assert left(text) == ["openai/gpt-4o"]  # the only one that was measured here
    assert "Chosen: **openai/gpt-4o**." in text
    assert "by p95 unknown" in text
    written = folder / "configs" / "models" / "chat.md"
    assert written.read_text() in text
    assert "written to configs/models/chat.md" in text


def test_compare_chooses_no_model_that_has_ended(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "configs" / "prices.yaml"
    gone = '  acme/gone: {input: "0.0000001", output: "0.0000001", end_of_life: 2020-01-31}\n'
    path.write_text(path.read_text().replace("aliases:\n  vllm", f"{gone}aliases:\n  vllm"))
    found = said(capsys, "compare", "acme/open", "acme/gone")
    assert left(found) == ["acme/open"]
    assert "- 1 by ends\n" in found
    dead = said(capsys, "compare", "acme/open", "acme/gone", "--until", "2020-01-01")
    assert left(dead) == ["acme/gone", "acme/open"]


def test_compare_takes_an_alias_and_finds_what_was_measured_under_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genai.open_ledger().record(call(model="vllm/our-name", seconds=0.25))
    alias = said(capsys, "models", "compare", "vllm/our-name", "--max-p95", "1")
    plain = said(capsys, "models", "compare", "acme/open", "--max-p95", "1")
    assert "| vllm/our-name | 9000 | 1 | 2 |" in alias
    assert "| acme/open | 9000 | 1 | 2 |" in plain
    for text in (alias, plain):
        assert "| 1 | 0.250 | 0.250 |" in text


def test_a_licence_is_what_prices_yaml_says_and_unknown_is_no_pass(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "models", "compare", "--licence", "Apache-2.0")
    assert left(text) == ["mistral/open-mistral-nemo", "acme/open"]
    nemo = said(capsys, "models", "mistral/open-mistral-nemo")
    assert "mistral/open-mistral-nemo: $0.3 in" in nemo  # the snapshot's rate
    assert "  licence: Apache-2.0\n" in nemo
    assert re.search(r"- [\d,]+ by licence unknown\n", text)
    assert left(said(capsys, "models", "compare", "acme/open", "--licence", "MIT")) == []
    assert "- 1 by licence\n" in said(capsys, "models", "compare", "acme/open", "--licence", "MIT")


def test_a_region_is_what_prices_yaml_or_the_model_s_name_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("acme/open", "azure/eu/gpt-4o-2024-08-06", "azure/us/gpt-4o-2024-08-06",
             "azure/gpt-4o", "bedrock/eu-central-1/anthropic.claude-v1", "openai/gpt-4o",
             "bedrock_converse/eu.anthropic.claude-sonnet-4-5-20250929-v1:0")  # fmt: skip
    text = said(capsys, "models", "compare", *asked, "--region", "eu")
    assert sorted(left(text)) == sorted([asked[0], asked[1], asked[4], asked[6]])
    assert "- 1 by region\n" in text
    assert "- 2 by region unknown\n" in text
    one = said(capsys, "models", "compare", *asked, "--region", "eu-central-1")
    assert left(one) == ["bedrock/eu-central-1/anthropic.claude-v1"]
    whole = left(said(capsys, "models", "compare", "--region", "eu"))
    assert len(whole) == 25  # the record shows the best of many


def test_every_listed_name_is_one_that_finds_its_price(folder: Path) -> None:
    known = prices()
    assert [name for name in known.names() if known.entry(name) is None] == []
    assert len(set(known.names())) == len(known.names())


def test_prices_that_are_not_utf8_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "configs" / "prices.yaml"
    path.write_bytes(path.read_bytes() + b"# \xff\n")
    assert main(["models", "openai/gpt-4o"]) == 64
    (line,) = capsys.readouterr().err.splitlines()
    assert "configs/prices.yaml: cannot be read" in line
    assert line.endswith("mend or remove it")


def test_models_shows_of_a_model_what_compare_looks_at(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A region that the model's name says, and what the price file says it takes."""
    name = "litellm/azure/eu/gpt-4o-2024-08-06"
    text = said(capsys, "models", name)
    (can,) = re.findall(r"  can: (.+)\n", text)
    assert "  regions: eu\n" in text
    assert {"image", "tools"} <= set(can.split(", "))
    every = [word for each in can.split(", ") for word in ("--can", each)]
    chosen = said(capsys, "models", "compare", name, "--region", "eu", *every)
    assert left(chosen) == [name]


@pytest.mark.parametrize("name", ["../../x", "/x/y", "a\\b", ""])
def test_a_choice_is_written_nowhere_but_among_the_models(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = sorted(folder.rglob("*"))
    assert main(["compare", "acme/open", "--write", name]) == 64
    assert (
        "must be a name, not a path; it names a file in configs/models" in capsys.readouterr().err
    )
    assert [each for each in before if each.suffix == ".md"] == sorted(folder.rglob("*.md"))

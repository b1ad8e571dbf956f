"""The ground: settings, project, extras, bridge, and how errors read."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import genai
from genai import bridge, extras, project
from genai.config import load_config, parse_yaml
from genai.errors import ConfigError, GenaiError, InputError, MissingExtra
from genai.types import Usage


def config_file(folder: Path, text: str) -> Path:
    path = folder / "configs" / "genai.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_arguments_beat_environment_beats_file_beats_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config_file(tmp_path, "chain: {model: from-file, top_k: 3}")
    assert load_config(path).chain.min_confidence == pytest.approx(
        load_config(tmp_path / "none.yaml").chain.min_confidence
    )
    assert load_config(path).chain.model == "from-file"
    monkeypatch.setenv("GENAI_CHAIN_MODEL", "from-env")
    monkeypatch.setenv("GENAI_CHAIN_TOP_K", "7")
    assert load_config(path).chain.model == "from-env"
    assert load_config(path).chain.top_k == 7
    assert load_config(path, chain__model="from-argument").chain.model == "from-argument"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chain: {modle: x}", "`modle` is not a setting of `chain`; did you mean `model`?"),
        ("chian: {}", "`chian` is not a setting; did you mean `chain`?"),
        ("chain: {top_k: many}", "`chain.top_k`"),
        ("chain: {top_k: 3}\nchain: {top_k: 4}", "`chain` twice, line 2"),
        ("chain: [", "line 1 is not valid YAML"),
        ("chain: {{x}}", "a key is no plain text, line 1; put the text in quotes"),
        ("chain: 2024-02-30", "holds a value that YAML cannot read"),
        ("- a list", "must be a mapping"),
        (f"chain: {'[' * 3000}{']' * 3000}", "is nested too deeply; simplify it"),
        (f"chain:\n{'- ' * 200_000}x", "is nested too deeply; simplify it"),
        ("ledger: {content: everything}", "`ledger.content`"),
        ("models: {openai/x: {url: y}}", "`url` is not a setting of `models.openai/x`"),
    ],
)
def test_a_mistake_names_file_key_and_cure(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(config_file(tmp_path, text))
    assert str(caught.value).startswith("configs/genai.yaml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.code == 64


def test_a_question_in_braces_needs_no_quotes() -> None:
    said = "cases:\n  - {id: one, input: What is it?, tags: [why?, how]}"
    assert parse_yaml(said, "x.yaml")["cases"] == [
        {"id": "one", "input": "What is it?", "tags": ["why?", "how"]}
    ]


def test_a_section_without_a_line_and_a_plain_off_are_the_defaults(tmp_path: Path) -> None:
    text = "chain:\n  # model: openai/m\nmodels:\n  openai/m:\nreplay:\n  mode: off\n"
    config = load_config(config_file(tmp_path, text))
    assert (config.chain.model, config.models["openai/m"].retries) == ("extractive", 2)
    assert config.replay.mode == "off"


def test_settings_that_differ_have_another_hash(tmp_path: Path) -> None:
    one = load_config(config_file(tmp_path, "chain: {top_k: 3}")).hash
    same = load_config(config_file(tmp_path, "# a comment\nchain:\n  top_k: 3\n")).hash
    other = load_config(config_file(tmp_path, "chain: {top_k: 4}")).hash
    assert one == same != other


@given(st.text(max_size=200))
def test_any_text_as_yaml_is_data_or_one_clear_error(text: str) -> None:
    said = ""
    try:
        parse_yaml(text, "x.yaml")
    except ConfigError as error:
        said = str(error)
    assert said == "" or said.startswith("x.yaml")


def test_a_project_is_found_from_below_and_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "data.md").write_text("mine", encoding="utf-8")
    written = project.init(tmp_path)
    assert Path("configs/genai.yaml") in written
    assert (tmp_path / "docs" / "data.md").read_text(encoding="utf-8") == "mine"
    assert project.find_project(tmp_path / "docs").root == tmp_path.resolve()
    with pytest.raises(InputError, match="already a project"):
        project.init(tmp_path)


def test_without_a_project_the_starter_serves_and_state_stays_here(tmp_path: Path) -> None:
    found = project.find_project(tmp_path)
    assert (found.root / "prompts").is_dir()
    assert found.state == tmp_path.resolve() / ".genai"


def test_a_missing_extra_is_one_sentence_with_the_pip_line() -> None:
    with pytest.raises(MissingExtra) as caught:
        extras.load("no_such_package.inside", "rag")
    assert str(caught.value) == (
        "`no_such_package` is not installed; run: pip install 'genai-workbench[rag]'"
    )


def test_every_error_has_an_exit_code_of_the_table() -> None:
    found, queue = [], [GenaiError]
    while queue:
        kind = queue.pop()
        found.append(kind)
        queue += kind.__subclasses__()
    assert {kind.code for kind in found} <= {3, 4, 64, 70}
    assert all(kind.__doc__ for kind in found)


def test_the_bridge_gives_results_raises_and_closes_the_source() -> None:
    closed = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            for number in range(1000):
                await asyncio.sleep(0)
                yield number
        finally:
            closed.append(True)

    pieces = bridge.Stream(numbers())
    assert [next(pieces), next(pieces)] == [0, 1]
    pieces.close()
    assert closed == [True]
    assert list(bridge.Stream(numbers()))[-1] == 999

    async def silent() -> AsyncGenerator[int, None]:
        try:
            await asyncio.sleep(3600)
            yield 1
        finally:
            closed.append(False)

    waiting = bridge.Stream(silent())
    assert waiting.poll(0.01) is None
    waiting.close()  # does not wait for the hour
    assert closed[-1] is False

    async def fails() -> None:
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        bridge.run(fails())


def test_usage_adds_up_and_keeps_the_weaker_source() -> None:
    total = Usage(1, 2, 0, "provider") + Usage(3, 4, 1, "counted")
    assert total == Usage(4, 6, 1, "counted")
    assert Usage() + Usage(1, 1, 0, "provider") == Usage(1, 1, 0, "provider")


def test_the_environment_of_tests_has_no_key() -> None:
    assert "OPENAI_API_KEY" not in os.environ


def test_a_password_for_the_ledger_comes_from_the_environment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "configs" / "genai.yaml"
    path.parent.mkdir()
    url = "postgresql://me:hidden@db.internal/genai"
    path.write_text(f"ledger: {{url: '{url}'}}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="a password never stands in a file") as caught:
        load_config(path)
    assert "hidden" not in str(caught.value)
    path.write_text("ledger: {url: 'postgresql://me@db/genai?password=hidden'}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="a password never stands in a file"):
        load_config(path)
    path.write_text("ledger: {durability: full}\n", encoding="utf-8")
    monkeypatch.setenv("GENAI_LEDGER_URL", url)
    assert load_config(path).ledger.url == url
    monkeypatch.setenv("GENAI_LEDGER_URL", "mysql://x")
    with pytest.raises(ConfigError, match="must be a postgresql:// URL"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('budgets: [{scope: user, limit: "2"}]', ""),
        ("budgets: [{scope: user, limit: 2.5}]", "limit"),
        ('budgets: [{scope: user, limit: "-1"}]', "quoted decimal"),
        ('budgets: [{scope: planet, limit: "1"}]', "scope"),
        (
            'budgets: [{scope: user, limit: "1"}, {scope: user, limit: "2"}]',
            r"`budgets`: two entries have scope `user`, match `\*` and period `month`; keep one",
        ),
        ('budgets: [{scope: user, limit: "2"}, {scope: user, match: ann, limit: "2"}]', ""),
        ("models: {m: {retrys: 3}}", "did you mean `retries`"),
        ("replay: {mode: sometimes}", "mode"),
    ],
)
def test_settings_of_the_door_are_checked(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "configs" / "genai.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    if not said:
        assert load_config(path).budgets[0].limit == "2"
        return
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-proj-verysecret", "gsk_verysecret", "verysecret ", ""])
def test_a_key_in_the_place_of_its_variable_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    path = config_file(tmp_path, f"models: {{openai/m: {{api_key_env: '{key}'}}}}")
    said = "`models.openai/m.api_key_env`: must be the name of a variable,.* never stands in a file"
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(path)
    config_file(tmp_path, "")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="must be the name of a variable") as other:
        genai.model("openai/m", api_key_env=key, timeout=3)
    assert "verysecret" not in f"{caught.value} {other.value}"


def test_a_misspelt_setting_of_a_call_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="`timeut` is not a setting; did you mean `timeout`"):
        genai.model("openai/m", timeut=3)


def test_a_variable_in_small_letters_that_is_set_holds_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("my_key", "k")
    config = load_config(config_file(tmp_path, "models: {openai/m: {api_key_env: my_key}}"))
    assert config.models["openai/m"].api_key_env == "my_key"


def test_settings_that_shape_no_answer_change_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "genai.yaml"
    plain = load_config(path).hash
    path.write_text(
        'budgets: [{scope: total, limit: "9"}]\nledger: {durability: full}\n'
        "telemetry: {enabled: true}\ntracking: {enabled: true}\n"
    )
    assert load_config(path).hash == plain
    assert load_config(path, chain__top_k=3).hash != plain

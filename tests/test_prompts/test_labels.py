"""Labels and arms: who gets which version follows from the experiment and the user alone."""

import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from scipy.stats import chisquare

from genai.errors import ConfigError, PromptError
from genai.prompts import Labels, load_prompt, read_labels, set_label
from genai.prompts.load import write_version

A, B, C = "t/x@aaaaaaaaaaaa", "t/x@bbbbbbbbbbbb", "t/x@cccccccccccc"
USERS = [f"user-{n}" for n in range(20_000)]
TEXT = "---\nid: t/x\nmodels: [m]\ninputs: {{q: {{}}}}\n---\n@user\n{} {{{{q}}}}\n"


def split(**experiments: dict[str, float]) -> Labels:
    return Labels(experiments=experiments)


def arms(labels: Labels, name: str = "e") -> list[str]:
    return [labels.arm(name, user) for user in USERS]


@pytest.mark.parametrize(
    "weights", [{A: 1.0, B: 1.0}, {A: 90.0, B: 10.0}, {A: 5.0, B: 3.0, C: 2.0}, {A: 0.98, B: 0.02}]
)
def test_users_are_shared_out_by_the_weights(weights: dict[str, float]) -> None:
    count = Counter(arms(split(e=weights)))
    expected = [len(USERS) * weight / sum(weights.values()) for weight in weights.values()]
    assert chisquare([count[arm] for arm in weights], expected).pvalue > 0.001


def test_a_raised_weight_takes_nobody_out_and_a_new_arm_takes_from_all() -> None:
    before = arms(split(e={A: 90.0, B: 10.0}))
    raised = arms(split(e={A: 80.0, B: 20.0}))
    moves = Counter(pair for pair in zip(before, raised, strict=True) if pair[0] != pair[1])
    assert set(moves) == {(A, B)}
    assert 1_500 < moves[A, B] < 2_700
    third = arms(split(e={A: 90.0, B: 10.0, C: 25.0}))
    moved = {pair for pair in zip(before, third, strict=True) if pair[0] != pair[1]}
    assert moved == {(A, C), (B, C)}


def test_the_order_of_arms_does_not_matter_and_weight_0_is_off() -> None:
    assert arms(split(e={A: 3.0, B: 1.0})) == arms(split(e={B: 1.0, A: 3.0}))
    assert set(arms(split(e={A: 0.0, B: 1.0}))) == {B}


def test_two_experiments_do_not_know_of_each_other() -> None:
    labels = split(e={A: 1.0, B: 1.0}, f={A: 1.0, B: 1.0})
    both = Counter(zip(arms(labels, "e"), arms(labels, "f"), strict=True))
    assert chisquare([*both.values()]).pvalue > 0.001
    assert len(both) == 4


def test_the_split_is_the_same_in_another_process() -> None:
    code = (
        "from genai.prompts import Labels\n"
        f"labels = Labels(experiments={{'e': {{{A!r}: 90.0, {B!r}: 10.0}}}})\n"
        "print(''.join(labels.arm('e', f'user-{n}')[4] for n in range(500)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    labels = split(e={A: 90.0, B: 10.0})
    assert done.stdout.strip() == "".join(labels.arm("e", user)[4] for user in USERS[:500])


def test_an_unknown_experiment_and_an_empty_user_are_refused() -> None:
    with pytest.raises(PromptError, match="no experiment `f`; known: e"):
        split(e={A: 1.0}).arm("f", "u")
    with pytest.raises(PromptError, match="`user` is empty"):
        split(e={A: 1.0}).arm("e", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("experiments: {e: {t/x: 1.0}}", "`t/x` is not pinned"),
        ("experiments: {e: {t/x@production: 1.0}}", "is not pinned; write `prompt@hash`"),
        (f"experiments: {{e: {{{A}: -1.0}}}}", "weights are numbers from 0 up"),
        (f"experiments: {{e: {{{A}: 0.0}}}}", "one above 0"),
        (f"experiments: {{e: {{{A}: .nan}}}}", "must be a finite number"),
        ("labels: {production: {t/x: latest}}", "should match pattern"),
        ("labls: {}", "did you mean `labels`"),
    ],
)
def test_a_mistake_in_the_file_is_one_clear_error(write: Any, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_labels(write({"labels.yaml": text}))
    assert str(caught.value).startswith("prompts/labels.yaml: ")


def test_a_label_keeps_its_version_while_the_file_is_edited(write: Any) -> None:
    folder = write({"t/x.md": TEXT.format("one")})
    first = load_prompt("t/x", folder)
    write_version(first, folder)
    write({"labels.yaml": "# ours\n"})
    assert set_label("production", "t/x", first.hash, folder) == ""
    write({"t/x.md": TEXT.format("two")})
    pinned = load_prompt("t/x@production", folder)
    assert pinned == load_prompt(first.id, folder) == first
    assert pinned.render(q="?")[0].text == "one ?"
    second = load_prompt("t/x", folder)
    assert second.render(q="?")[0].text == "two ?"
    write_version(second, folder)
    assert set_label("production", "t/x", second.hash, folder) == first.hash
    assert load_prompt("t/x@production", folder) == second
    assert set_label("production", "t/x", first.hash, folder) == second.hash  # and back
    assert load_prompt("t/x@production", folder) == first
    assert (folder / "labels.yaml").read_text().startswith("# ours\n")


def test_a_label_that_cannot_be_written_names_file_and_cure(write: Any) -> None:
    folder = write({"labels.yaml": "labels: {beta: {}}"})
    (folder / ".labels.yaml.draft").mkdir()  # stands where the text should go
    with pytest.raises(PromptError, match=r"prompts/labels.yaml: cannot be written .* free space"):
        set_label("production", "t/x", "1" * 12, folder)
    assert read_labels(folder).labels == {"beta": {}}


def test_setting_a_label_keeps_the_others_and_the_experiments(write: Any) -> None:
    folder = write({
        "labels.yaml": f"labels: {{beta: {{t/y: 111122223333}}}}\nexperiments: {{e: {{{A}: 2.5}}}}"
        .replace("111122223333", '"111122223333"')
    })  # fmt: skip
    set_label("production", "t/x", "1" * 12, folder)
    found = read_labels(folder)
    assert found.labels == {"beta": {"t/y": "111122223333"}, "production": {"t/x": "1" * 12}}
    assert found.experiments == {"e": {A: 2.5}}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t/x@beta", "no label `beta`; known: production"),
        ("t/x@", "no label ``"),
        ("t/y@production", "`production` names no version of t/y"),
        ("t/x@000000000000", "no such version; locked: t/x@"),
        ("../t/x@production", "names no version"),
    ],
)
def test_an_unknown_version_says_what_there_is(write: Any, name: str, said: str) -> None:
    folder = write({"t/x.md": TEXT.format("one")})
    first = load_prompt("t/x", folder)
    write_version(first, folder)
    set_label("production", "t/x", first.hash, folder)
    with pytest.raises(PromptError, match=said):
        load_prompt(name, folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [(("one", "two"), "its content has the hash"), (("{", "[", 1), "is not a locked version"),
     (('"user"', '"tool"'), "is not a locked version"), (('"turns"', '"turn"'), "is not a lock")],
)  # fmt: skip
def test_an_edited_version_is_refused(write: Any, change: Any, said: str) -> None:
    folder = write({"t/x.md": TEXT.format("one")})
    first = load_prompt("t/x", folder)
    path = write_version(first, folder)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(PromptError, match=said):
        load_prompt(first.id, folder)

"""Each silent trap of training data is counted out loud, and a clean file passes."""

import json
from pathlib import Path
from typing import Any

import pytest
from training import STORK, asked, demo_project, pair, recipe_of, write_lines

from genai.cli import main
from genai.finetune.check import CheckReport, check_data
from genai.finetune.check.licences import terms
from genai.finetune.check.near import Signatures, grams, jaccard, near_pairs, near_within
from genai.project import Project

BASE = ".genai/finetune/demo/quick/base"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return demo_project(tmp_path_factory.mktemp("project"))


def clean(count: int = 40) -> list[dict[str, Any]]:
    words = ("red", "blue", "green", "grey", "brown", "white", "black", "pink")
    return [
        asked(
            f"which {words[n % 8]} bird number {n} sings {words[n // 8 % 8]}",
            f"the {n}th one sings",
        )
        for n in range(count)
    ]


def pairs(count: int = 40) -> list[dict[str, Any]]:
    found = []
    for n, row in enumerate(clean(count)):
        long, short = f"the {n}th one, as far as I know", f"number {n} does"
        chosen, rejected = (long, short) if n % 2 else (short, long)
        found.append(pair(row["messages"][0]["content"], chosen, rejected))
    return found


def checked(
    project: Project, rows: list[Any], method: str = "sft", *, file: dict[str, Any] | None = None,
    **changes: Any,
) -> CheckReport:  # fmt: skip
    """Check rows in a file of their own, by the default thresholds."""
    write_lines(project.state / "rows.jsonl", rows)
    held = {
        "path": ".genai/rows.jsonl", "licence": "MIT", "source": "tests", "consent": "synthetic",
        "pii": "none", **(file or {}),
    }  # fmt: skip
    given: dict[str, Any] = {"check": {}, "base": BASE, **changes}
    return check_data(recipe_of(method, data=[held], **given), project)


def failed(report: CheckReport) -> list[str]:
    return [each.name for each in report.failed]


@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_a_clean_file_passes(project: Project, method: str) -> None:
    labelled = [
        {"prompt": r["messages"][0]["content"], "completion": "the fifth one", "label": n % 2 == 0}
        for n, r in enumerate(clean())
    ]
    report = checked(project, {"sft": clean(), "dpo": pairs(), "kto": labelled}[method], method)
    assert failed(report) == []
    assert report.rows == 40
    assert report.text().endswith("nothing stops this run")
    assert report.lengths is not None
    assert report.lengths.sequences == (80 if method == "dpo" else 40)


def test_the_demo_passes_from_the_command_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    assert main(["finetune", "check", "--json", str(tmp_path / "found.json")]) == 0
    shown = capsys.readouterr().out
    assert '<|assistant|>>>{"intent":' in shown  # what is trained stands between the marks
    assert "<|end|><<" in shown
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["failed"] == []
    assert found["rows"] == 4000
    assert found["lengths"]["max_length"] == 40


def test_a_failure_ends_with_1(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("GENAI_PROJECT", str(project.root))
    rows = project.state / "finetune" / "demo" / "quick" / "sft.jsonl"
    before = rows.read_text()
    rows.write_text(before + json.dumps(asked("hello", " ")) + "\n")
    try:
        assert main(["finetune", "check"]) == 1
    finally:
        rows.write_text(before)
    assert "sft.jsonl: line 4001" in capsys.readouterr().out


LONG = " ".join(["bird"] * 300)
PLANTED: list[tuple[str, str, list[Any]]] = [
    ("schema", "sft", ["{"]),
    ("role", "sft", [{"messages": [{"role": "user", "content": "hello"}]}]),
    ("empty", "sft", [asked("hello", "")]),
    ("identical", "dpo", [pair("hello", "same", "same ")]),
    ("truncated", "sft", [asked("hello", LONG)]),
    ("end lost", "sft", [asked("hello", LONG)]),
    ("dropped", "sft", [asked(LONG, "hello there")]),
    ("control tokens", "sft", [asked("stop<|end|>", "hello there")]),
    ("duplicates", "sft", [asked("one more", "the same"), asked("One MORE!", "the same.")]),
    ("contradictions", "dpo", [pair("q x", "yes it is", "no it is"),
                               pair("q x", "no it is", "yes it is")]),
    ("reviewed", "sft", [asked("hello", "you there", provenance={"source": "feedback",
                                                                 "consent": "tick"})]),
    ("reviewed", "sft", [asked("hello", "you there", provenance={"source": "feedback",
                                                                 "reviewer": "Ada"})]),
    ("personal data", "sft", [asked("hello", "you there", provenance={"pii": ["email"]})]),
    ("leaks", "sft", [asked(STORK, "on the chimneys")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "method", "rows"), PLANTED)
def test_a_planted_fault_is_found_with_its_line(
    project: Project, name: str, method: str, rows: list[Any]
) -> None:
    around: list[Any] = clean() if method == "sft" else pairs()
    report = checked(project, [*around, *rows], method, max_length=64)
    found = report.finding(name)
    assert found.state == "fail"
    assert found.count
    assert any(str(40 + n) in " ".join(found.examples) for n in range(1, len(rows) + 1))
    assert "rows.jsonl" in found.examples[0]
    assert name in failed(report)


def test_a_cut_below_the_threshold_still_counts_lost_ends(project: Project) -> None:
    rows = [*clean(), asked("hello", LONG)]
    report = checked(project, rows, max_length=64, check={"truncated": 0.5})
    assert report.finding("truncated").state == "pass"
    assert report.finding("end lost").count == 1
    assert report.finding("dropped").state == "pass"
    whole = checked(project, rows, max_length=1024)
    assert failed(whole) == []
    assert "set `max_length:" in report.finding("end lost").message


def test_the_length_is_measured_and_a_long_tail_is_not_cut_in_silence(project: Project) -> None:
    report = checked(project, clean())
    assert report.lengths is not None
    assert report.lengths.max_length % 8 == 0
    assert 0 <= report.lengths.max_length - report.lengths.longest < 8
    tail = checked(project, [*clean(200), asked("hello", LONG)])
    assert tail.lengths is not None
    assert tail.lengths.max_length < tail.lengths.longest
    assert tail.lengths.max_length == -(-tail.lengths.p99 // 8) * 8  # never a silent 1024
    assert failed(tail) == ["end lost"]


# -- leaks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (STORK, "stork is rows.jsonl:41"),
        ("  where does the WHITE stork build, its nest of sticks each spring", "punctuation aside"),
        ("Where does the white stork build its nest of twigs each spring?", "but for one word"),
        ("Where does the white stork build its nest of sticks in each spring?", "nearly"),
    ],
)
def test_an_eval_case_is_found_in_training_however_it_is_written(
    project: Project, text: str, says: str
) -> None:
    report = checked(project, [*clean(), asked(text, "on the chimneys")])
    assert failed(report) == ["leaks"]
    (line,) = report.finding("leaks").examples
    assert line.startswith("evals/birds.yaml stork")
    assert says in line


def test_a_long_text_is_found_inside_another_and_near_a_changed_one(project: Project) -> None:
    suite = project.root / "evals" / "long.yaml"
    words = [f"word{n}" for n in range(120)]
    suite.write_text(
        "suite: long\nmetrics: {exact: {gate: true}}\ncases:\n"
        f"  - {{id: answer, input: what then, expected: {' '.join(words[:20])}}}\n"
        f"  - {{id: essay, input: {' '.join(words)}, expected: x}}\n"
    )
    try:
        inside = f"it was said that {' '.join(words[3:18])} and so on"
        (line,) = checked(project, [*clean(), asked("tell me", inside)]).finding("leaks").examples
        assert "long.yaml answer shares 13 words in a row with rows.jsonl:41" in line
        changed = [*words[:30], "other", *words[31:]]
        near = checked(project, [*clean(), asked(" ".join(changed), "x y z")], max_length=1024)
        assert "nearly" in near.finding("leaks").examples[0]
    finally:
        suite.unlink()


def test_evals_that_cannot_be_read_fail_closed(project: Project) -> None:
    broken = project.root / "evals" / "broken.yaml"
    broken.write_text("suite: [\n")
    try:
        found = checked(project, clean()).finding("leaks")
    finally:
        broken.unlink()
    assert found.state == "fail"
    assert "not compared: evals/broken.yaml" in found.examples[0]
    dev = project.state / "finetune" / "demo" / "quick" / "dev.yaml"
    dev.rename(dev.with_suffix(".away"))
    try:
        report = checked(project, clean())
    finally:
        dev.with_suffix(".away").rename(dev)
    assert failed(report) == ["leaks", "dev and suite"]
    gone = checked(project, clean(), check={"leak_files": [".genai/gone.jsonl"]})
    assert "not compared: gone.jsonl" in gone.finding("leaks").examples[0]


def test_a_suite_that_only_shows_may_be_trained_from(project: Project) -> None:
    shows = project.root / "evals" / "practice.yaml"
    shows.write_text(
        "suite: practice\nmetrics: {exact: {show: true}}\n"
        "cases: [{id: a, input: what does the practice suite ask here, expected: x}]\n"
    )
    rows = [*clean(), asked("what does the practice suite ask here", "this one")]
    try:
        assert failed(checked(project, rows)) == []
        shows.write_text(shows.read_text().replace("show", "gate"))
        assert failed(checked(project, rows)) == ["leaks"]
    finally:
        shows.unlink()


def test_people_who_are_held_out_are_not_trained_by_other_words(project: Project) -> None:
    held = asked("who was held out then", "nobody", provenance={"user_key": "k1"})
    write_lines(project.state / "held.jsonl", [held])
    rows = [*clean(), asked("quite other words", "of mine", provenance={"user_key": "k1"})]
    report = checked(project, rows, check={"leak_files": [".genai/held.jsonl"]})
    assert failed(report) == ["leaks"]
    assert "are of one user k1" in report.finding("leaks").examples[0]


def test_the_dev_set_and_the_suite_share_no_case(project: Project) -> None:
    home = project.state / "finetune" / "demo" / "quick"
    first = (project.root / "finetune" / "demo" / "quick.jsonl").read_text().splitlines()[0]
    dev = home / "dev.jsonl"
    before = dev.read_text()
    dev.write_text(before + first + "\n")
    try:
        report = checked(project, clean())
    finally:
        dev.write_text(before)
    assert failed(report) == ["dev and suite"]


def test_examples_in_prompts_are_not_trained(project: Project) -> None:
    prompts = project.root / "prompts"
    prompts.mkdir()
    (prompts / "sort.md").write_text(
        "---\nid: sort\ninputs:\n  text: {trust: untrusted}\n---\n@user\n"
        "Where would you sort a heron that fishes at night?\n{{text}}\n"
    )
    rows = [*clean(), asked("Where would you sort a heron that fishes at night?", "birds then")]
    try:
        report = checked(project, rows)
    finally:
        (prompts / "sort.md").unlink()
        prompts.rmdir()
    assert failed(report) == ["leaks"]
    assert report.finding("leaks").examples[0].startswith("prompts/sort.md")


def test_near_texts_are_found_among_many_by_their_real_overlap() -> None:
    texts = [f"customer {n} asks about invoice {n * 7919} of the week {n % 52}" for n in range(500)]
    long = " ".join(f"term{n}" for n in range(200))
    seen = Signatures([*texts, long])
    found = near_pairs(seen, Signatures([texts[77], f"{long} more", "nothing like it"]), 0.8)
    assert found[0] == (77, 1.0)
    assert found[1][0] == 500
    assert found[1][1] == pytest.approx(jaccard(grams(long), grams(f"{long} more")))
    assert 2 not in found
    again = near_within(Signatures([long, "another text altogether", f"{long} more"]), 0.8)
    assert again == {2: (0, pytest.approx(193 / 194))}


# -- what else stops or warns ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("licence", "found"),
    [
        ("Apache-2.0", set()), ("CC-BY-4.0", set()), ("proprietary", set()),
        ("CC-BY-NC-4.0", {"NC"}), ("CC-BY-SA-4.0", {"SA"}), ("CC BY-NC-SA 4.0", {"NC", "SA"}),
        ("ODbL-1.0", {"ODbL"}), ("llama3.1", {"no-competing-model"}), ("CC-BY-ND-4.0", {"ND"}),
        ("some words", {"unknown"}), ("AGPL-3.0", {"copyleft"}),
    ],
)  # fmt: skip
def test_terms_of_a_licence_are_named(licence: str, found: set[str]) -> None:
    assert terms(licence) == found


def test_licences_must_fit_the_use_or_be_accepted_by_name(project: Project) -> None:
    def words(licence: str, **given: Any) -> str:
        held = {"base": "MIT", **given}
        report = checked(project, clean(), file={"licence": licence}, licences=held)
        finding = report.finding("licences")
        return "pass" if finding.state == "pass" else finding.examples[0]

    assert words("MIT") == "pass"
    assert "forbids commercial use" in words("CC-BY-NC-4.0", accepted=["NC"])
    assert "licences.accepted" in words("CC-BY-NC-4.0", use="research")
    assert words("CC-BY-NC-4.0", use="research", accepted=["NC"]) == "pass"
    assert "SA; read it" in words("CC-BY-SA-4.0")
    assert words("CC-BY-SA-4.0", accepted=["SA"]) == "pass"
    assert "base: llama3" in words("MIT", base="llama3")


def test_personal_data_is_looked_for_where_the_recipe_says_so(project: Project) -> None:
    rows = [*clean(), asked("I am anna.smith@mail.org", "hello there")]
    assert failed(checked(project, rows)) == []
    report = checked(project, rows, file={"pii": "checked"})
    assert failed(report) == ["personal data"]
    assert report.finding("personal data").examples == ("rows.jsonl:41: email",)
    flagged = [*clean(), asked("hello", "you there", provenance={"pii": ["email"]})]
    assert failed(checked(project, flagged, file={"pii": "allowed"})) == []


def test_length_bias_balance_and_learning_by_heart_warn(project: Project) -> None:
    longer = [pair(r["prompt"], "a longer answer than that", "short one") for r in pairs()]
    bias = checked(project, longer, "dpo").finding("length bias")
    assert (bias.state, bias.count) == ("warn", 40)
    labels = [
        {"prompt": r["messages"][0]["content"], "completion": "hello there", "label": n > 0}
        for n, r in enumerate(clean())
    ]
    even = checked(project, labels, "kto").finding("label balance")
    assert even.state == "warn"
    assert "`undesirable_weight: 39`" in even.message
    for row in labels:
        row["label"] = True
    assert "label balance" in failed(checked(project, labels, "kto"))
    steps = checked(project, clean(), training={"learning_rate": 0.1, "epochs": 20})
    assert steps.finding("steps").state == "warn"
    all_ = checked(project, clean(), mask="all")
    assert all_.finding("trained").state == "warn"


def test_a_base_whose_template_or_end_does_not_fit_is_told(
    project: Project, tmp_path: Path
) -> None:
    def base_with(change: Any) -> list[str]:
        other = tmp_path / f"base{len(list(tmp_path.iterdir()))}"
        other.mkdir()
        for path in (project.root / BASE).iterdir():
            (other / path.name).write_bytes(path.read_bytes())
        change(other)
        return failed(checked(project, clean(), base=str(other)))

    def edit(name: str, old: str, new: str) -> Any:
        return lambda at: (at / name).write_text((at / name).read_text().replace(old, new, 1))

    assert base_with(lambda at: None) == []
    stops = edit("generation_config.json", '"eos_token_id": 2', '"eos_token_id": 1')
    assert base_with(stops) == ["stop token"]
    endless = edit(
        "chat_template.jinja", "['content'] }}<|end|>{% endgen", "['content'] }}{% endgen"
    )
    assert base_with(endless) == ["end trained"]
    other = edit("tokenizer_config.json", "{", '{"chat_template": "{{ messages }}", ')
    assert "template" in base_with(other)


def test_the_template_that_a_run_serves_is_the_one_that_trains(project: Project) -> None:
    served = project.state / "finetune" / "runs" / "quick-sft" / "model"
    served.mkdir(parents=True)
    text = (project.root / BASE / "chat_template.jinja").read_text()
    (served / "chat_template.jinja").write_text(text)
    assert failed(checked(project, clean())) == []
    (served / "chat_template.jinja").write_text(text + " ")
    report = checked(project, clean())
    assert failed(report) == ["template"]
    assert "of the run quick-sft is" in report.finding("template").message
    assert "train under another `name`" in report.finding("template").message
    (served / "chat_template.jinja").unlink()


def test_no_row_at_all_fails(project: Project) -> None:
    report = checked(project, ["{"])
    assert failed(report) == ["schema", "rows"]
    assert report.lengths is None

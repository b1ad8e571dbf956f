"""The log of verdicts holds no content, and any edit of it is found."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from genai.cli import main
from genai.errors import InputError
from genai.guards import Audit, load_policy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "guards.yaml"
    path.write_text(
        "audit: true\nquestion: [{guard: pii, action: redact, on_error: closed},"
        " {guard: secrets, action: block, on_error: closed}]\n"
    )
    policy = load_policy(path, audit=Audit(tmp_path / "audit"))
    for text in ("I am ann@firm.com", "nothing", "AKIAIOSFODNN7EXAMPLE", "bye"):
        policy.check(text, "question")
    gate = policy.gate("question")
    gate.feed("streamed AKIAIOSFODNN7EXAMPLE")
    gate.finish()
    return tmp_path / "audit"


def test_it_holds_verdicts_and_no_content(folder: Path) -> None:
    text = (folder / "guards.jsonl").read_text()
    assert "ann@firm.com" not in text
    assert "AKIA" not in text
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0]["verdicts"][0]["kinds"] == {"email": 1}
    assert rows[2]["verdicts"][1]["decision"] == rows[4]["verdicts"][1]["decision"] == "block"
    assert Audit(folder).verify().problem == ""
    assert (folder / "guards.key").stat().st_mode & 0o077 == 0


def edit(number: int, change: Callable[[str], str]) -> Callable[[list[str]], list[str]]:
    return lambda lines: [change(x) if n == number else x for n, x in enumerate(lines)]


@pytest.mark.parametrize(
    "damage",
    [
        edit(1, lambda line: line.replace("allow", "block", 1)),
        edit(0, lambda line: line.replace('"email":1', '"email":2')),
        edit(2, lambda line: "not json\n"),
        edit(2, lambda line: "[]\n"),
        lambda lines: lines[1:],
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: lines[:-1],
        lambda lines: [],
    ],
)
def test_any_edit_is_found(folder: Path, damage: Callable[[list[str]], list[str]]) -> None:
    log = folder / "guards.jsonl"
    log.write_text("".join(damage(log.read_text().splitlines(keepends=True))))
    assert Audit(folder).verify().problem


def test_a_chain_written_anew_under_another_key_is_found_by_a_noted_head(folder: Path) -> None:
    head = Audit(folder).verify().head
    for name in ("guards.jsonl", "guards.head", "guards.key"):
        (folder / name).unlink()
    Audit(folder).write((), "question", "p")
    assert Audit(folder).verify().problem == ""
    assert "not in the log" in Audit(folder).verify(head).problem


@pytest.mark.parametrize("written", [0, 2])
def test_a_write_that_is_killed_before_its_head_is_no_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    for _ in range(written):
        Audit(tmp_path).write((), "question", "p")
    with monkeypatch.context() as patch:
        whole = Path.replace

        def killed(made: Path, target: Path) -> Path:
            if (tmp_path / "guards.jsonl").is_file():
                raise KeyboardInterrupt
            return whole(made, target)

        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            Audit(tmp_path).write((), "question", "p")
        with pytest.raises(KeyboardInterrupt):  # not even the head of the line before
            Audit(tmp_path).write((), "question", "p")
    assert Audit(tmp_path).verify().lines == written + 1
    assert not Audit(tmp_path).verify().problem
    Audit(tmp_path).write((), "question", "p")
    assert (Audit(tmp_path).verify().lines, Audit(tmp_path).verify().problem) == (written + 2, "")


@pytest.mark.parametrize("left", [1, 50, -1])
def test_a_write_that_is_cut_in_the_middle_is_no_edit(tmp_path: Path, left: int) -> None:
    for _ in range(2):
        Audit(tmp_path).write((), "question", "p")
    log, head = tmp_path / "guards.jsonl", (tmp_path / "guards.head").read_bytes()
    size = log.stat().st_size
    Audit(tmp_path).write((), "question", "p")
    written = log.read_bytes()
    log.write_bytes(written[:size] + written[size:][:left])  # as a kill or a full disk leaves it
    (tmp_path / "guards.head").write_bytes(head)
    assert (Audit(tmp_path).verify().lines, Audit(tmp_path).verify().problem) == (2, "")
    Audit(tmp_path).write((), "question", "p")
    assert (Audit(tmp_path).verify().lines, Audit(tmp_path).verify().problem) == (3, "")
    log.write_bytes(log.read_bytes()[:-1])
    assert "the end was cut" in Audit(tmp_path).verify().problem


def test_a_log_cut_to_one_line_without_its_head_is_found(folder: Path) -> None:
    log = folder / "guards.jsonl"
    log.write_text(log.read_text().splitlines(keepends=True)[0])
    (folder / "guards.head").unlink()
    assert "the end was cut" in Audit(folder).verify().problem


def test_many_writers_make_one_chain(tmp_path: Path) -> None:
    def write() -> None:
        audit = Audit(tmp_path)
        for _ in range(20):
            audit.write((), "log", "p")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Audit(tmp_path).verify().lines == 80


def test_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = folder.parent
    (project / "configs").mkdir()
    (project / "configs" / "genai.yaml").write_text("version: 1\n")
    (project / ".genai").mkdir()
    folder.rename(project / ".genai" / "audit")
    monkeypatch.chdir(project)
    assert main(["guard", "audit", "verify"]) == 0
    assert "5 lines" in capsys.readouterr().out
    log = project / ".genai" / "audit" / "guards.jsonl"
    log.write_text(log.read_text().replace("allow", "block", 1))
    assert main(["guard", "audit", "verify"]) == 1
    assert "line 1" in capsys.readouterr().out


def test_no_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="audit: true"):
        Audit(tmp_path).verify()

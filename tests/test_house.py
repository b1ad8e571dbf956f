"""The laws of the house: sizes, one test file a room, programs on public names only."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from skips import refused

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in ("genai", "apps", "finetune", "benchmarks", "evals", "tests")
    for path in (ROOT / folder).rglob("*.py")
)
# the rooms and files of genai/ that the ground floor's own tests cover together
GROUND = {"errors", "types", "extras", "bridge", "project", "config", "wiring"}


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_a_file_has_at_most_400_lines_and_a_function_60(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, f"{path.name}: cut it into a folder of the same name"
    for function in functions(ast.parse(text)):
        assert (function.end_lineno or 0) - function.lineno < 60, f"{function.name}: cut it in two"
        given = function.args
        count = len([*given.posonlyargs, *given.args, *given.kwonlyargs])
        assert count - (given.args[:1] != [] and given.args[0].arg == "self") <= 8, function.name


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_verbs_have_at_most_70_lines() -> None:
    for path in (ROOT / "genai" / "cli").glob("*.py"):
        if path.name != "__init__.py":
            assert path.read_text().count("\n") <= 70, path.name


def test_every_room_has_its_test_file() -> None:
    rooms = {
        path.stem
        for path in (ROOT / "genai").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists())
        and not path.stem.startswith("_")
    }
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests").iterdir()}
    assert rooms - GROUND <= tested
    assert "ground" in tested


def test_programs_use_public_names_only() -> None:
    for path in [*(ROOT / "apps").rglob("*.py"), *(ROOT / "finetune").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("genai"):
                assert node.module == "genai", f"{path.name}: imports {node.module}"
            if isinstance(node, ast.Import):
                deep = [alias.name for alias in node.names if alias.name.startswith("genai.")]
                assert not deep, f"{path.name}: imports {deep}"


def test_there_is_no_utils() -> None:
    assert not [path for path in SOURCES if path.stem in {"utils", "helpers", "common", "misc"}]


def test_imports_point_down() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_no_file_imports_itself_by_way_of_others_not_even_inside_a_function() -> None:
    graph = grimp.build_graph("genai", exclude_type_checking_imports=True, cache_dir=None)
    files = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    TopologicalSorter(files).prepare()  # its error names the circle


def test_no_shipped_file_is_over_10_megabytes() -> None:
    for folder in ("genai", "docs", "prompts", "evals", "configs", "apps"):
        for path in (ROOT / folder).rglob("*"):
            assert not path.is_file() or path.stat().st_size <= 10_000_000, path
    shipped = (ROOT / "genai" / "models" / "static").iterdir()
    assert sum(path.stat().st_size for path in shipped) <= 8 * 2**20


def test_a_skip_says_what_to_install_and_in_a_build_it_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert refused("no PostgreSQL: apt install postgresql") == ""
    monkeypatch.setenv("CI", "true")
    assert refused("no PostgreSQL: apt install postgresql").startswith("skipped in a build: no Pos")
    assert refused("a small file system can be mounted by root only") == ""
    assert refused("no async methods.", explained=["another"]).startswith("skipped without an expl")
    assert refused("no async methods.", explained=["no async methods."]) == ""
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name.endswith("importorskip"):
                assert "reason=" in ast.unparse(node), f"{path.name}: say what to install"


def test_what_a_test_starts_is_refused_all_beyond_this_machine(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    for host, code in (("example.org", 1), ("192.0.2.77", 1), ("localhost", 0)):
        ask = f"import socket; socket.getaddrinfo({host!r}, 80)"
        around = {**os.environ, "OUTSIDE_NOTES": str(notes)}
        done = subprocess.run([sys.executable, "-c", ask], env=around, stderr=subprocess.DEVNULL)
        assert (host, done.returncode) == (host, code)
    asked = [line.partition(" in ")[0] for line in notes.read_text().splitlines()]
    assert asked == ["example.org", "192.0.2.77"]

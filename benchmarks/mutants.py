"""Mutants: how many small faults, planted in the rooms that decide, the tests of these rooms find.

    python benchmarks/mutants.py [--room ROOM] [--sample 60] [--seed 9] [--jobs 2] [--write]

A mutant is a file of ours with one change: a comparison, an operator, `and` for `or`, a condition
negated, a constant one higher, a return of None, a statement left out. It is killed when a test of
the room fails or outlasts a minute. Nothing on disk is changed: a forked worker imports the mutant
from memory. Of each room an even sample is drawn; the interval is Wilson's, 95 %. Survivors are
printed. Prints Markdown; `--write` puts it into `benchmarks/results/mutants.md`. Not on Windows.
"""

import argparse
import ast
import io
import os
import random
import resource
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_loader
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from figures import Figure, table_of

from genai import stats

ROOT = Path(__file__).parent.parent
# room -> its files under genai/, and the tests that must find a fault in this process, the quick
# ones first
ROOMS: dict[str, tuple[str, str]] = {
    "stats": ("stats/*.py", "test_stats.py test_evals/test_gate.py"
              " test_evals/test_online.py::test_newcombes_published_example"
              " test_evals/test_online.py::test_an_odd_split_is_seen"
              " test_evals/test_online.py"
              "::test_one_value_a_cluster_is_welchs_error_with_its_correction"
              " test_reports/test_drift.py::test_the_effect_sizes_are_those_of_the_worked_examples"
              " test_reports/test_drift.py::test_one_day_cannot_be_exchanged"
              " test_reports/test_drift.py::test_ordered_bins_see_a_small_shift_of_everything"),
    "gate": ("evals/gate.py evals/baseline.py", "test_evals/test_gate_figures.py"
             " test_evals/test_gate.py test_evals/test_plan.py test_evals/test_groups.py"
             " test_evals/test_gate_rates.py"
             "::test_scores_pass_from_as_many_cases_as_verdicts_do"
             " test_evals/test_baseline.py test_evals/test_judge_gate.py"),
    "prices": ("ledger/prices/*.py", "test_ledger/test_prices.py test_ledger/test_price_files.py"),
    "budgets": ("ledger/budgets.py ledger/cap.py", "test_ledger/test_budgets.py"
                " test_evals/test_spend.py '-knot postgres and not two_processes'"),
    "spans": ("text/sentences.py text/support.py rag/cite.py",
              "test_text.py::test_the_units_of_a_page_are_cut_to_the_letter"
              " test_text.py::test_support_needs_the_numbers_too"
              " test_text.py::test_sentences_of_prose_lists_and_tables"
              " test_text.py::test_sentences_are_in_order_disjoint_and_lose_nothing"
              " test_text.py::test_no_later_text_takes_back_the_end_of_a_sentence"
              " test_rag/test_chain.py::test_marks_stay_with_their_sentence test_rag/test_cite.py"),
    "streaming": ("guards/stream.py",
                  "test_guards/test_stream_edges.py test_guards/test_stream.py"),
    "release": ("rag/release.py", "test_rag/test_chain.py test_rag/test_chain_guards.py"
                " test_rag/test_chain_steps.py"),
}  # fmt: skip
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div,
    ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip
PAID = (
    "numpy", "scipy", "sqlalchemy", "pydantic", "pydantic_core", "chromadb", "hypothesis",
    "aiohttp", "httpx", "yaml", "msgspec", "jsonschema", "bs4", "model2vec", "tokenizers",
)  # fmt: skip
# the plugins that our tests need; others that happen to be installed take seconds to load
PLUGINS = (
    "_hypothesis_pytestplugin", "pytest_timeout", "pytest_socket", "pytest_asyncio.plugin",
    "genai.pytest_plugin",
)  # fmt: skip
_FIXED = ("annotation", "returns", "decorator_list")


def changes(tree: ast.AST) -> Iterator[tuple[int, str, Callable[[], None]]]:
    """Give every change of a file: its line, what it is, and how to make it in this tree."""
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            for at, child in enumerate(value if isinstance(value, list) else [value]):
                if not isinstance(child, ast.AST) or name in _FIXED:
                    continue
                found = list(_instead(child))
                if name == "test" and isinstance(child, ast.expr):  # of an `if` or a `while`
                    found.append(("negated", ast.UnaryOp(ast.Not(), child)))
                line = getattr(child, "lineno", getattr(node, "lineno", 0))
                for what, new in found:
                    yield line, what, partial(_put, node, name, at, ast.copy_location(new, child))


def _put(node: ast.AST, name: str, at: int, new: ast.AST) -> None:
    held = getattr(node, name)
    if isinstance(held, list):
        held[at] = new
    else:
        setattr(node, name, new)


def _instead(child: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    swap = SWAPS.get(type(child))
    if swap:
        yield f"{type(child).__name__} becomes {swap.__name__}", swap()
    match child:
        case ast.Constant(value=bool() as value):
            yield f"{value} becomes {not value}", ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield f"{value} becomes {value + 1}", ast.Constant(value + 1)
        case ast.UnaryOp(op=ast.Not()):
            yield "`not` left out", child.operand
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "returns None", ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign() | ast.Continue():
            yield "left out", ast.Pass()
        case ast.Raise():
            yield "raise left out", ast.Pass()


class Planted(SourceFileLoader):
    """Finds and loads one file of ours with its change of that number; None is no change."""

    def __init__(self, path: Path, number: int | None) -> None:
        self._name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        self._name = self._name.removesuffix(".__init__")
        self.number = number
        super().__init__(self._name, str(path))

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Give this loader for its own file."""
        return spec_from_loader(name, self) if name == self._name else None

    def get_code(self, fullname: str) -> Any:
        """Compile the file with its change."""
        tree = ast.parse(Path(self.path).read_text(encoding="utf-8"))
        if self.number is not None:
            list(changes(tree))[self.number][2]()
        return compile(ast.fix_missing_locations(tree), self.path, "exec")


def killed(tests: Sequence[str], planted: Planted, folder: Path) -> bool:
    """Run the tests in a forked worker; one without a change leaves in `folder` what it loaded."""
    if not (worker := os.fork()):
        resource.setrlimit(resource.RLIMIT_CPU, (600, 600))  # a loop no test's limit can end
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        sys.meta_path.insert(0, planted)
        for name in [each for each in sys.modules if each.split(".")[0] == "genai"]:
            del sys.modules[name]
        flags = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "--timeout=60"]
        flags += [f"-p{each}" for each in PLUGINS]
        code = 1
        with suppress(BaseException), redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
            code = int(pytest.main([*flags, f"--basetemp={folder / 'pt'}", *tests]))
        if planted.number is None:
            said = out.getvalue() if code else "\n".join(sys.modules)
            (folder / "said").write_text(said, encoding="utf-8")
        os._exit(code)
    return os.waitpid(worker, 0)[1] != 0


def room(name: str, sample: int, seed: int) -> tuple[int, int, int]:
    """Give how many mutants were killed, tried and possible; print those that survived."""
    files, named = ROOMS[name]
    tests = [each if each[0] == "-" else f"{ROOT}/tests/{each}" for each in shlex.split(named)]
    paths = [path for each in files.split() for path in sorted((ROOT / "genai").glob(each))]
    every = [
        (path, number, f"{path.relative_to(ROOT)}:{line}: {what}")
        for path in paths
        for number, (line, what, _) in enumerate(changes(ast.parse(path.read_text("utf-8"))))
    ]
    drawn = sorted(random.Random(seed).sample(every, min(sample, len(every))))
    hits = 0
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for _ in range(2):  # before and after the imports that are paid once, not by every worker
            if killed(tests, Planted(paths[0], None), folder):
                sys.exit(
                    f"{name}: its tests fail without a change: {(folder / 'said').read_text()}"
                )
            for module in (folder / "said").read_text(encoding="utf-8").split():
                if module.split(".")[0] in PAID:
                    with suppress(Exception):
                        import_module(module)
        for path, number, what in drawn:
            if killed(tests, Planted(path, number), folder):
                hits += 1
            else:
                print(f"survived: {what}", file=sys.stderr, flush=True)
    return hits, len(drawn), len(every)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--room", choices=ROOMS, action="append")
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="rooms at a time")
    parser.add_argument("--write", action="store_true")
    options, found = parser.parse_args(), []
    names = options.room or list(ROOMS)
    each = partial(room, sample=options.sample, seed=options.seed)
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        counted = list(pool.map(each, names))
    for name, (hits, tried, possible) in zip(names, counted, strict=True):
        low, high = stats.wilson(hits, tried)
        what = f"{name}: mutants killed, {tried} drawn of {possible:,}"
        found.append(Figure(what, f"{hits / tried:.0%} ({low:.0%} to {high:.0%})", ">= 85 %"))
    text = "\n".join([
        "# Mutants", "",
        f"{datetime.now(UTC):%Y-%m-%d}. Command: `python benchmarks/mutants.py --write --sample"
        f" {options.sample} --seed {options.seed}`.", "", *table_of(found), "",
        "Mutants that no test can tell from the file itself count as survivors.", "",
    ])  # fmt: skip
    print(text)
    if options.write:
        (ROOT / "benchmarks" / "results" / "mutants.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""A grid says which cells are best, which are tied with them, and which are worth their money."""

import json
import re
import xml.etree.ElementTree as Xml
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from servers import openai_server

import genai
from genai.cli import main
from genai.errors import BudgetExceeded, CaseError, ConfigError, InputError, ModelError
from genai.evals import Options, Report, Suite, Tools, evaluate, load_suite
from genai.evals.grid import GridReport, Plan, cells, run_grid

# model -> the numbers it gets wrong, and its price a case
MODELS = {
    "dear": (range(0), "0.04"),
    "close": (range(1, 3), "0.02"),
    "same": (range(1, 2), "0.04"),
    "cheap": (range(30), "0.01"),
    "poor": (range(28), "0.03"),
}


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    cases = [{"id": f"c{n}", "input": f"Repeat {n}", "expected": f"{n}"} for n in range(60)]
    path = tmp_path / "evals" / "s.yaml"
    path.parent.mkdir()
    metrics = {
        "latency_p95": {"max": 9}, "shown": {"scorer": "one_line", "show": True},
        "exact": {"gate": True}, "price": {"scorer": "cost", "show": True},
    }  # fmt: skip
    path.write_text(json.dumps({"suite": "s", "metrics": metrics, "cases": cases}))
    return load_suite(path)


class Lab:
    """Opens tasks for cells and runs suites on them; counts what is asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: dict[str, int] = {}
        self.opening: Callable[[str], None] = lambda model: None
        self.crash: Callable[[str], None] = lambda model: None
        self.version = ""

    def open(self, cell: Mapping[str, str]) -> Any:
        name = cell["chain__model"]
        self.opening(name)
        wrong, price = MODELS[name]

        def task(text: str) -> Mapping[str, object]:
            self.crash(name)
            self.asked[name] = self.asked.get(name, 0) + 1
            number = int(re.findall(r"\d+", text)[0])
            return {"text": "?" if number in wrong else str(number), "cost": price}

        task.identity = f"{name} {self.version}"  # type: ignore[attr-defined]
        return task

    def evaluate(self, suite: Suite, task: Any, **options: Any) -> Report:
        return evaluate(suite, task, self.root / "runs", Tools(), Options(**options))

    def grid(self, suite: Suite, *models: str, metric: str = "", **options: Any) -> GridReport:
        plan = Plan(suite, cells(models, {}), metric, self.root / "runs", options)
        return run_grid(plan, self.open, self.evaluate)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_ties_and_the_frontier(suite: Suite, lab: Lab) -> None:
    found = lab.grid(suite, *MODELS)
    assert found.metric == "exact"  # the first that gates
    assert [each.label for each in found.entries] == ["dear", "same", "close", "poor", "cheap"]
    assert [each.group for each in found.entries] == [1, 1, 1, 2, 2]
    assert [each.label for each in found.best] == ["dear", "same", "close"]
    # mid-p of 1, 2, 28 and 30 losses without a gain, times 1, 2, 3 and 4 after Holm
    assert [each.q for each in found.entries][:3] == [None, 0.25, 0.25]
    assert found.entries[3].q == pytest.approx(3 * 0.5**29)
    assert found.entries[4].q == pytest.approx(4 * 0.5**31)
    # `same` is beaten by `dear` at its price, `poor` by `close` on both
    assert {e.label for e in found.entries if e.frontier} == {"dear", "close", "cheap"}
    assert [each.cost for each in found.entries][:3] == list(map(Decimal, ("0.04", "0.04", "0.02")))
    assert all(each.p95 is not None and each.n == 60 for each in found.entries)
    assert found.exit_code == 0


def test_a_metric_of_which_less_is_better(suite: Suite, lab: Lab) -> None:
    found = lab.grid(suite, "dear", "cheap", "close", metric="price")
    assert [each.label for each in found.entries] == ["cheap", "close", "dear"]
    assert [each.group for each in found.entries] == [1, 2, 3]
    assert [each.frontier for each in found.entries] == [True, False, False]


def test_an_interrupted_grid_goes_on(suite: Suite, lab: Lab) -> None:
    def stop(model: str) -> None:
        if model == "close":
            raise KeyboardInterrupt

    lab.opening = stop
    with pytest.raises(KeyboardInterrupt):
        lab.grid(suite, "dear", "close", "cheap")
    assert lab.asked == {"dear": 60}
    lab.opening = lambda model: None
    found = lab.grid(suite, "dear", "close", "cheap")
    assert lab.asked == {"dear": 60, "close": 60, "cheap": 60}
    assert [each.label for each in found.entries] == ["dear", "close", "cheap"]
    lab.grid(suite, "dear", "close", "cheap")  # it is complete: the same again is a new grid
    assert lab.asked["dear"] == 120


def test_a_changed_task_is_asked_again(suite: Suite, lab: Lab) -> None:
    lab.grid(suite, "dear", "cheap", spend=Decimal("2.4"))
    assert lab.asked == {"dear": 60}
    lab.version = "2"
    lab.grid(suite, "dear", "cheap")
    assert lab.asked == {"dear": 120, "cheap": 60}


def test_the_spend_is_for_all_cells(suite: Suite, lab: Lab) -> None:
    found = lab.grid(suite, "dear", "cheap", "close", spend=Decimal("2.5"))
    assert [each.label for each in found.entries] == ["dear", "cheap"]
    assert [each.stopped for each in found.entries] == ["", "budget_stop"]  # 0.1 was left for it
    assert found.not_run == ("close",)
    assert found.exit_code == 3
    assert "close: not run" in found.text()
    whole = lab.grid(suite, "dear", "cheap", "close")
    assert whole.exit_code == 0
    assert lab.asked == {"dear": 60, "cheap": 60, "close": 60}
    with pytest.raises(BudgetExceeded, match="leave nothing for the first cell"):
        lab.grid(suite, "dear", "cheap", spend=Decimal(0))


def test_the_spend_of_all_cells_is_for_their_judges_too(suite: Suite, lab: Lab) -> None:
    whole = lab.evaluate

    def judged(suite: Suite, task: Any, **options: Any) -> Report:
        return replace(whole(suite, task, **options), judging=Decimal("0.1"))

    lab.evaluate = judged  # type: ignore[method-assign]
    found = lab.grid(suite, "dear", "cheap", spend=Decimal("2.5"))
    assert found.not_run == ("cheap",)  # 2.4 for the answers of the first, and .1 for judging them


def test_a_cell_that_could_not_be_measured_is_not_compared(suite: Suite, lab: Lab) -> None:
    def down(model: str) -> None:
        if model == "cheap":
            raise ModelError("no answer", "network")

    lab.crash = down
    found = lab.grid(suite, "dear", "cheap")
    assert [(each.label, each.group, each.quality) for each in found.entries] == [
        ("dear", 1, 1.0), ("cheap", 0, None)
    ]  # fmt: skip
    assert found.exit_code == 4
    assert "unmeasured" in found.text()
    assert "cheap: cost or quality unknown" in found.svg()
    lab.crash = lambda model: None
    assert lab.grid(suite, "dear", "cheap").exit_code == 0
    assert lab.asked == {"dear": 60, "cheap": 60}


def test_table_json_and_plot_lie_in_the_folder(suite: Suite, lab: Lab) -> None:
    MODELS["<b>&"] = (range(5), "0.02")
    found = lab.grid(suite, "dear", "<b>&")
    del MODELS["<b>&"]
    assert (found.folder / "grid.txt").read_text().startswith("grid of suite s")
    kept = json.loads((found.folder / "grid.json").read_text())
    assert [each["label"] for each in kept["entries"]] == ["dear", "<b>&"]
    assert kept["entries"][0]["cost"] == "0.04"
    drawing = Xml.parse(found.folder / "grid.svg").getroot()
    said = ["".join(each.itertext()) for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"dear", "<b>&", "exact over dollars a case"} <= set(said)
    assert len(list(drawing.iter("{http://www.w3.org/2000/svg}circle"))) == 2


def test_what_cannot_be_compared() -> None:
    with pytest.raises(CaseError, match="one cell is nothing to compare"):
        cells(["a", "a"], {})
    with pytest.raises(CaseError, match="`chain__top_k` has an empty value"):
        cells(["a"], {"chain__top_k": ["3", ""]})
    assert len(cells(["a", "b"], {"chain__top_k": ["1", "2"], "embedder": ["static", "x"]})) == 8


@pytest.fixture
def birds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose answers stand in the first passage, or only in the second."""
    for folder in ("docs", "configs", "prompts/rag"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "evals").mkdir(exist_ok=True)
    shipped = genai.find_project().root
    for file in ("prompts/rag/answer.md", "configs/guards.yaml"):
        (tmp_path / file).write_bytes((shipped / file).read_bytes())
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    names = ("Storks", "Herons", "Owls", "Gulls", "Finches", "Ravens", "Swifts", "Larks")
    text = "\n\n".join(f"# {name}\n\n{name} nest in place number {len(name)}." for name in names)
    (tmp_path / "docs" / "birds.md").write_text(text, encoding="utf-8")
    cases = [
        {"id": name, "input": f"Where do {name} nest?", "kind": "answerable",
         "gold": [{"document": "birds.md", "quote": f"{name} nest in place number {len(name)}."}]}
        for name in names
    ]  # fmt: skip
    body = {"suite": "birds", "metrics": {"recall_at_k": {"show": True}}, "cases": cases}
    (tmp_path / "evals" / "birds.yaml").write_text(json.dumps(body))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_settings_of_the_chain_are_cells(birds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = genai.grid("birds", vary={"chain.top_k": ["1", "3"], "index.max_chars": ["200", "400"]})
    assert {each.label for each in found.entries} == {
        f"chain.top_k={k}, index.max_chars={size}" for k in (1, 3) for size in (200, 400)
    }
    assert len({each.run for each in found.entries}) == 4
    assert all(each.n == 8 for each in found.entries)
    indexes = [path.name for path in (birds / ".genai" / "indexes").iterdir()]
    assert len([name for name in indexes if name.startswith("grid-")]) == 2
    assert "handbook" not in indexes  # the configured index is left alone

    assert main(["eval", "grid", "birds", "--set", "chain.top_k=1,3", "--limit", "4"]) == 0
    assert "4 of 4" in capsys.readouterr().out
    assert main(["eval", "grid", "birds", "--set", "chain.top_k"]) == 64
    assert main(["eval", "grid", "birds", "--metric", "recal", "--set", "chain.top_k=1,3"]) == 64
    assert "no metric `recal`" in capsys.readouterr().err


def test_models_prompts_and_retrievers_are_crossed(
    birds: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    short = (birds / "prompts" / "rag" / "answer.md").read_text()
    short = short.replace("id: rag/answer", "id: rag/short") + "\nAnswer in one line.\n"
    (birds / "prompts" / "rag" / "short.md").write_text(short)
    with openai_server(text="They nest. [1]") as (url, server):
        models = [f"openai/{name}@{url}" for name in ("one", "two")]
        given = [word for model in models for word in ("--model", model)]
        axes = ["--set", "chain.prompt=rag/answer,rag/short", "--set", "chain.top_k=1,3"]
        code = main(["eval", "grid", "birds", "--limit", "2", *given, *axes])
        said, error = capsys.readouterr()
        assert code == 0, error
        for model, prompt, size in product(("one", "two"), ("answer", "short"), (1, 3)):
            label = f"openai/{model}@{url}, chain.prompt=rag/{prompt}, chain.top_k={size}"
            assert said.count(label) == 1, said
        asked = [
            (each["model"], "in one line" in str(each["messages"])) for each in server.requests
        ]
    assert Counter(asked) == {(name, how): 4 for name in ("one", "two") for how in (True, False)}


def test_a_wrong_setting_is_said_before_anything_runs(birds: Path) -> None:
    with pytest.raises(ConfigError, match="`top_q` is not a setting"):
        genai.grid("birds", vary={"chain__top_q": ["1", "2"]})
    with pytest.raises(ConfigError, match="top_k"):
        genai.grid("birds", vary={"chain__top_k": ["1", "many"]})
    assert not (birds / ".genai" / "runs").exists()
    suite = load_suite(birds / "evals" / "birds.yaml")
    object.__setattr__(suite, "settings", suite.settings.model_copy(update={"task": "model"}))
    with pytest.raises(InputError, match="the task 'model' takes no chain__top_k"):
        genai.grid(suite, vary={"chain__top_k": ["1", "2"]})

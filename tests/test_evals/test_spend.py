"""A run never starts a call that may pass its cap; what was measured is kept and gone on with."""

import asyncio
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from servers import openai_server

import genai
from genai.errors import BudgetExceeded
from genai.ledger.cap import Cap, capped, current_cap
from genai.types import Cost, CostStatus

# of one call of gpt-4o-mini: 16,384 tokens out at the most, 11 + 7 tokens in fact
WORST, REAL = Decimal("0.0098334"), Decimal("0.00000585")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    source = Path(genai.__file__).parent.parent / "configs" / "prices.yaml"
    (tmp_path / "configs" / "prices.yaml").write_text(source.read_text())
    (tmp_path / "evals").mkdir()
    cases = ", ".join(f"{{id: c{n}, input: 'Say {n}', expected: x}}" for n in range(40))
    (tmp_path / "evals" / "says.yaml").write_text(
        f"suite: says\ntask: model\nmetrics: {{exact: {{show: true}}}}\ncases: [{cases}]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback")
    return tmp_path


def says(url: str, **options: Any) -> genai.Report:
    model = genai.model(f"openai/gpt-4o-mini@{url}")
    return genai.evaluate("says", model, **options)


def test_a_cap_that_is_wide_enough_changes_nothing_but_the_pace(folder: Path) -> None:
    with openai_server(text="x") as (url, server):
        report = says(url, spend=Decimal("0.03"))  # room for three calls at once
    assert len(server.requests) == 40
    assert report.cost == 40 * REAL
    assert report.exit_code == 0


def test_a_cap_too_small_for_one_call_sends_none(folder: Path) -> None:
    with openai_server(text="x") as (url, server):
        report = says(url, spend=Decimal("0.005"))
    assert server.requests == []
    assert (report.exit_code, report.stopped) == (3, "budget_stop")
    assert "raise the cap" in report.metric("exact").reason
    assert report.metric("exact").value is None


def test_a_stopped_run_keeps_what_it_has_and_goes_on(folder: Path) -> None:
    cap = WORST + 12 * REAL
    with openai_server(text="x") as (url, server):
        first = says(url, spend=cap, concurrency=4)
        asked = len(server.requests)
        assert 8 <= asked <= 20
        assert first.exit_code == 3
        assert first.metric("exact").n == asked
        assert first.cost <= cap
        again = says(url, spend=Decimal("1"))
        assert again.run == first.run
        assert len(server.requests) == 40
    assert again.exit_code == 0
    assert again.resumed == asked


def test_an_unknown_price_cannot_be_capped(folder: Path) -> None:
    with openai_server(text="x") as (url, server):
        report = genai.evaluate(
            "says", genai.model(f"openai/nobody-knows@{url}"), spend=Decimal("1")
        )
    assert server.requests == []
    assert "its price is unknown" in report.metric("exact").reason
    assert report.exit_code == 3


def test_a_task_that_reports_its_own_cost_is_stopped_too(folder: Path) -> None:
    asked: list[str] = []

    def task(question: str) -> dict[str, Any]:
        asked.append(question)
        return {"text": "x", "cost": "0.10"}

    report = genai.evaluate("says", task, spend=Decimal("0.50"), concurrency=1)
    assert len(asked) == 5
    assert (report.cost, report.exit_code) == (Decimal("0.50"), 3)


@pytest.mark.parametrize("said", ["x", {"text": "x", "refused": True}])
def test_a_task_that_says_nothing_of_its_cost_stops_after_its_first_case(
    folder: Path, said: Any
) -> None:
    asked: list[str] = []

    async def task(question: str) -> Any:
        asked.append(question)
        await asyncio.sleep(0)
        return said

    report = genai.evaluate("says", task, spend=Decimal("1.00"))
    assert (len(asked), report.stopped, report.exit_code) == (1, "budget_stop", 3)
    assert "the task: its cost is unknown, so the cap of $1.00 cannot be kept; let it give `cost`" \
        in report.metric("exact").reason  # fmt: skip
    assert genai.evaluate("says", task, spend=Decimal("1.00")).resumed == 1
    assert len(asked) == 2  # one of each start, however many may be in flight


def test_a_case_that_fails_without_a_cost_stops_no_run_whose_cost_is_known(folder: Path) -> None:
    def task(question: str) -> dict[str, Any]:
        if question == "Say 7":
            raise ValueError("an error of the task")
        return {"text": "x", "cost": "0.01"}

    report = genai.evaluate("says", task, spend=Decimal("1.00"), concurrency=1)
    assert report.states == {"answered": 39, "failed": 1}


def test_a_task_over_a_model_of_ours_needs_no_cost_of_its_own(folder: Path) -> None:
    with openai_server(text="x") as (url, _):
        model = genai.model(f"openai/gpt-4o-mini@{url}")

        def task(question: str) -> str:
            return model(question).text

        report = genai.evaluate("says", task, spend=Decimal("1.00"))
    assert report.states == {"answered": 40}


def test_cases_in_flight_are_set_aside_at_the_dearest_so_far(folder: Path) -> None:
    """The cap is passed by what a case was dearer than every one before it, and by no more."""
    asked: list[str] = []

    async def task(question: str) -> dict[str, Any]:
        asked.append(question)
        price = "0.30" if len(asked) == 9 else "0.10"
        await asyncio.sleep(0.005)
        return {"text": "x", "cost": price}

    report = genai.evaluate("says", task, spend=Decimal("1.05"), concurrency=20)
    assert len(asked) == 10  # the tenth was under way with the ninth
    assert report.cost == Decimal("1.20") <= Decimal("1.05") + Decimal("0.20")
    report = genai.evaluate("says", task, spend=Decimal("2.25"), concurrency=20)
    # what the dearest cost is known from the log: 1.20, then cases as long as 0.30 is left
    assert report.cost == Decimal("2.00")
    assert report.stopped == "budget_stop"


def test_equal_cases_never_pass_a_cap_whatever_is_in_flight(folder: Path) -> None:
    async def task(question: str) -> dict[str, Any]:
        await asyncio.sleep(0.005)
        return {"text": "x", "cost": "0.10"}

    report = genai.evaluate("says", task, spend=Decimal("1.05"), concurrency=40)
    assert report.cost == Decimal("1.00")


JUDGED = """suite: says
task: model
judge: JUDGE
metrics: {correctness: {show: true}}
cases: [CASES]
"""


def test_a_cap_holds_task_and_judge_together_and_after_an_interruption(folder: Path) -> None:
    def answer(body: dict[str, Any]) -> str:
        return '{"reason": "so", "verdict": true}' if "verdict" in str(body) else "x"

    with openai_server(answer=answer) as (url, server):
        cases = ", ".join(f"{{id: c{n}, input: 'Say {n}', expected: x}}" for n in range(40))
        judged = JUDGED.replace("JUDGE", f"openai/gpt-4o-mini@{url}").replace("CASES", cases)
        (folder / "evals" / "says.yaml").write_text(judged)
        prompt = Path(genai.__file__).parent.parent / "prompts" / "judge" / "correctness.md"
        (folder / "prompts" / "judge").mkdir(parents=True)
        (folder / "prompts" / "judge" / "correctness.md").write_text(prompt.read_text())
        cap = WORST + 40 * REAL  # of the 80 calls it takes
        first = says(url, spend=cap, concurrency=2)
        assert first.exit_code == 3
        assert first.judging > 0
        assert first.cost + first.judging == len(server.requests) * REAL <= cap
        assert 20 <= len(server.requests) <= 60
        assert f"and ${first.judging.normalize():f} for judging" in first.text()
        asked = len(server.requests)
        again = says(url, spend=cap, concurrency=2)  # nothing is left but what one call takes back
        assert again.run == first.run
        assert again.cost + again.judging == len(server.requests) * REAL <= cap
        assert len(server.requests) - asked <= 20
        whole = says(url, spend=Decimal("1"))
    assert whole.metric("correctness").n == 40
    assert whole.cost + whole.judging == len(server.requests) * REAL


def test_a_priced_embedder_is_held_to_the_cap(folder: Path) -> None:
    with openai_server(text="x") as (url, server):
        text = f"version: 1\nembedder: openai/text-embedding-3-small@{url}\n"
        (folder / "configs" / "genai.yaml").write_text(text)
        suite = (folder / "evals" / "says.yaml").read_text()
        (folder / "evals" / "says.yaml").write_text(suite.replace("exact", "semantic_similarity"))
        report = says(url, spend=Decimal("0.5"))
        paid = [each for each in server.requests if each["path"].endswith("/embeddings")]
        assert len(paid) == 40
        assert report.judging > 0
        assert report.metric("semantic_similarity").n == 40
        none = says(url, spend=Decimal("0.00000001"), resume=False)
        assert none.metric("semantic_similarity").value is None
        assert len(paid) == 40
    ledger = genai.open_ledger()
    ledger.flush()
    assert len(ledger.calls(kind="embedding", outcome="ok")) == 40


def test_threads_never_pass_a_cap() -> None:
    cap, worst, refused = Cap(Decimal("1.00")), Cost(Decimal("0.03"), CostStatus.PRICED), []
    started = threading.Barrier(16, timeout=20)

    def spend(name: int) -> None:
        started.wait()
        for turn in range(50):
            call = f"{name}-{turn}"
            try:
                while not cap.reserve(call, "m", worst):
                    assert cap.spent + cap.reserved <= cap.limit
            except BudgetExceeded:
                refused.append(call)
                return
            cap.settle(call, Decimal("0.02"))

    threads = [threading.Thread(target=spend, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 16
    assert Decimal("0.97") < cap.spent <= cap.limit
    assert cap.reserved == 0


def test_a_cap_is_spent_to_the_last_cent_and_refusals_are_counted() -> None:
    half, cap = Cost(Decimal("0.5"), CostStatus.PRICED), Cap(Decimal(1))
    assert cap.reserve("a", "m", half)
    assert cap.reserve("b", "m", half)
    assert cap.reserved == 1
    assert cap.reserve("c", "m", half) is False  # it waits for those in flight
    assert (cap.refused, cap.settle("c", Decimal(1))) == (0, 0)
    assert cap.settle("a", Decimal("0.5")) == Decimal("0.5")
    assert cap.settle("b", Decimal("0.25")) == Decimal("0.25")
    with pytest.raises(
        BudgetExceeded, match=r"may cost \$0.5, and \$0.75 of the run's \$1 is spent"
    ):
        cap.reserve("c", "m", half)
    with pytest.raises(BudgetExceeded, match="model m: its price is unknown"):
        cap.reserve("c", "m", Cost(None, CostStatus.UNPRICED))
    assert (cap.refused, cap.spent, cap.reserved) == (2, Decimal("0.75"), 0)
    assert cap.reserve("d", "m", Cost(Decimal("0.25"), CostStatus.PRICED))
    part = cap.part()
    assert (part.reserve("e", "m", Cost(Decimal(0), CostStatus.PRICED)), part.limit) == (True, 1)


def test_a_cap_holds_inside_its_block_alone() -> None:
    cap = Cap(Decimal(1))
    with capped(cap) as given:
        assert given is current_cap() is cap
    assert current_cap() is None


def test_what_nobody_knows_is_booked_at_its_worst() -> None:
    cap = Cap(Decimal(1))
    assert cap.reserve("a", "m", Cost(Decimal("0.4"), CostStatus.PRICED))
    cap.settle("a", None)
    cap.settle("a", Decimal("0.1"))  # a second word does not count
    assert cap.spent == Decimal("0.4")
    free = Cap(None)  # only counts
    with capped(free.part()) as part:
        assert part.reserve("b", "m", Cost(None, CostStatus.UNPRICED))
        assert part.settle("b", Decimal("0.3")) == part.spent == free.spent == Decimal("0.3")

"""Recorded answers are judged within a budget, and canaries are asked when they are due."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from judges import PROMPT_FILES, Scripted
from loops import suite

from genai.cli import main
from genai.errors import InputError
from genai.evals import Options, Report, Suite, Tools, evaluate, load_suite
from genai.ledger import Ledger, tables
from genai.loop.online import Canaries, Scored, canary, score
from genai.loop.seen import online_scores
from genai.loop.settings import CanarySettings, LoopSettings, OnlineSettings
from genai.models import Hooks, open_model
from genai.types import Call, Context, Cost, CostStatus, Hit, Passage

STORKS = "Storks nest on chimneys. Herons fish at dawn."
GOOD, BAD = "Storks nest on chimneys.", "Storks were invented by Swiss bankers."
Passages = Callable[[Call, str], Sequence[Hit] | None]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    (tmp_path / "evals").mkdir()
    return Ledger(tmp_path / ".genai" / "ledger.db", content="all")


def answered(ledger: Ledger, name: str, answer: str, **given: Any) -> None:
    context = Context(run=given.pop("run", ""), index_revision="r1")
    row = Call(id=name, kind="chain", started_at=time.time() - 60, seconds=0.1, outcome="ok",
               model="m", context=context, **given)  # fmt: skip
    ledger.record(row, question=f"Where do storks nest, {name}?", answer=answer)


def birds(call: Call, question: str) -> list[Hit]:
    return [Hit(Passage("p1", "birds.md", 0, len(STORKS), STORKS), 1.0)]


def look(
    ledger: Ledger, settings: dict[str, Any], passages: Passages = birds, tools: Tools | None = None
) -> Scored:
    runs = ledger.path.parent / "runs"

    def run(suite: Suite, task: Any, **options: Any) -> Report:
        return evaluate(
            suite, task, runs, tools or Tools(), Options(record=ledger.record, **options)
        )

    chosen = OnlineSettings.model_validate({"share": 1.0, **settings})
    return score(ledger, ledger.path.parent.parent, runs, chosen, run, passages, 0.0)


SUPPORT = {"metrics": {"support": {"min": 0.5}}}


def test_a_sample_is_judged_and_each_verdict_points_at_its_call(ledger: Ledger) -> None:
    answered(ledger, "good", GOOD)
    answered(ledger, "bad", BAD)
    answered(ledger, "eval", BAD, run="an-eval")
    found = look(ledger, SUPPORT)
    assert (found.sampled, found.exit_code) == (2, 0)
    scores = online_scores(ledger, 0.0)
    assert {name: given["support"] >= 0.5 for name, given in scores.items()} == {
        "good": True, "bad": False,
    }  # fmt: skip
    assert {call.context.parent_id for call in ledger.calls(kind="eval")} == {"good", "bad"}
    assert look(ledger, SUPPORT).sampled == 0  # nobody is judged twice


def test_a_run_keeps_no_text_longer_than_the_ledger_does(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ledger.path.parent.parent
    (root / "configs").mkdir()
    (root / "configs" / "genai.yaml").write_text("version: 1\n")
    monkeypatch.chdir(root)
    answered(ledger, "bad", BAD)
    spent = look(ledger, SUPPORT).spent

    def holding() -> list[Path]:
        files = [path for path in (root / ".genai").rglob("*") if path.is_file()]
        return [path for path in files if b"Swiss bankers" in path.read_bytes()]

    assert main(["export", "--retain", "--content-days", "1"]) == 0
    assert len({path.parent for path in holding()}) == 2  # the ledger's and the run's
    assert main(["export", "--retain", "--content-days", "0"]) == 0
    assert "1 runs of online evals emptied" in capsys.readouterr().out
    assert holding() == []
    assert online_scores(ledger, 0.0)["bad"]["support"] < 0.5
    assert look(ledger, SUPPORT).spent == spent


def test_the_share_is_kept_and_the_same_calls_are_chosen_each_time(ledger: Ledger) -> None:
    for number in range(300):
        answered(ledger, f"c{number}", GOOD)
    found = look(ledger, {"share": 0.2, **SUPPORT})
    assert 35 <= found.sampled <= 85
    again = look(ledger, {"share": 0.2, **SUPPORT})
    assert again.sampled == 0


def test_what_cannot_be_judged_is_counted_with_its_reason(ledger: Ledger) -> None:
    answered(ledger, "old", GOOD)
    none = Ledger(ledger.path, content="none")
    answered(none, "blind", GOOD)
    none.flush()
    found = look(ledger, SUPPORT, passages=lambda call, question: None)
    assert (found.sampled, sorted(found.left_out.values())) == (0, [1, 1])
    assert "1 left out: the index or its settings have changed" in found.text()
    assert "1 left out: the ledger holds no text" in found.text()


def test_without_a_metric_there_is_nothing_to_do(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="online.metrics"):
        look(ledger, {})


def judge(ledger: Ledger, cents: str) -> Tools:
    """A judge whose every reply costs so much, and who finds every claim supported."""

    class Always(Scripted):
        remote = True

        async def stream(self, messages: Any, params: Any) -> Any:
            claims = {"claims": ["c"]}
            verdicts = {"verdicts": [{"number": 1, "reason": "r", "verdict": True}]}
            text = "".join(message.text for message in messages)
            self.lines = [claims if "verdict" not in text else verdicts]
            async for delta in super().stream(messages, params):
                yield delta

    price = Cost(Decimal(cents), CostStatus.PRICED)
    hooks = Hooks(price=lambda *_, **__: price, worst=lambda *_, **__: price, record=ledger.record)
    model = open_model("fake/judge", provider=Always(), hooks=hooks)
    return Tools(judge=model.acall, judge_name="fake/judge", prompts=PROMPT_FILES)


@pytest.mark.parametrize("cents", ["0.10", "0.15"])
def test_a_judge_over_its_budget_stops_says_so_and_goes_on_the_next_day(
    ledger: Ledger, cents: str
) -> None:
    for number in range(6):
        answered(ledger, f"c{number}", GOOD)
    settings = {"metrics": {"faithfulness": {"min": 0.8}}, "spend": "0.50", "judge": "fake/judge"}
    found = look(ledger, settings, tools=judge(ledger, cents))
    assert found.exit_code == 3
    assert found.spent <= Decimal("0.50")
    assert "the day's budget for judges is spent" in found.text()
    judged = online_scores(ledger, 0.0)
    done = {name for name, given in judged.items() if "faithfulness" in given}
    assert 1 <= len(done) <= 2
    again = look(ledger, settings, tools=judge(ledger, cents))
    assert again.exit_code == 3
    with ledger.database.begin() as db:  # a day goes by
        earlier = tables.calls.c.started_at - 86_400
        db.execute(sa.update(tables.calls).where(tables.calls.c.kind == "model")
                   .values(started_at=earlier))  # fmt: skip
    later = look(ledger, settings, tools=judge(ledger, cents))
    assert later.exit_code == 3
    judged = online_scores(ledger, 0.0)
    assert done < {name for name, given in judged.items() if "faithfulness" in given}


def test_a_verdict_under_its_limit_puts_the_call_into_the_queue(ledger: Ledger) -> None:
    from genai.loop import Queue

    answered(ledger, "good", GOOD)
    answered(ledger, "bad", BAD)
    look(ledger, SUPPORT)
    queue = Queue(ledger, LoopSettings.model_validate({"online": SUPPORT}))
    queue.refresh()
    assert [(item.call_id, item.why) for item in queue.items()] == [("bad", ("online",))]


def test_judges_are_held_to_the_reviewers(ledger: Ledger) -> None:
    from genai.loop import Queue
    from genai.loop.status import status
    from genai.project import Project

    answered(ledger, "good", GOOD, tags={"support": 0.1})
    answered(ledger, "bad", BAD)
    look(ledger, SUPPORT)
    queue = Queue(ledger, LoopSettings.model_validate({"online": SUPPORT}))
    queue.refresh()
    for item in queue.items():
        if item.call_id == "good":
            queue.review(item.id, "accept", "Ada")
        else:
            queue.review(item.id, "edit", "Ada", text=GOOD)
    found = status(queue, Project(ledger.path.parents[1], ledger.path.parent))
    assert "support and the reviewers agree on 2 of 2 calls, kappa 1.00" in found.text()


# -- canaries -------------------------------------------------------------------------------------


def ask(folder: Path, task: Callable[[str], str], now: bool = False, **settings: Any) -> Canaries:
    runs = folder / ".genai" / "runs"

    def run(suite: Suite, **options: Any) -> Report:
        return evaluate(suite, task, runs, Tools(), Options(**options))

    loaded = load_suite(folder / "evals" / "shop.yaml")
    return canary(loaded, runs, CanarySettings(suite="shop", **settings), run, now=now)


def test_canaries_are_asked_when_due_and_a_new_failure_is_named(tmp_path: Path) -> None:
    cases = [{"id": f"c{n}", "input": f"{n}?", "expected": str(n)} for n in range(40)]
    suite(tmp_path, json.dumps({"suite": "shop", "metrics": {"exact": {"gate": True}},
                                "cases": cases}))  # fmt: skip
    right = lambda question: question[:-1]  # noqa: E731
    first = ask(tmp_path, right, cases=4)
    assert (first.report and first.report.cases, first.failing, first.exit_code) == (4, (), 0)
    assert ask(tmp_path, right, cases=4).report is None
    assert "not due before" in ask(tmp_path, right, cases=4).text()
    wrong = ask(tmp_path, lambda q: "?" if q == "10?" else right(q), now=True, cases=4)
    assert (wrong.failing, wrong.worse, wrong.exit_code) == (("c10",), ("c10",), 1)
    assert "c10 (passed the time before)" in wrong.text()
    still = ask(tmp_path, lambda q: "?" if q == "10?" else right(q), now=True, cases=4)
    assert (still.failing, still.worse, still.exit_code) == (("c10",), (), 0)
    assert ask(tmp_path, right, cases=4, every_hours=0).report is not None
    assert not (tmp_path / ".genai" / "runs" / "shop").exists()


@pytest.mark.parametrize(("hours", "sooner"), [(24, 22.9), (1, 0.89)])
def test_a_timer_asks_each_time_though_a_run_takes_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float, sooner: float
) -> None:
    cases = [{"id": "c", "input": "1?", "expected": "1"}]
    suite(tmp_path, json.dumps({"suite": "shop", "metrics": {"exact": {"gate": True}},
                                "cases": cases}))  # fmt: skip
    begun, past = datetime.now(UTC) - timedelta(minutes=1), 0.0  # the first run takes a minute

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            moment = begun + timedelta(hours=past)
            return cls.fromtimestamp(moment.timestamp(), tz)

    monkeypatch.setattr("genai.loop.online.datetime", Clock)
    right = lambda question: question[:-1]  # noqa: E731
    assert ask(tmp_path, right, every_hours=hours).report is not None
    past = sooner
    assert ask(tmp_path, right, every_hours=hours).report is None
    past = hours
    assert ask(tmp_path, right, every_hours=hours).report is not None


def test_cases_with_the_tag_are_the_canaries(tmp_path: Path) -> None:
    cases = [{"id": f"c{n}", "input": f"{n}?", "expected": "x", "tags": ["canary"] * (n == 7)}
             for n in range(9)]  # fmt: skip
    suite(tmp_path, json.dumps({"suite": "shop", "metrics": {"exact": {"gate": True}},
                                "cases": cases}))  # fmt: skip
    assert ask(tmp_path, lambda _: "no").failing == ("c7",)


def test_a_suite_is_left_as_it_is(tmp_path: Path) -> None:
    path = suite(tmp_path)
    before = path.read_text()
    ask(tmp_path, lambda _: "At nine.")
    assert path.read_text() == before
    assert replace(load_suite(path), name="x").hash == load_suite(path).hash

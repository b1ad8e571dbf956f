"""The ledger: nothing acknowledged is lost, nothing unknown is 0, no content unless asked."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai.config import parse_yaml
from genai.errors import ConfigError, LedgerUnusable
from genai.ledger import Ledger, Prices
from genai.ledger.query import percentile
from genai.types import Call, CostStatus, Usage, new_id

ROOT = Path(__file__).parent.parent


def call(**fields: object) -> Call:
    base: dict[str, object] = {
        "id": new_id(), "kind": "model", "started_at": 1_800_000_000.0, "seconds": 0.5,
        "outcome": "ok", "model": "m", "cost": Decimal("0.000000000001"), "cost_status": "priced",
    }  # fmt: skip
    return Call(**{**base, **fields})  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def test_a_row_comes_back_as_it_went_in(ledger: Ledger) -> None:
    given_call = call(
        ttft=0.25, input_tokens=3, output_tokens=4, cached_tokens=1, usage_source="provider",
        cost=Decimal("12345.678901234567"), tags={"place": "question", "score": 0.5},
    )  # fmt: skip
    ledger.record(given_call)
    assert ledger.call(given_call.id) == given_call
    assert ledger.call("unknown") is None


@given(
    cost=st.one_of(st.none(), st.decimals(0, 10_000, places=12)),
    tokens=st.one_of(st.none(), st.integers(0, 10**9)),
    text=st.text(max_size=50),
)
@settings(max_examples=40, deadline=None)
def test_any_row_comes_back(
    tmp_path_factory: pytest.TempPathFactory, cost: Decimal | None, tokens: int | None, text: str
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("l") / "ledger.db")
    row = call(cost=cost, input_tokens=tokens, tags={"t": text.encode("utf-8", "replace").decode()})
    ledger.record(row)
    found = ledger.call(row.id)
    assert found == row


def test_a_retold_row_is_stored_once(ledger: Ledger) -> None:
    row = call()
    ledger.record(row)
    ledger.record(row)
    assert len(ledger.calls()) == 1


def test_unknown_money_is_counted_not_summed_as_zero(ledger: Ledger) -> None:
    for cost in (Decimal("0.1"), Decimal("0.2"), None):
        ledger.record(call(cost=cost))
    ledger.record(call(kind="chain", cost=Decimal("0.3")))
    total = ledger.summary().cost
    assert (total.total, total.known, total.calls) == (Decimal("0.3"), 2, 3)
    assert str(total) == "at least $0.3 (cost of 2 of 3 calls known)"


def test_summary_and_days(ledger: Ledger) -> None:
    outcomes = ["ok"] * 17 + ["refusal"] * 2 + ["error"]
    for n, outcome in enumerate(outcomes, start=1):
        day = 1_800_000_000.0 + 86_400 * (n % 2)
        row = call(kind="chain", seconds=float(n), outcome=outcome, started_at=day, ttft=0.1)
        ledger.record(row)
    total = ledger.summary()
    assert (total.questions, total.answers, total.refusals, total.errors) == (20, 17, 2, 1)
    assert (total.p50, total.p95, total.p99) == (10.0, 19.0, 20.0)
    days = ledger.by_day()
    assert [day.questions for day in days] == [10, 10]
    assert sum(day.refusals for day in days) == 2
    assert "20: 17 answers, 2 refusals, 1 errors" in total.text()
    assert ledger.calls(kind="chain", outcome="error", limit=5)[0].seconds == 20.0


def test_an_empty_ledger_says_nothing_is_known(ledger: Ledger) -> None:
    total = ledger.summary()
    assert total.p50 is None
    assert total.questions == 0
    assert ledger.by_day() == []
    assert percentile([], 0.5) is None


KILLED = """
import sys, os
from pathlib import Path
from genai.ledger import Ledger
from genai.types import Call, new_id
ledger = Ledger(Path(sys.argv[1]))
for n in range(100000):
    ledger.record(Call(id=f"{n:06}", kind="model", started_at=1.0, seconds=0.1, outcome="ok"))
    sys.stdout.write(f"{n}\\n"); sys.stdout.flush()
"""


def test_kill_9_loses_no_call_that_returned(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    last = -1
    for line in process.stdout:
        last = int(line)
        if last == 3000:
            os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    assert last >= 3000
    ledger = Ledger(path)
    found = {row.id for row in ledger.calls(limit=10**6)}
    assert {f"{n:06}" for n in range(last + 1)} <= found
    ledger.flush()
    assert not list((tmp_path / "spool").glob("*.jsonl"))  # all drained, so the file is gone


def record_many(path: Path, count: int) -> None:
    ledger = Ledger(path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ledger.record(call()), range(count)))
    ledger.flush()


def test_two_processes_and_16_threads_share_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=record_many, args=(path, 500)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(Ledger(path).calls(limit=10_000)) == 1000


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_writes_its_own_spool(ledger: Ledger) -> None:
    ledger.record(call(id="parent"))
    child = os.fork()
    if child == 0:
        ledger.record(call(id="child"))
        os._exit(0)
    os.waitpid(child, 0)
    ledger.record(call(id="after"))
    assert {row.id for row in ledger.calls()} == {"parent", "child", "after"}


def test_torn_and_broken_lines_are_counted_and_block_nobody(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    good = Ledger(tmp_path / "other" / "ledger.db")
    good.record(call(id="kept"))
    line = next((tmp_path / "other" / "spool").iterdir()).read_bytes()
    (spool / "999999999-dead.jsonl").write_bytes(b"not json\n" + line + b'{"t":"call","id":"to')
    ledger = Ledger(tmp_path / "ledger.db")
    delivery = ledger.flush()
    assert (delivery.written, delivery.failed) == (1, 2)
    assert [row.id for row in ledger.calls()] == ["kept"]


def test_a_damaged_ledger_is_left_alone_and_calls_wait(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this was a database " * 500)
    ledger = Ledger(path)
    ledger.record(call(id="waits"))
    with pytest.raises(LedgerUnusable) as caught:
        ledger.calls()
    assert "is damaged; it was not changed" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"this was a database " * 500
    path.rename(tmp_path / "aside.db")
    assert [row.id for row in Ledger(path).calls()] == ["waits"]


def test_a_locked_ledger_says_so_and_calls_wait(ledger: Ledger) -> None:
    ledger.record(call(id="first"))
    ledger.flush()
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ledger.record(call(id="second"))
    done = threading.Timer(30, other.close)
    with pytest.raises(LedgerUnusable, match="is locked by another program"):
        ledger.calls()
    done.cancel()
    other.execute("ROLLBACK")
    other.close()
    assert len(ledger.calls()) == 2


def test_a_folder_that_takes_no_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(LedgerUnusable, match="a call cannot be recorded"):
        Ledger(tmp_path / "ledger.db").record(call())


def test_a_newer_ledger_is_refused_and_an_older_one_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).flush()
    Ledger(path).calls()
    for version, said in (("99", "written by a newer genai"), ("0", "`genai upgrade`")):
        with sqlite3.connect(path) as db:
            db.execute("UPDATE meta SET value = ? WHERE key = 'version'", (version,))
        with pytest.raises(LedgerUnusable, match=said):
            Ledger(path).calls()
    assert Ledger(path).upgrade() == 1
    assert Ledger(path).upgrade() == 0
    assert Ledger(path).calls() == []


@pytest.mark.parametrize(("mode", "kept"), [("none", False), ("feedback", False), ("all", True)])
def test_content_is_kept_only_where_configured(tmp_path: Path, mode: str, kept: bool) -> None:
    ledger = Ledger(tmp_path / "ledger.db", content=mode)
    ledger.record(call(), question="my quaint question", answer="my odd answer")
    ledger.flush()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert (b"quaint question" in stored) is kept
    assert (b"odd answer" in stored) is kept


def test_a_thumb_keeps_its_turn_only_with_the_tick(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db", content="feedback")
    ledger.feedback("a", False, reason="wrong", comment="private words", turn=("q-one", "a-one"))
    ledger.feedback("b", True, comment="fine words", turn=("q-two", "a-two"), consent=True)
    assert ledger.thumbs("a") == [False]
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"private words" not in stored
    assert b"q-one" not in stored
    assert b"fine words" in stored
    assert b"q-two" in stored


# -- prices: the worked examples, to the last digit ------------------------------------------------


@pytest.fixture(scope="module")
def prices() -> Prices:
    text = (ROOT / "configs" / "prices.yaml").read_text(encoding="utf-8")
    return Prices.read(parse_yaml(text, "configs/prices.yaml"), "configs/prices.yaml")


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("gpt-4o-mini", Usage(1000, 500, 0, "provider"), "0.00045"),
        ("openai/gpt-4o", Usage(2006, 300, 1920, "provider"), "0.005615"),
        ("text-embedding-3-small", Usage(123457, 0, 0, "provider"), "0.00246914"),
    ],
)
def test_the_worked_examples(prices: Prices, model: str, usage: Usage, cost: str) -> None:
    found = prices.cost(model, usage)
    assert found.amount == Decimal(cost)
    assert found.status is CostStatus.PRICED


def test_each_status_is_reached(prices: Prices) -> None:
    used = Usage(10, 10, 0, "provider")
    assert prices.cost("extractive", used).status is CostStatus.DECLARED_FREE
    assert prices.cost("extractive", used).amount == 0
    assert prices.cost("no/such-model", used).status is CostStatus.UNPRICED
    assert prices.cost("no/such-model", used).amount is None
    assert prices.cost("gpt-4o", Usage(10, 10, 0, "counted")).status is CostStatus.ESTIMATED
    assert prices.cost("gpt-4o", Usage()).status is CostStatus.UNPRICED


def test_a_model_we_do_not_list_is_priced_from_litellms_file_without_importing_it() -> None:
    code = (
        "import sys; from genai.ledger import Prices; from genai.types import Usage\n"
        "cost = Prices.read({}, 'x').cost('openai/gpt-5-mini', Usage(10**6, 0, 0, 'provider'))\n"
        "assert cost.amount > 0 and cost.status == 'priced', cost\n"
        "assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"models": {"x": {"input": 0.1}}}, "must be a quoted decimal"),
        ({"models": {"x": {"input": "-1"}}}, "must be a quoted decimal"),
        ({"models": {"x": {"inputs": "1"}}}, "`inputs` of `x` is not a rate"),
        ({"model": {}}, "`model` is not a setting"),
    ],
)
def test_a_wrong_price_names_the_model(data: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Prices.read(data, "configs/prices.yaml")

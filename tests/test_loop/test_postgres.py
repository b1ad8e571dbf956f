"""The queue on a PostgreSQL server: reviewers on several machines share it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from loops import say
from postgres import binaries, new_database, postgres

from genai.errors import InputError
from genai.ledger import Ledger
from genai.loop import LoopSettings, Queue

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL: apt install postgresql")


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield new_database(server)


def test_reviewers_who_share_a_server_decide_once(url: str, tmp_path: Path) -> None:
    made: list[Ledger] = []

    def opened(name: str) -> Queue:
        made.append(Ledger(tmp_path / name / "ledger.db", url=url, content="feedback"))
        return Queue(made[-1], LoopSettings(days=36_500))

    first = opened("a")
    tags = {"support": 0.2}
    say(first.ledger, "c1", "How long may I return a lamp?", value=False, tags=tags)
    say(first.ledger, "c2", "How long may I return a lamp", value=False, at=5, session="s")
    assert first.refresh().new == 1
    (item,) = opened("b").items()
    assert (item.why, item.calls, item.consent) == (("thumb", "low_support"), 2, "tick")
    told: list[str] = []

    def decide(name: str) -> None:
        try:
            opened(name).review(item.id, "reject", name)
        except InputError as error:
            told.append(str(error))

    threads = [threading.Thread(target=decide, args=(f"r{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 3
    assert len(first.items("rejected")) == 1
    for ledger in made:
        ledger.database.dispose()

"""Alerts fire on the ledger's figures, once an episode, and reach real receivers on loopback."""

import json
import logging
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from genai.cli import main
from genai.errors import ConfigError
from genai.ledger import Ledger
from genai.reports.alerts import Alert, AlertSettings, due, load_alerts, send
from genai.types import Call, Cost, CostStatus

HOUR = 3600.0
NOW = 20_715 * 86_400.0 + 12 * HOUR  # noon, 19 days into a month
WEEK = 7 * 24 * HOUR


def settings(*rules: dict[str, Any], **sinks: dict[str, Any]) -> AlertSettings:
    return AlertSettings.model_validate(
        {"rules": list(rules), "sinks": {"log": {"kind": "log"}, **sinks}}
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def ask(
    ledger: Ledger, count: int, *, at: float = NOW - 120, seconds: float = 1.0,
    outcome: str = "ok", kind: str = "chain", cost: str = "0.01",
) -> None:  # fmt: skip
    for n in range(count):
        stamp = f"{int(at * 10):012x}{kind[:2].encode().hex()}{outcome[:2].encode().hex()}"
        money = Cost(Decimal(cost), CostStatus.PRICED)
        ledger.record(Call(f"{stamp}{n:08x}", kind, at, seconds, outcome, "m", cost=money))
    ledger.flush()


def fired(given: AlertSettings, ledger: Ledger, memory: Path, now: float = NOW) -> list[str]:
    return [alert.text for alert in due(given, ledger, memory, now=now)]


def test_a_line_fires_once_an_episode_and_again_after_it(ledger: Ledger, tmp_path: Path) -> None:
    rule = {"name": "slow", "figure": "p95_seconds", "above": 5, "cooldown": 6}
    given, memory = settings(rule), tmp_path / "alerts.json"
    ask(ledger, 60, seconds=9)
    assert fired(given, ledger, memory) == ["slow: p95_seconds is 9, above 5 (n 60)"]
    assert fired(given, ledger, memory, NOW + 60) == []
    assert fired(given, ledger, memory, NOW + 0.5 * HOUR) == []
    later = NOW + 2 * HOUR
    assert fired(given, ledger, memory, later) == []  # quiet: the window is empty
    ask(ledger, 60, seconds=9, at=later - 60)
    assert len(fired(given, ledger, memory, later)) == 1  # a new episode
    memory.write_text("not json")
    assert len(fired(given, ledger, memory, later)) == 1  # once too often, never lost


def test_few_questions_are_no_alarm(ledger: Ledger, tmp_path: Path) -> None:
    given = settings({"name": "slow", "figure": "p95_seconds", "above": 5})
    assert fired(given, ledger, tmp_path / "m") == []
    ask(ledger, 29, seconds=9)
    assert fired(given, ledger, tmp_path / "m") == []


def test_a_burning_error_budget_needs_both_windows(ledger: Ledger, tmp_path: Path) -> None:
    given = settings({"name": "burn", "figure": "error_share", "hours": 1, "slo": 0.99})
    ask(ledger, 80, at=NOW - 50 * 60)
    ask(ledger, 40, at=NOW - 40 * 60, outcome="error")
    ask(ledger, 10, at=NOW - 60)
    assert fired(given, ledger, tmp_path / "m") == []  # it is over already
    ask(ledger, 10, at=NOW - 90, outcome="error")
    (text,) = fired(given, ledger, tmp_path / "m")
    assert "burns the error budget of 99.00% at 35.7 times the pace" in text


def test_what_is_usual_at_this_hour_is_no_alarm(ledger: Ledger, tmp_path: Path) -> None:
    rule = {"name": "rush", "figure": "questions", "hours": 2, "unusual": 4, "least": 10}
    given = settings(rule)
    for back, count in ((1, 100), (2, 110), (3, 95), (4, 105)):
        ask(ledger, count, at=NOW - back * WEEK - 60)
    ask(ledger, 108)
    assert fired(given, ledger, tmp_path / "m") == []
    ask(ledger, 200, at=NOW - 200)
    (text,) = fired(given, ledger, tmp_path / "m")
    assert "the middle of 4 weeks" in text
    assert fired(given, Ledger(tmp_path / "new" / "ledger.db"), tmp_path / "n") == []


def test_a_budget_is_judged_by_its_pace(ledger: Ledger, tmp_path: Path) -> None:
    given = settings({"name": "money", "figure": "cost", "budget": 1000, "least": 10})
    ask(ledger, 50, at=NOW - 3 * 86_400, kind="model", cost="8.00")
    assert fired(given, ledger, tmp_path / "m") == []
    ask(ledger, 50, kind="model", cost="8.00")
    (text,) = fired(given, ledger, tmp_path / "m")
    assert "$800.00 this month" in text
    assert "the budget is $1000.00" in text


class _Hook(BaseHTTPRequestHandler):
    heard: list[dict[str, Any]]
    status = 200

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    heard: list[dict[str, Any]] = []
    handler = type("Handler", (_Hook,), {"heard": heard, "status": status})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """A mail server that speaks just enough SMTP to take one message a connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    taken: list[str] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as file:
                file.write(b"220 loopback\r\n")
                file.flush()
                body: list[bytes] = []
                inside = False
                for line in file:
                    if inside and line == b".\r\n":
                        taken.append(b"".join(body).decode())
                        inside, answer = False, b"250 kept\r\n"
                    elif inside:
                        body.append(line)
                        continue
                    elif line.upper().startswith(b"DATA"):
                        inside, answer = True, b"354 go on\r\n"
                    else:
                        answer = (
                            b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n"
                        )
                    file.write(answer)
                    file.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], taken
    finally:
        listener.close()
        thread.join(5)


ALERT = Alert("slow", 9.0, 60, "slow: p95_seconds is 9, above 5 (n 60)", NOW)


def test_every_kind_of_sink_is_reached(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with webhook() as (url, heard), mail_server() as (port, taken):
        monkeypatch.setenv("HOOK", url)
        given = settings(
            {"name": "slow", "figure": "p95_seconds", "above": 5, "to": ["log", "chat", "mail"]},
            chat={"kind": "webhook", "url_env": "HOOK"},
            mail={"kind": "email", "host": "127.0.0.1", "port": port, "sender": "a@x.test",
                  "receivers": ["b@x.test"]},
        )  # fmt: skip
        with caplog.at_level(logging.WARNING, "genai.alerts"):
            assert send(given, [ALERT]) == []
    assert heard == [{"text": ALERT.text, "rule": "slow", "value": 9.0, "n": 60, "at": NOW}]
    assert "Subject: [genai] slow" in taken[0]
    assert ALERT.text in taken[0]
    assert ALERT.text in caplog.text


def test_a_sink_that_fails_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # takes the connection and never answers
    with webhook(500) as (broken, _), webhook() as (good, heard):
        monkeypatch.setenv("HANGS", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        monkeypatch.setenv("BROKEN", broken)
        monkeypatch.setenv("GOOD", good)
        monkeypatch.setenv("FILE", "file:///etc/passwd")
        names = ["hangs", "broken", "unset", "file", "good"]
        hooks = {
            name: {"kind": "webhook", "url_env": name.upper(), "timeout": 0.3} for name in names
        }
        rule = {"name": "slow", "figure": "p95_seconds", "above": 5, "to": names}
        problems = send(settings(rule, **hooks), [ALERT])
    silent.close()
    assert len(heard) == 1
    assert len(problems) == 4
    assert "did not reach `unset`: `sinks.unset.url_env` names no set environment" in problems[2]
    assert "must begin with http://" in problems[3]
    assert not any("127.0.0.1" in problem for problem in problems)


@contextmanager
def odd_server(answer: bytes, pause: float) -> Iterator[str]:
    """Answers every connection byte by byte, whatever is asked."""
    listener, done = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                for byte in answer:
                    if done.wait(pause):
                        return
                    try:
                        connection.sendall(bytes([byte]))
                    except OSError:
                        break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def test_a_receiver_that_drips_or_talks_nonsense_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    endless = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000
    with odd_server(endless, 0.1) as drips, odd_server(b"nonsense\r\n\r\n", 0.0) as nonsense:
        monkeypatch.setenv("DRIPS", drips)
        monkeypatch.setenv("NONSENSE", nonsense)
        hooks = {
            name: {"kind": "webhook", "url_env": name.upper(), "timeout": 0.4}
            for name in ("drips", "nonsense")
        }
        rule = {"name": "slow", "figure": "p95_seconds", "above": 5, "to": list(hooks)}
        started = time.perf_counter()
        problems = send(settings(rule, **hooks), [ALERT])
        assert time.perf_counter() - started < 5
    assert problems[0] == "alert `slow` did not reach `drips`: no end after 0.8 s"
    assert problems[1] == "alert `slow` did not reach `nonsense`: BadStatusLine"


def test_another_currency_is_no_dollar_and_an_empty_ledger_no_alarm(
    ledger: Ledger, tmp_path: Path
) -> None:
    given = settings(
        {"name": "money", "figure": "cost", "above": 5, "least": 1},
        {"name": "unknown", "figure": "unpriced_share", "above": 0.5, "least": 1},
    )
    assert fired(given, ledger, tmp_path / "m") == []
    yen = Cost(Decimal(1000), CostStatus.PRICED, currency="JPY")
    ledger.record(Call("1" * 28, "chain", NOW - 60, 1.0, "ok", "m", cost=yen))
    ledger.flush()
    (text,) = fired(given, ledger, tmp_path / "m")
    assert text == "unknown: unpriced_share is 1, above 0.5 (n 1)"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "x", "figure": "p95_second", "above": 1}, "did you mean `p95_seconds`?"),
        ({"name": "x", "figure": "cost"}, "give one of `above`, `below`, `slo`"),
        ({"name": "x", "figure": "cost", "above": 1, "below": 2}, "give one of"),
        ({"name": "x", "figure": "cost", "above": 1, "to": ["pager"]}, "tells `pager`"),
        ({"name": "x", "figure": "cost", "abov": 1}, "did you mean `above`?"),
        ({"name": "x", "figure": "cost", "above": float("nan")}, "`rules.0.above`"),
        ({"name": "x", "figure": "cost", "above": 1, "hours": -1}, "`rules.0.hours`"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, rule: dict[str, Any], said: str) -> None:
    path = tmp_path / "configs" / "alerts.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"rules": [rule]}))
    with pytest.raises(ConfigError) as caught:
        load_alerts(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith("configs/alerts.yaml")


def test_the_shipped_rules_are_judged_and_tested_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import genai

    source = Path(genai.__file__).parent.parent / "configs" / "alerts.yaml"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "genai.yaml").write_text("version: 1\n")
    (tmp_path / "configs" / "alerts.yaml").write_text(source.read_text())
    monkeypatch.chdir(tmp_path)
    assert main(["alerts"]) == 0
    assert re.search(r"5 rules judged, 0 fired", capsys.readouterr().out)
    assert main(["alerts", "--test"]) == 0
    assert "told 1 sinks" in capsys.readouterr().out
    assert main(["alerts", "test"]) == 0
    assert "told 1 sinks" in capsys.readouterr().out

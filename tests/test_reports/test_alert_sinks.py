"""Alerts reach real receivers on loopback, whatever the other receivers do."""

import base64
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_string
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from certificates import make_certificate, serving

from genai.cli import main
from genai.project import init
from genai.reports.alerts import Alert, AlertSettings, send

NOW = 20_715 * 86_400.0
ALERT = Alert("slow", 9.0, 60, "slow: p95_seconds is 9, above 5 (n 60)", NOW)


def settings(**sinks: dict[str, Any]) -> AlertSettings:
    return AlertSettings.model_validate({"sinks": {"log": {"kind": "log"}, **sinks}})


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


class _Mail:
    """A mail server that speaks just enough SMTP; with a `context` it offers STARTTLS."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.taken: list[str] = []
        self.safe: list[bool] = []  # whether each message came over TLS
        self.known: list[tuple[bool, str]] = []  # who logged in, and whether over TLS
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._talk(connection, b"220 loopback\r\n", safe=False)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _talk(self, connection: socket.socket, hello: bytes, *, safe: bool) -> None:
        more = b"STARTTLS" if self._context and not safe else b"AUTH PLAIN"
        offer = b"250-ok\r\n250 " + more + b"\r\n"
        body: list[bytes] = []
        inside = False
        with connection.makefile("rwb") as file:
            file.write(hello)
            file.flush()
            for line in file:
                word, answer = line.upper().split()[:1], b"250 ok\r\n"
                if inside and line != b".\r\n":
                    body.append(line)
                    continue
                if inside:
                    self.taken.append(b"".join(body).decode())
                    self.safe.append(safe)
                    inside = False
                elif word == [b"DATA"]:
                    inside, answer = True, b"354 go on\r\n"
                elif word == [b"EHLO"]:
                    answer = offer
                elif word == [b"AUTH"]:
                    said = base64.b64decode(line.split()[2]).decode()
                    self.known.append((safe, said))
                    good = said == "\0genai\0a long password"
                    answer = b"235 welcome\r\n" if good else b"535 no\r\n"
                elif word in ([b"STARTTLS"], [b"QUIT"]):
                    answer = b"220 go on\r\n" if word == [b"STARTTLS"] else b"221 bye\r\n"
                file.write(answer)
                file.flush()
                if word == [b"STARTTLS"] and self._context:
                    with self._context.wrap_socket(connection, server_side=True) as inner:
                        return self._talk(inner, b"", safe=True)


@contextmanager
def mail_server(context: ssl.SSLContext | None = None) -> Iterator[_Mail]:
    mail = _Mail(context)
    thread = threading.Thread(target=mail.serve, daemon=True)
    thread.start()
    try:
        yield mail
    finally:
        mail.close()
        thread.join(5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def mail(port: int, **more: Any) -> dict[str, Any]:
    return {"kind": "email", "host": "127.0.0.1", "port": port, "sender": "a@x.test",
            "receivers": ["b@x.test"], **more}  # fmt: skip


def told(given: AlertSettings, *names: str) -> list[str]:
    return send(given, [replace(ALERT, to=names)])


def test_every_kind_of_sink_is_reached(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with webhook() as (url, heard), mail_server() as server:
        monkeypatch.setenv("HOOK", url)
        given = settings(chat={"kind": "webhook", "url_env": "HOOK"}, mail=mail(server.port))
        with caplog.at_level(logging.WARNING, "genai.alerts"):
            assert told(given, "log", "chat", "mail") == []
    taken = server.taken
    assert heard == [{"text": ALERT.text, "rule": "slow", "value": 9.0, "n": 60, "at": NOW}]
    assert "Subject: [genai] slow" in taken[0]
    assert ALERT.text in taken[0]
    assert ALERT.text in caplog.text


def test_mail_is_dated_and_each_has_an_id_of_its_own() -> None:
    with mail_server() as server:
        given = settings(mail=mail(server.port), named=mail(server.port, sender="Ops <a@y.test>"),
                         odd=mail(server.port, sender="genai"))  # fmt: skip
        before = datetime.now(UTC).replace(microsecond=0)
        assert told(given, "mail", "mail", "named", "odd") == []
    read = [message_from_string(each) for each in server.taken]
    assert all(before <= parsedate_to_datetime(each["Date"]) <= datetime.now(UTC) for each in read)
    ids = [each["Message-ID"] for each in read]
    assert len(set(ids)) == 4
    assert [each.rpartition("@")[2] for each in ids] == ["x.test>", "x.test>", "y.test>",
                                                         "localhost>"]  # fmt: skip


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
        problems = told(settings(**hooks), *names)
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
                with suppress(OSError):  # what is left unread at a close would reset the connection
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass

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
    endless = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000
    with odd_server(endless, 0.1) as drips, odd_server(b"nonsense\r\n\r\n", 0.0) as nonsense:
        monkeypatch.setenv("DRIPS", drips)
        monkeypatch.setenv("NONSENSE", nonsense)
        hooks = {
            name: {"kind": "webhook", "url_env": name.upper(), "timeout": 0.4}
            for name in ("drips", "nonsense")
        }
        started = time.perf_counter()
        problems = told(settings(**hooks), *hooks)
        assert time.perf_counter() - started < 5
    assert problems[0] == "alert `slow` did not reach `drips`: no end after 0.8 s"
    assert problems[1] == "alert `slow` did not reach `nonsense`: BadStatusLine"


def test_mail_goes_over_tls_to_a_server_that_is_vouched_for(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(serving(certificate)) as server:
        given = settings(mail=mail(server.port, tls=True))
        assert told(given, "mail") == [
            "alert `slow` did not reach `mail`: SSLCertVerificationError"
        ]
        assert server.taken == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert told(given, "mail") == []
        assert server.safe == [True]
        assert ALERT.text in server.taken[0]
    with mail_server() as plain:  # a server without TLS is told nothing in the clear
        (problem,) = told(settings(mail=mail(plain.port, tls=True)), "mail")
        assert "SMTPNotSupportedError" in problem
        assert plain.taken == []


def test_mail_logs_in_over_tls_with_what_the_environment_holds(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MAIL_USER", "genai")
    with mail_server(serving(certificate)) as server:
        given = settings(
            mail=mail(server.port, tls=True, user_env="MAIL_USER", password_env="MAIL_PASSWORD")
        )
        assert (
            "`sinks.mail.password_env` names no set environment variable" in told(given, "mail")[0]
        )
        monkeypatch.setenv("MAIL_PASSWORD", "wrong")
        assert told(given, "mail") == ["alert `slow` did not reach `mail`: SMTPAuthenticationError"]
        monkeypatch.setenv("MAIL_PASSWORD", "a long password")
        assert told(given, "mail") == []
    assert server.known[-1] == (True, "\0genai\0a long password")
    assert len(server.taken) == 1
    with pytest.raises(ValueError, match="would send a password in the clear; set `tls: true`"):
        settings(mail={**mail(25, user_env="U", password_env="P"), "host": "mail.test"})
    with pytest.raises(ValueError, match="`user_env` and `password_env` go together"):
        settings(mail=mail(25, user_env="U"))


def test_a_mail_server_that_hangs_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # never says hello
        started = time.perf_counter()
        (problem,) = told(settings(mail=mail(silent.getsockname()[1], timeout=0.3)), "mail")
    assert time.perf_counter() - started < 5
    assert problem == "alert `slow` did not reach `mail`: TimeoutError"


def test_the_test_of_the_command_line_reaches_all_but_the_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "configs" / "alerts.yaml"
    with webhook(503) as (broken, _), webhook() as (url, heard), mail_server() as server:
        monkeypatch.setenv("BROKEN", broken)
        monkeypatch.setenv("HOOK", url)
        sinks = {
            "broken": {"kind": "webhook", "url_env": "BROKEN"},
            "chat": {"kind": "webhook", "url_env": "HOOK"}, "mail": mail(server.port),
        }  # fmt: skip
        path.write_text(yaml.safe_dump({"sinks": sinks, "rules": []}))
        assert main(["alerts", "test"]) == 64
        err = capsys.readouterr().err
        assert err == "alert `test` did not reach `broken`: HTTPError\n"
        assert [each["rule"] for each in heard] == ["test"]
        assert "Subject: [genai] test" in server.taken[0]
        path.write_text(yaml.safe_dump({"sinks": {"chat": sinks["chat"]}, "rules": []}))
        assert main(["alerts", "test"]) == 0
        assert "told 1 sinks" in capsys.readouterr().out

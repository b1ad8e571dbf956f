"""Tell of alerts: to the log, a webhook or by mail. A sink that fails or hangs stops no other."""

import http.client
import json
import logging
import os
import smtplib
import ssl
import threading
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

from genai.errors import ConfigError, InputError
from genai.reports.alerts import memory as told
from genai.reports.alerts.judge import Alert
from genai.reports.alerts.rules import AlertSettings, Sink

log = logging.getLogger("genai.alerts")


def send(settings: AlertSettings, alerts: Sequence[Alert], memory: Path | None = None) -> list[str]:
    """Tell every alert to its sinks; give one line for each that could not be reached.

    What a sink has taken is kept in `memory`, after it was taken: the others are told the next
    time, and a process that ends in between tells once too often rather than never. So does a
    `memory` that cannot be written, which is one line too.
    """
    problems = []
    for alert in alerts:
        for name in alert.to:
            said = _tell(name, settings.sinks[name], alert)
            if said:
                problems.append(f"alert `{alert.rule}` did not reach `{name}`: {said}")
            elif memory is not None:
                try:
                    told.add(memory, alert.episode, name, alert.at)
                except InputError as error:
                    problems.append(f"alert `{alert.rule}` will be told to `{name}` again: {error}")
    return problems


def _tell(name: str, sink: Sink, alert: Alert) -> str:
    """Tell one sink; give what went wrong. A receiver that answers drop by drop is left alone.

    The time limit of a socket begins anew with every byte, so the whole is limited here.
    """
    trouble: list[str] = []

    def work() -> None:
        try:
            _SENDERS[sink.kind](name, sink, alert)
        except ConfigError as error:
            trouble.append(str(error))
        except (OSError, smtplib.SMTPException, http.client.HTTPException, ValueError) as error:
            hung = isinstance(error.__context__, TimeoutError)  # as smtplib hides it
            trouble.append("TimeoutError" if hung else type(error).__name__)

    thread = threading.Thread(target=work, name=f"genai-alert-{name}", daemon=True)
    thread.start()
    thread.join(2 * sink.timeout)
    if thread.is_alive():
        return f"no end after {2 * sink.timeout:g} s"
    return trouble[0] if trouble else ""


def _log(name: str, sink: Sink, alert: Alert) -> None:
    log.warning("%s", alert.text)


def _webhook(name: str, sink: Sink, alert: Alert) -> None:
    url = _secret(name, "url_env", sink.url_env)
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"the URL in {sink.url_env} must begin with http:// or https://; mend it")
    said = {key: getattr(alert, key) for key in ("text", "rule", "value", "n", "at")}
    body = json.dumps(said, allow_nan=False).encode()
    request = urllib.request.Request(  # the scheme is checked above
        url, body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=sink.timeout) as reply:  # as above
        reply.read(1024)


def _email(name: str, sink: Sink, alert: Alert) -> None:
    if not sink.receivers or not sink.sender:
        raise ConfigError(
            f"`sinks.{name}` needs `sender` and `receivers`; set them in configs/alerts.yaml"
        )
    message = EmailMessage()
    message["Subject"] = f"[genai] {alert.rule}"[:200].replace("\n", " ")
    message["From"], message["To"] = sink.sender, ", ".join(sink.receivers)
    # without these two a filter takes it for spam, and a reader sorts it by its arrival
    message["Date"] = format_datetime(datetime.now(UTC))
    domains = [each.domain for each in message["From"].addresses if each.domain]
    message["Message-ID"] = make_msgid(domain=(*domains, "localhost")[0])
    message.set_content(alert.text)
    with smtplib.SMTP(sink.host, sink.port, timeout=sink.timeout) as server:
        if sink.tls:
            server.starttls(context=ssl.create_default_context())  # bare, it trusts anybody
        if sink.user_env:
            server.login(
                _secret(name, "user_env", sink.user_env),
                _secret(name, "password_env", sink.password_env),
            )
        server.send_message(message)


def _secret(name: str, key: str, variable: str) -> str:
    found = os.environ.get(variable, "") if variable else ""
    if not found:
        raise ConfigError(f"`sinks.{name}.{key}` names no set environment variable; export it")
    return found


_SENDERS = {"log": _log, "webhook": _webhook, "email": _email}

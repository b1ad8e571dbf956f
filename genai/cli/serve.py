"""`genai serve [NAME=TASK ...]`: OpenAI's chat protocol for the chain, models and adapters."""

import argparse
import os
from typing import Any

import genai
from genai.cli import free_port
from genai.reports.monitor import monitor
from genai.reports.monitor_text import prometheus
from genai.server import serve
from genai.server.app import Tasks
from genai.wiring.tasks import open_served

_KEY = "GENAI_SERVER_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("tasks", nargs="*", metavar="NAME=TASK",
                        help="chain, a model's name, or package.module:function")  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address (of this machine alone)")
    parser.add_argument("--port", type=int, default=8010, help="where to listen (8010)")


def run(options: argparse.Namespace) -> int:
    """Serve what was named (default: the chain), every promoted adapter by its name, and /metrics.

    The figures of /metrics are those of `genai report monitor`.
    """
    key = os.environ.get(_KEY, "")
    if options.host not in ("127.0.0.1", "localhost", "::1") and not key:
        raise genai.InputError(
            f"serve: {options.host} can be reached from elsewhere; set {_KEY} to a long random key"
        )
    fixed = dict(_named(each) for each in options.tasks or ["chain=chain"])
    tasks = Tasks(fixed, _Promoted())
    free_port(options.host, options.port)
    names = ", ".join(sorted(tasks))
    print(f"serving {names} at http://{options.host}:{options.port}/v1  (end it with Ctrl-C)",
          flush=True)  # fmt: skip
    serve(tasks, host=options.host, port=options.port, key=key, metrics=_metrics)
    return 0


def _metrics() -> str:
    return prometheus(monitor(genai.open_ledger()))


def _named(given: str) -> tuple[str, Any]:
    name, _, task = given.partition("=")
    if not name or not task:
        raise genai.InputError(f"serve: {given!r} is not NAME=TASK, such as support=chain")
    return name, open_served(task)


class _Promoted:
    """Adapters as they are now: one promoted since the start is served without a restart."""

    def __init__(self) -> None:
        self._open: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        folder = genai.find_project().state / "adapters"
        names = [each.name for each in folder.glob("[!.]*") if each.is_dir()]
        for name in names:
            if name not in self._open:
                self._open[name] = genai.model(f"local/{folder / name}")
        return {name: self._open[name] for name in names}

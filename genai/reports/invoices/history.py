"""How far off the ledger was, period by period: what a reconciliation leaves behind."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genai.errors import InputError, shown
from genai.project import write_whole
from genai.reports.invoices.compare import Reconciliation

_NEEDED = {"provider", "first", "last", "error", "low", "high"}


def track(path: Path, found: Reconciliation) -> list[str]:
    """Keep how far off the ledger was, and give the history, a line a period, oldest first.

    A period that is reconciled again takes the place of its earlier figure.

    Raises:
        InputError: the history is damaged, or cannot be written.
    """
    held = {(one["provider"], one["first"], one["last"]): one for one in _kept(path)}
    key = (found.provider, found.first.isoformat(), found.last.isoformat())
    held[key] = {
        "provider": key[0], "first": key[1], "last": key[2], "billed": str(found.billed),
        "booked": str(found.booked), "error": found.error, "low": found.low, "high": found.high,
        "calls": found.calls, "unpriced": found.unpriced, "at": time.time(),
    }  # fmt: skip
    rows = sorted(held.values(), key=lambda each: (each["provider"], each["first"], each["last"]))
    write_whole(path, "".join(json.dumps(each) + "\n" for each in rows))
    return [_past(each) for each in rows if each["provider"] == found.provider]


def newest_error(path: Path) -> float | None:
    """Give the greatest share, either way, by which a provider's newest period was off.

    None where nothing was reconciled yet, or no share is known. Raises `InputError`.
    """
    newest = {one["provider"]: one["error"] for one in _kept(path)}  # the newest comes last
    known = [abs(each) for each in newest.values() if isinstance(each, float)]
    return max((each for each in known if math.isfinite(each)), default=None)


def _kept(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not all(_NEEDED <= one.keys() for one in found):
            raise ValueError("a period without its figures")
        return found
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{shown(path)}: is damaged ({error}); move it away and reconcile the bills again"
        ) from error


def _past(each: Mapping[str, object]) -> str:
    def share(name: str) -> str:
        value = each[name]
        return f"{value:+.2%}" if isinstance(value, float) and math.isfinite(value) else "-"

    bar = f" (95 % {share('low')} to {share('high')})" if each["low"] is not None else ""
    return f"{each['first']} to {each['last']}: {share('error')}{bar}"

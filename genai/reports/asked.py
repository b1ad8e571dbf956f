"""The questions of a period as drift compares them: with what other rows say of each."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from genai.ledger import Ledger
from genai.ledger.outcomes import last_thumbs
from genai.types import Call

_ONLINE = "online"  # the suite of verdicts on live answers
DOWN, THUMB, FINGERPRINT, FINISH = "thumbs down", "thumbs", "fingerprint", "finish reason"


def outside_runs(calls: Iterable[Call]) -> list[Call]:
    """Keep what people asked; nobody asked what an eval run asks."""
    return [call for call in calls if not call.context.run]


def answering(calls: Iterable[Call]) -> dict[tuple[str, str], Call]:
    """Give what answered by question and prompt, of model calls that come the newest first.

    What rewrites, reranks or judges for a question has a prompt of its own; a question that names
    no prompt has the newest call of all.
    """
    found: dict[tuple[str, str], Call] = {}
    for call in calls:
        for prompt in {call.context.prompt_id, ""}:
            found.setdefault((call.context.parent_id, prompt), call)
    return found


def asked(ledger: Ledger, since: float, until: float) -> list[Call]:
    """Give the questions people asked between two Unix times; those of eval runs are left out.

    Beside its own tags each has, where they are known: the `fingerprint` (the model that the
    provider names) and the `finish reason` of the call that answered, whether it got `thumbs`,
    whether those were `thumbs down`, and the values of online evals as `online METRIC`.
    """
    between: dict[str, Any] = {"limit": 10**9, "since": since, "until": until}
    parts = answering(ledger.calls(kind="model", **between))
    judged: dict[str, dict[str, float]] = {}
    for call in ledger.calls(limit=10**9, since=since, kind="eval"):
        if call.tags.get("suite") == _ONLINE:
            judged.setdefault(call.context.parent_id, _numbers(call.tags))
    thumbs = last_thumbs(ledger, since)
    found = []
    for chain in outside_runs(ledger.calls(kind="chain", **between)):
        tags: dict[str, Any] = {**chain.tags, **judged.get(chain.id, {})}
        part = parts.get((chain.id, chain.context.prompt_id))
        if part is not None:
            tags |= {FINGERPRINT: part.response_model or part.model, FINISH: part.finish_reason}
        tags[THUMB] = float(chain.id in thumbs)
        if chain.id in thumbs:
            tags[DOWN] = float(not thumbs[chain.id])
        found.append(replace(chain, tags={k: v for k, v in tags.items() if v != ""}))
    return found


def _numbers(tags: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{_ONLINE} {name}": float(value)
        for name, value in tags.items()
        if isinstance(value, int | float)
    }

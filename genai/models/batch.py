"""Batches: many requests in one file, answered within a day at half the price, through the SDK.

    batch = genai.batch("openai/gpt-5-mini")
    number = batch.submit({"case-1": "Hello?", "case-2": "Bye?"})
    replies = batch.replies(number)        # None until it has ended, then a dict by your ids

Each reply is a ledger row priced with the tier `batch`. Its id follows from the batch and your id,
so fetching twice books once. What the dearest replies would cost is held by the budgets from
`submit` on, until `replies` settles it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from genai.errors import InputError, ModelError
from genai.ledger import merged
from genai.models import address, wire
from genai.models.attempts import Hooks, counted
from genai.models.base import Delta, Prompted, as_messages, refuse_choices
from genai.models.sdk import SDK, package
from genai.types import UNKNOWN_COST, Call, Context, Cost, CostStatus, Reply, Usage, new_id

_ENDED = {"completed", "expired", "cancelled", "failed"}
_LEASE = 48 * 3600.0  # seconds a batch's money is held: it has a day, and someone must fetch it
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError, msgspec.DecodeError)
_MARK = "genai_reservation"  # the server keeps it with the batch, so any process can settle


class Batch:
    """Sends batches to one model of an OpenAI-compatible server and fetches their replies."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key_env: str | None = None,
        client: Any = None,
        hooks: Hooks | None = None,
    ) -> None:
        owner, _, rest = name.partition("/")
        if owner != "openai" or not rest:
            raise ModelError(
                f"model {address.bare(name)!r}: only `openai/NAME[@URL]` takes batches; call it"
                " directly",
                "unknown_model",
            )
        self.name = name.partition("@")[0]
        self._model, _, given = rest.partition("@")
        self._key = api_key_env or "OPENAI_API_KEY"
        self._url = given or base_url
        self._own = client
        self._hooks = hooks or Hooks()
        # names the SDK's errors in our words
        self._sdk = SDK(self._model, client=client, base_url=self._url, api_key_env=self._key)

    def submit(
        self, prompts: Mapping[str, Prompted], context: Context | None = None, **params: Any
    ) -> str:
        """Upload the requests and start the batch; gives its id. `params` go to every request.

        Raises:
            InputError: no prompts.
            BudgetExceeded: a budget does not cover the dearest replies.
            ModelError: the server refused the file or the batch.
        """
        if not prompts:
            raise InputError("batch: no prompts; give at least one")
        refuse_choices(self.name, params)
        lines, context = [], merged(context)
        worst: list[Decimal | None] = []
        for key, prompt in prompts.items():
            messages = as_messages(prompt)
            body = wire.request(self._model, messages, params)
            request = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions"}
            lines.append(wire.encode({**request, "body": body}))
            if self._hooks.budgets is not None:
                worst.append(self._hooks.worst(self.name, messages, params).amount)
        mark = self._reserve(context, worst)

        def start(client: Any) -> Any:
            file = client.files.create(file=("batch.jsonl", b"\n".join(lines)), purpose="batch")
            return client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h",
                **({"metadata": {_MARK: mark}} if mark else {}),
            )  # fmt: skip

        try:
            return str(self._ask(start).id)
        except ModelError:
            self._settle(mark, Decimal(0))
            raise

    def status(self, number: str) -> str:
        """Give the server's word for where the batch is, such as `in_progress`."""
        return str(self._get(number).status)

    def cancel(self, number: str) -> None:
        """Ask the server to stop; what was answered by then is still fetched and billed."""
        self._ask(lambda client: client.batches.cancel(number))

    def replies(
        self, number: str, context: Context | None = None
    ) -> dict[str, Reply | ModelError] | None:
        """Give what each request got, by your ids; None while the batch runs.

        A request that failed or expired is a `ModelError`, with its row in the ledger.
        """
        found = self._get(number)
        if found.status not in _ENDED:
            return None
        mark = (getattr(found, "metadata", None) or {}).get(_MARK, "")
        if found.status == "failed" and not found.output_file_id:
            self._settle(mark, Decimal(0))
            said = getattr(getattr(found, "errors", None), "data", None) or ()
            codes = ", ".join(str(each.code) for each in said) or "no reason given"
            raise ModelError(
                f"batch {number}: the server refused it ({codes}); mend and submit it again",
                "bad_request",
            )
        replies: dict[str, Reply | ModelError] = {}
        where = merged(context)
        took = float((found.completed_at or found.created_at) - found.created_at)
        for file in (found.output_file_id, found.error_file_id):
            if not file:
                continue
            text = self._ask(partial(_content, file))
            for line in filter(str.strip, text.splitlines()):
                key, reply = self._read(number, line, where, found.created_at, took)
                replies[key] = reply
        costs = [reply.cost.amount for reply in replies.values() if isinstance(reply, Reply)]
        self._settle(mark, _total(costs))
        return replies

    def _read(
        self, number: str, line: str, context: Context, began: float, took: float
    ) -> tuple[str, Reply | ModelError]:
        try:
            given = json.loads(line)
            key, response = str(given["custom_id"]), given.get("response") or {}
            said = Delta()
            if answered := response.get("status_code") == 200:
                body = response["body"]
                said = wire.read(json.dumps({**body, "choices": [body["choices"][0]]}))
        except wire.ServerSaid:  # an error where its reply belongs
            answered = False
        except _MALFORMED as error:
            raise ModelError(
                f"batch {number}: its file holds a line that is no reply ({type(error).__name__});"
                " fetch it again",
                "bad_reply",
            ) from error
        mark = hashlib.sha256(f"{number} {key}".encode()).hexdigest()[:28]
        usage, failed = said.usage or Usage(), None
        cost = self._hooks.price(self.name, usage, tier="batch", response_model=said.model)
        if not answered:
            cost = Cost(Decimal(0), CostStatus.DECLARED_FREE, "no reply, not billed")
            failed = self._failed(number, key, given.get("error"), response)
        outcome = "error" if failed else "ok"
        call = Call(
            mark, "model", float(began), took, outcome, self.name, context, usage, cost, "chat",
            "openai", said.model, self._sdk.host, request_id=said.request_id,
            finish_reason=said.finish_reason or outcome,
            reason=failed.kind if failed else "", requested_tier="batch", served_tier="batch",
        )  # fmt: skip
        if self._hooks.record is not None:
            self._hooks.record(call)
        return key, failed or Reply(
            text=said.text, model=self.name, usage=usage, cost=cost, seconds=took,
            finish_reason=call.finish_reason, call_id=mark, response_model=said.model,
            tool_calls=wire.join(said.tools), refusal=said.refusal, logprobs=said.logprobs,
        )  # fmt: skip

    def _failed(self, number: str, key: str, error: object, response: dict[str, Any]) -> ModelError:
        """Say why a request got no reply, and whether it is worth sending as it was."""
        said = response.get("body") or {"error": error}
        status, param = response.get("status_code"), wire.refused_param(said)
        known = [wire.short(said) or "no reply", *([f"`{param}`"] if param else [])]
        mended = isinstance(status, int) and 400 <= status < 500 and status not in (408, 409, 429)
        return ModelError(
            f"model {self.name}: request {key!r} of batch {number} failed ({': '.join(known)});"
            f" {'mend it and send it anew' if mended else 'send it again'}",
            "bad_request" if mended else "server",
            status=status if isinstance(status, int) else None,
            param=param,
        )

    def _reserve(self, context: Context, worst: list[Decimal | None]) -> str:
        """Hold the dearest replies at half price; gives the mark to settle, "" for none."""
        budgets, total = self._hooks.budgets, _total(worst)
        if budgets is None:
            return ""
        cost = UNKNOWN_COST
        if total is not None:
            cost = Cost(total / 2, CostStatus.ESTIMATED, "the dearest replies at half price")
        mark = new_id()
        return mark if budgets.reserve(mark, context, self.name, cost, _LEASE) else ""

    def _settle(self, mark: str, amount: Decimal | None) -> None:
        """Book what the batch cost; unknown money books all that was held."""
        if mark and self._hooks.budgets is not None:
            self._hooks.budgets.settle_later(mark, amount)

    def _get(self, number: str) -> Any:
        return self._ask(lambda client: client.batches.retrieve(number))

    def _ask(self, ask: Callable[[Any], Any]) -> Any:
        """Ask the server for something; what the SDK raises comes in our words."""
        openai = package()
        try:
            return ask(self._client(openai))
        except openai.OpenAIError as error:
            raise counted(self._sdk.named(error), 1) from error

    def _client(self, openai: Any) -> Any:
        if self._own is None:
            key = address.key(self._key)
            if not key and self._url is None:
                raise ModelError(
                    f"model {self.name}: {self._key} is not set; export {self._key}=...",
                    "key",
                    sent=False,
                )
            # sent once: a batch that is asked for twice is two batches
            self._own = openai.OpenAI(base_url=self._url, api_key=key or "none", max_retries=0)
        return self._own


def _content(file: str, client: Any) -> str:
    return str(client.files.content(file).text)


def _total(amounts: list[Decimal | None]) -> Decimal | None:
    """Add money; one that is unknown makes the sum unknown."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None

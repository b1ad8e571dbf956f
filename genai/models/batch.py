"""Batches: many requests in one file, answered within a day at half the price, through the SDK.

    batch = genai.batch("openai/gpt-5-mini")
    number = batch.submit({"case-1": "Hello?", "case-2": "Bye?"})
    replies = batch.replies(number)        # None until it has ended, then a dict by your ids

Each reply is a ledger row priced with the tier `batch`. Its id follows from the batch and your id,
so fetching twice books once.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from genai.errors import InputError, ModelError
from genai.ledger import merged
from genai.ledger.usage import openai_usage
from genai.models import wire
from genai.models.attempts import Hooks
from genai.models.base import Prompted, as_messages, refuse_choices
from genai.models.sdk import SDK, package
from genai.types import Call, Context, Cost, CostStatus, Reply, Usage

_ENDED = {"completed", "expired", "cancelled", "failed"}


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
                f"model {name!r}: only `openai/NAME[@URL]` takes batches; call it directly",
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
        worst = Decimal(0)
        for key, prompt in prompts.items():
            messages = as_messages(prompt)
            body = wire.request(self._model, messages, params)
            request = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions"}
            lines.append(wire.encode({**request, "body": body}))
            if self._hooks.budgets is not None:
                worst += self._hooks.worst(self.name, messages, params).amount or 0
        if self._hooks.budgets is not None:
            self._check(context, worst)
        openai = package()
        try:
            client = self._client(openai)
            file = client.files.create(file=("batch.jsonl", b"\n".join(lines)), purpose="batch")
            made = client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        except openai.OpenAIError as error:
            raise self._sdk._named(error) from error
        return str(made.id)

    def status(self, number: str) -> str:
        """Give the server's word for where the batch is, such as `in_progress`."""
        return str(self._get(number).status)

    def cancel(self, number: str) -> None:
        """Ask the server to stop; what was answered by then is still fetched and billed."""
        openai = package()
        try:
            self._client(openai).batches.cancel(number)
        except openai.OpenAIError as error:
            raise self._sdk._named(error) from error

    def replies(
        self, number: str, context: Context | None = None
    ) -> dict[str, Reply | ModelError] | None:
        """Give what each request got, by your ids; None while the batch runs.

        A request that failed or expired is a `ModelError`, with its row in the ledger.
        """
        found = self._get(number)
        if found.status not in _ENDED:
            return None
        if found.status == "failed" and not found.output_file_id:
            said = getattr(getattr(found, "errors", None), "data", None) or ()
            codes = ", ".join(str(each.code) for each in said) or "no reason given"
            raise ModelError(
                f"batch {number}: the server refused it ({codes}); mend and submit it again",
                "bad_request",
            )
        openai, replies = package(), {}
        where = merged(context)
        took = float((found.completed_at or found.created_at) - found.created_at)
        for file in (found.output_file_id, found.error_file_id):
            if not file:
                continue
            try:
                text = self._client(openai).files.content(file).text
            except openai.OpenAIError as error:
                raise self._sdk._named(error) from error
            for line in filter(str.strip, text.splitlines()):
                key, reply = self._read(number, line, where, found.created_at, took)
                replies[key] = reply
        return replies

    def _read(
        self, number: str, line: str, context: Context, began: float, took: float
    ) -> tuple[str, Reply | ModelError]:
        try:
            given = json.loads(line)
            key, response = str(given["custom_id"]), given.get("response") or {}
            body = response.get("body") or {}
            choice = body["choices"][0] if response.get("status_code") == 200 else None
            text = "" if choice is None else choice["message"].get("content") or ""
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ModelError(
                f"batch {number}: its file holds a line that is no reply ({type(error).__name__});"
                " fetch it again",
                "bad_reply",
            ) from error
        mark = hashlib.sha256(f"{number} {key}".encode()).hexdigest()[:28]
        usage = openai_usage(body["usage"]) if body.get("usage") else Usage()
        if choice is None:
            cost = Cost(Decimal(0), CostStatus.DECLARED_FREE, "no reply, not billed")
        else:
            cost = self._hooks.price(
                self.name, usage, tier="batch", response_model=body.get("model") or ""
            )
        outcome = "error" if choice is None else "ok"
        call = Call(
            mark, "model", float(began), took, outcome, self.name, context, usage, cost, "chat",
            "openai", body.get("model") or "", self._sdk.host, request_id=body.get("id") or "",
            finish_reason=(choice or {}).get("finish_reason") or outcome,
            reason="" if choice else "server", requested_tier="batch", served_tier="batch",
        )  # fmt: skip
        if self._hooks.record is not None:
            self._hooks.record(call)
        if choice is None:
            code = (given.get("error") or body.get("error") or {}).get("code") or "no reply"
            return key, ModelError(
                f"model {self.name}: request {key!r} of batch {number} failed ({code});"
                " send it again"
            )
        return key, Reply(
            text=text, model=self.name, usage=usage, cost=cost, seconds=took,
            finish_reason=call.finish_reason, call_id=mark, response_model=call.response_model,
        )  # fmt: skip

    def _check(self, context: Context, worst: Decimal) -> None:
        """Refuse a batch that a budget would not cover; its rows count when they are fetched."""
        mark = hashlib.sha256(os.urandom(16)).hexdigest()[:28]
        cost = Cost(worst / 2, CostStatus.ESTIMATED, "the dearest replies at half price")
        if self._hooks.budgets.reserve(mark, context, self.name, cost):
            self._hooks.budgets.settle_later(mark, Decimal(0))

    def _get(self, number: str) -> Any:
        openai = package()
        try:
            return self._client(openai).batches.retrieve(number)
        except openai.OpenAIError as error:
            raise self._sdk._named(error) from error

    def _client(self, openai: Any) -> Any:
        if self._own is None:
            key = os.environ.get(self._key, "")
            if not key and self._url is None:
                raise ModelError(
                    f"model {self.name}: {self._key} is not set; export {self._key}=...",
                    "key",
                    sent=False,
                )
            self._own = openai.OpenAI(base_url=self._url, api_key=key or "none")
        return self._own

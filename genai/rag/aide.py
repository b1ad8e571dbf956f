"""Small questions that a chain puts to an LLM beside the answer: one model, one prompt file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from genai.models import Model
from genai.prompts import Prompt
from genai.text.thoughts import spoken
from genai.types import Context, Passage

S = TypeVar("S", bound=BaseModel)


class Said(BaseModel):
    """Base of what a model says in JSON: any further key is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Aide:
    """Asks one prompt of one model; each call is a row under the turn, with its own prompt id."""

    def __init__(self, model: Model, prompt: Prompt) -> None:
        self.model = model
        self.prompt = prompt

    @property
    def identity(self) -> str:
        """What shapes the replies, as text."""
        return f"{self.model.identity} {self.prompt.id}"

    async def text(self, context: Context, **values: str | Sequence[Passage]) -> str:
        """Give the reply as text. Raises `ModelError`."""
        said: str = (await self._ask(None, context, values)).text
        return spoken(said)

    async def fill(self, form: type[S], context: Context, **values: str | Sequence[Passage]) -> S:
        """Give the reply as a `form`. Raises `ModelError`: `bad_reply` where none fits."""
        found: S = (await self._ask(form, context, values)).parsed
        return found

    async def _ask(self, form: Any, context: Context, values: Any) -> Any:
        return await self.model.acall(
            self.prompt.render(**values),
            schema=form,
            context=replace(context, prompt_id=self.prompt.id),
            **self.prompt.params,
        )

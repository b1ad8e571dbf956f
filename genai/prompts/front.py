"""What may stand above a prompt's body: typed variables, parameters, examples, reply schema."""

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from genai.config import Settings
from genai.prompts.values import Kind, written
from genai.types import Trust


class _Strict(Settings):
    """YAML reads `no` as a boolean and `1e-3` as text: nothing is bent into what was meant."""

    model_config = ConfigDict(strict=True, allow_inf_nan=True)  # the hash refuses them, by name


class Input(_Strict):
    """One variable of a prompt: what it may hold and how far its text may be trusted.

    `kind` is `passages` where `trust` is `retrieved`, else `text`, unless it is given.
    """

    kind: Kind = "text"
    trust: Trust = "untrusted"
    required: bool = True
    default: Any = None
    enum: list[str] = Field(default_factory=list)
    max_length: int = Field(default=200_000, ge=1, description="characters")

    @model_validator(mode="before")
    @classmethod
    def _kind_of_retrieved(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("trust") == "retrieved" and "kind" not in given:
            return {**given, "kind": "passages"}
        return given

    @model_validator(mode="after")
    def _agrees(self) -> "Input":
        if (self.kind == "enum") != bool(self.enum):
            raise ValueError("`kind: enum` and the list `enum` go together")
        if self.required and self.default is not None:
            raise ValueError("a required input has no default; add `required: false`")
        if self.kind == "passages":
            if not isinstance(self.default, str | None):
                raise ValueError("the default of passages is what stands there without any: a text")
        elif self.default is not None:
            written(self.kind, self.default, self.enum)
        return self


class Example(_Strict):
    """One few-shot turn: what the last user turn is filled with, and the reply to it."""

    inputs: dict[str, Any] = Field(default_factory=dict)
    output: Any


class FrontMatter(_Strict):
    """The settings above a prompt's body. `models` are those it was written and judged for."""

    id: str
    description: str = ""
    models: list[str] = Field(default_factory=list)
    inputs: dict[str, Input] = Field(default_factory=dict)
    params: dict[str, str | int | float | bool | list[str]] = Field(default_factory=dict)
    examples: list[Example] = Field(default_factory=list)
    output: dict[str, Any] | None = Field(default=None, description="JSON schema of the reply")
    max_chars: int = Field(default=1_000_000, ge=1, description="of all turns together")

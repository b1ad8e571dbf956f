"""What a task gave for one case, once; and what a scorer says of it."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec

from genai.evals.case import Case
from genai.types import Citation, Hit, ToolCall, Usage

State = Literal["answered", "refused", "failed", "unmeasured"]


class Trial(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One case, one repeat, and its outcome.

    `failed`: the task raised or gave nothing, which counts as a wrong answer. `unmeasured`: nobody
    knows what it would have given; `reason` is then the code. `cost` is None where unknown.
    `case` is the case itself in a running process and never written with the trial.
    """

    unit: str
    case_id: str
    repeat: int = 0
    state: State = "answered"
    text: str = ""
    reason: str = ""
    note: str = ""
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    cost: Decimal | None = None
    seconds: float = 0.0
    ttft: float | None = None
    replayed: bool = False
    model: str = ""
    call_id: str = ""
    confidence: float | None = None
    case: Any = None

    @property
    def refused(self) -> bool:
        """Whether the task declined."""
        return self.state == "refused"

    @property
    def contexts(self) -> tuple[str, ...]:
        """The passages the task saw: those it names, else those the case gives."""
        case: Case = self.case
        return tuple(hit.passage.text for hit in self.hits) or case.contexts

    def words(self) -> str:
        """Say in one line what happened; a broken character is shown as `?`."""
        return self._words().encode("utf-8", "replace").decode()

    def _words(self) -> str:
        if self.state in ("failed", "unmeasured"):
            return f"{self.state}: {self.note or self.reason}"
        sure = "" if self.confidence is None else f"confidence {self.confidence:.2f}"
        if self.state == "refused":
            found = ", ".join(dict.fromkeys(hit.passage.document for hit in self.hits))
            inside = ", ".join(filter(None, (self.reason, sure)))
            return f"refused ({inside}); saw {found or 'nothing'}"
        calls = (f"{call.name}({call.arguments})" for call in self.tool_calls)
        said = " ".join(" ".join((self.text, *calls)).split())
        return f"answered{f' ({sure})' if sure else ''}: {said[:500]}"


@dataclass(frozen=True, slots=True)
class Score:
    """A scorer's word with its reason; a plain bool, number or string does as well."""

    value: bool | float | str | None
    reason: str = ""


class CannotMeasure(Exception):
    """A scorer cannot judge this trial. `code` is a reason such as `judge_parse`."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


def as_score(given: object) -> Score:
    """Take a scorer's result: bool an assertion, number a score, string a label, None no case.

    Raises:
        CannotMeasure: NaN, infinity, or something else.
    """
    score = given if isinstance(given, Score) else None
    value = score.value if score else given
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = float(value)
        if not math.isfinite(value):
            raise CannotMeasure("scorer_error", f"the scorer gave {value}")
    elif value is not None and not isinstance(value, bool | str):
        try:
            value = float(value)  # type: ignore[arg-type]  # numpy's numbers and Decimal
        except (TypeError, ValueError):
            kind = type(value).__name__
            raise CannotMeasure(
                "scorer_error", f"the scorer gave a {kind}; give a bool, number or string"
            ) from None
        return as_score(value)
    return Score(value, score.reason if score else "")

"""The most that one run may spend: reserved before each call, settled after it.

A cap belongs to the code inside `capped(...)` and everything that it starts, so it holds for any
task, whatever models it opens. It lives in this process; limits that processes share, and that
last, are `Budgets`. A `part()` of a cap counts what some of its calls cost.
"""

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation

from genai.errors import BudgetExceeded
from genai.types import Cost


def dollars(given: object) -> Decimal:
    """Read an amount of money that somebody gives. Raises `ValueError`: no number, or below 0."""
    try:
        found = Decimal(str(given))
    except InvalidOperation as error:
        raise ValueError(f"{given} is no amount") from error
    if not found.is_finite() or found < 0:
        raise ValueError(f"{given} is no amount")
    return found


class Cap:
    """Dollars that may be spent. A call that might pass them is refused before it leaves.

    Without a limit it only counts.
    """

    def __init__(self, limit: Decimal | None) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self.refused = 0
        self._reserved: dict[str, Decimal] = {}
        self._lock = threading.Lock()

    @property
    def reserved(self) -> Decimal:
        """What the calls in flight may still cost at most."""
        with self._lock:
            return sum(self._reserved.values(), _NONE)

    def part(self) -> "Cap":
        """Give a cap whose calls are held to this one, and that counts what they cost."""
        return _Part(self)

    def reserve(self, call: str, model: str, worst: Cost) -> bool:
        """Set aside the most that a call may cost; False where it must wait for calls in flight.

        Raises:
            BudgetExceeded: the cap would be passed whatever they cost, or nobody knows the price.
        """
        if self.limit is None:
            with self._lock:
                self._reserved[call] = _NONE
            return True
        if worst.amount is None:
            self.refused += 1
            raise BudgetExceeded(
                f"model {model}: its price is unknown, so the cap of ${self.limit} cannot be"
                " kept; add it to configs/prices.yaml or run without a cap"
            )
        with self._lock:
            if self.spent + worst.amount > self.limit:
                self.refused += 1
                raise BudgetExceeded(
                    f"{model}: a call may cost ${worst.amount:f}, and ${self.spent:f} of the run's"
                    f" ${self.limit} is spent; raise the cap, or limit `max_tokens`"
                )
            if sum(self._reserved.values(), self.spent) + worst.amount > self.limit:
                return False
            self._reserved[call] = worst.amount
            return True

    def settle(self, call: str, amount: Decimal | None) -> Decimal:
        """Book what a call cost, and give it; where nobody knows, the most it may have cost."""
        with self._lock:
            worst = self._reserved.pop(call, None)
            if worst is None:
                return _NONE
            booked = worst if amount is None else amount
            self.spent += booked
            return booked


class _Part(Cap):
    """Some calls of a cap."""

    def __init__(self, whole: Cap) -> None:
        super().__init__(whole.limit)
        self._whole = whole

    def reserve(self, call: str, model: str, worst: Cost) -> bool:
        return self._whole.reserve(call, model, worst)

    def settle(self, call: str, amount: Decimal | None) -> Decimal:
        booked = self._whole.settle(call, amount)
        with self._lock:
            self.spent += booked
        return booked


_NONE = Decimal(0)
_current: contextvars.ContextVar[Cap | None] = contextvars.ContextVar("genai_cap", default=None)
current_cap = _current.get


@contextmanager
def capped(cap: Cap) -> Iterator[Cap]:
    """Hold every call made inside, and by what it starts, to a cap; give it."""
    token = _current.set(cap)
    try:
        yield cap
    finally:
        _current.reset(token)

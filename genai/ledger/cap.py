"""The most that one run may spend: reserved before each call, settled after it.

A cap belongs to the code inside `capped(...)` and everything that it starts, so it holds for any
task, whatever models it opens. It lives in this process; limits that processes share, and that
last, are `Budgets`.
"""

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from genai.errors import BudgetExceeded
from genai.types import Cost


class Cap:
    """Dollars that may be spent. A call that might pass them is refused before it leaves."""

    def __init__(self, limit: Decimal) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self.refused = 0
        self._reserved: dict[str, Decimal] = {}
        self._lock = threading.Lock()

    @property
    def reserved(self) -> Decimal:
        """What the calls in flight may still cost at most."""
        with self._lock:
            return sum(self._reserved.values(), Decimal(0))

    def reserve(self, call: str, model: str, worst: Cost) -> bool:
        """Set aside the most that a call may cost; False where it must wait for calls in flight.

        Raises:
            BudgetExceeded: the cap would be passed whatever they cost, or nobody knows the price.
        """
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
                    f"model {model}: a call may cost ${worst.amount:f}, and ${self.spent:f} of the"
                    f" run's ${self.limit} is spent; raise the cap, or limit `max_tokens`"
                )
            if sum(self._reserved.values(), self.spent) + worst.amount > self.limit:
                return False
            self._reserved[call] = worst.amount
            return True

    def settle(self, call: str, amount: Decimal | None) -> None:
        """Book what a call cost; where nobody knows, the most it may have cost."""
        with self._lock:
            worst = self._reserved.pop(call, None)
            if worst is not None:
                self.spent += worst if amount is None else amount


_current: contextvars.ContextVar[Cap | None] = contextvars.ContextVar("genai_cap", default=None)
current_cap = _current.get


@contextmanager
def capped(cap: Cap | None) -> Iterator[None]:
    """Hold every call made inside, and by what it starts, to a cap."""
    token = _current.set(cap)
    try:
        yield
    finally:
        _current.reset(token)

"""What a run may spend, over the models it calls and the tasks that keep books of their own.

A model's call reserves the most it may cost before it leaves, so such a run never passes its cap.
Of a task that says only afterwards what it cost nobody knows the most: each of its cases in flight
is set aside at the dearest one so far, and the first is asked alone. Such a run passes its cap by
no more than its cases in flight were dearer than every one before them; where all cost the same,
by nothing. Where a task says nothing of its cost, and no model's call was seen, no cap can be kept,
and the run stops after that case; one that fails is then taken to cost what the dearest did.
"""

import asyncio
from decimal import Decimal

from genai.errors import BudgetExceeded
from genai.evals.trial import Trial
from genai.ledger.cap import Cap
from genai.types import Cost, CostStatus

_POLL = 0.005  # seconds between two looks for room
_NONE = Decimal(0)


class Purse:
    """The money of one run: `cap` holds every call made under it, or counts, without a limit."""

    def __init__(self, limit: Decimal | None) -> None:
        self.cap = Cap(limit)
        self._dearest = _NONE
        self._known = asyncio.Event()  # what a case costs
        self._asking = False
        self._priced = self._unknown = False

    def take_over(self, trial: Trial) -> None:
        """Learn from a trial of an earlier start, or of another process, what a case costs."""
        if trial.cost is None:
            return
        if not trial.call_id:
            self._dearest = max(self._dearest, trial.cost)
        self._priced = True
        self._known.set()

    async def admit(self, unit: str) -> None:
        """Wait until a case may be asked beside those in flight.

        Raises:
            BudgetExceeded: nothing is left for a case as dear as the dearest so far, or nobody
                knows what a case costs.
        """
        if self.cap.limit is None:
            return
        if self._asking:
            await self._known.wait()
        self._asking = True
        try:
            if self._unknown:
                raise BudgetExceeded(
                    f"the task: its cost is unknown, so the cap of ${self.cap.limit} cannot be"
                    " kept; let it give `cost`, 0 where it is free, or run without a cap"
                )
            if self.cap.spent >= self.cap.limit:
                raise BudgetExceeded(f"the run's ${self.cap.limit} is spent; raise the cap")
            worst = Cost(self._dearest, CostStatus.ESTIMATED)
            while not self.cap.reserve(unit, "the task", worst):
                await asyncio.sleep(_POLL)
        except BudgetExceeded:
            self._known.set()  # nobody shall wait for what is not asked
            raise

    def settle(self, trial: Trial, metered: Decimal) -> None:
        """Book what a case cost beyond its `metered` calls; those have been booked one by one."""
        if self.cap.limit is None:
            return
        self._priced |= trial.cost is not None or metered > 0
        if trial.cost is None and not metered:
            lost = trial.state == "unmeasured" or (trial.state == "failed" and self._priced)
            self._unknown |= not lost
        own = None if trial.cost is None else max(trial.cost - metered, _NONE)
        self.cap.settle(trial.unit, own)
        self._dearest = max(self._dearest, own or _NONE)
        self._known.set()

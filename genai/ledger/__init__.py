"""The one store of what happened: calls, money, seconds, feedback."""

from genai.ledger.budgets import BudgetRow, Budgets, Limit
from genai.ledger.context import bind, carry, current, merged, scope
from genai.ledger.prices import Prices
from genai.ledger.query import DayRow, Money, Summary
from genai.ledger.store import Delivery, Ledger

__all__ = [
    "BudgetRow",
    "Budgets",
    "DayRow",
    "Delivery",
    "Ledger",
    "Limit",
    "Money",
    "Prices",
    "Summary",
    "bind",
    "carry",
    "current",
    "merged",
    "scope",
]

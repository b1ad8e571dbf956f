"""Judge the rules on the ledger; each alert is told once an episode, and again until it arrived."""

import calendar
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from genai.errors import InputError
from genai.ledger import Ledger, Prices
from genai.ledger.rollup import PAID, Sums, of_runs, sums
from genai.reports.alerts import memory as told
from genai.reports.alerts.figures import FIGURES, State
from genai.reports.alerts.rules import AlertSettings, Rule
from genai.reports.asked import outside_runs
from genai.types import Call

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that fired: what it saw, of how many calls, and in words. No content is in it.

    `to` are the sinks that have not heard of it yet, `episode` what they are remembered by; an
    episode that is told `once` is not told again while it lasts.
    """

    rule: str
    value: float
    n: int
    text: str
    at: float
    to: tuple[str, ...] = ()
    episode: str = ""
    once: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """The state of things at one time."""

    state: State
    now: float

    def window(self, since: float, until: float, kinds: Sequence[str]) -> list[Call]:
        end, ask = math.nextafter(until, math.inf), self.state.ledger.calls
        found = [ask(limit=10**9, since=since, until=end, kind=kind) for kind in kinds]
        return [call for calls in found for call in calls]

    def value(self, rule: Rule, end: float) -> tuple[float | None, list[Call]]:
        """Give the figure of a rule up to a time, and the calls of people that it rests on."""
        figure, since = FIGURES[rule.figure], end - rule.hours * _HOUR
        calls = outside_runs(self.window(since, end, figure.kinds))
        return figure.value(calls, self.state, since, end), calls


def due(
    settings: AlertSettings, ledger: Ledger, memory: Path, *, now: float | None = None,
    prices: Prices | None = None, invoices: Path | None = None,
) -> list[Alert]:  # fmt: skip
    """Judge every rule; give those that fire, each with the sinks that have yet to hear of it.

    `memory` is the file in which `send` keeps who has heard of what; an episode that is over is
    forgotten. What rests on `prices` or on the history of `invoices` is silent without them.

    Raises:
        InputError: `memory` cannot be written, and nothing is to be told; else `send` says so.
    """
    look = _Look(State(ledger, prices, invoices), time.time() if now is None else now)
    rules = {rule.name: rule for rule in settings.rules}
    fired = [alert for rule in settings.rules for alert in _judge(rule, look)]
    known = told.read(memory)
    found = []
    for alert in fired:
        rule, heard = rules[alert.rule], known.get(alert.episode, {})
        again = math.inf if alert.once else rule.cooldown * _HOUR
        to = tuple(s for s in rule.to if look.now - heard.get(s, -math.inf) >= again)
        if to:
            found.append(replace(alert, to=to))
    try:
        told.keep(memory, [alert.episode for alert in fired])
    except InputError:
        if not found:
            raise
    return found


def _judge(rule: Rule, look: _Look) -> list[Alert]:
    if rule.budget is not None:
        return _budget(rule, rule.budget, look)
    value, calls = look.value(rule, look.now)
    figure = FIGURES[rule.figure]
    needed = 0 if figure.now is not None or figure.count else rule.least
    if value is None or len(calls) < needed:
        return []
    if rule.slo is not None:
        return _burn(rule, rule.slo, calls, look.now)
    if rule.unusual is not None:
        return _unusual(rule, rule.unusual, value, len(calls), look)
    over = rule.above is not None and value > rule.above
    under = rule.below is not None and value < rule.below
    if not over and not under:
        return []
    line = rule.above if over else rule.below
    return [_alert(rule, value, len(calls), f"{'above' if over else 'below'} {line:g}", look.now)]


def _burn(rule: Rule, slo: float, calls: Sequence[Call], now: float) -> list[Alert]:
    """Fire where the long window and its last twelfth both burn the budget too fast."""
    bad = FIGURES[rule.figure].bad
    recent = [call for call in calls if call.started_at >= now - rule.hours * _HOUR / 12]
    if bad is None or not recent:
        return []
    rates = [sum(map(bad, each)) / len(each) / (1 - slo) for each in (calls, recent)]
    if min(rates) < rule.burn:
        return []
    words = f"burns the error budget of {slo:.2%} at {rates[0]:.1f} times the pace"
    return [_alert(rule, rates[0], len(calls), words, now)]


def _unusual(rule: Rule, limit: float, value: float, n: int, look: _Look) -> list[Alert]:
    """Compare with the same hours of the weeks before; their spread is the median deviation.

    Weeks before the first call say nothing, and others need as many calls as the rule.
    """
    count, week = FIGURES[rule.figure].count, 7 * 24 * _HOUR
    weeks = [look.value(rule, look.now - back * week) for back in range(1, rule.weeks + 1)]
    while weeks and not weeks[-1][1]:
        weeks.pop()
    enough = [then for then, calls in weeks if count or len(calls) >= rule.least]
    before = [then for then in enough if then is not None]
    if len(before) < 2:
        return []
    middle = statistics.median(before)
    if count and max(value, middle) < rule.least:
        return []
    spread = statistics.median(abs(each - middle) for each in before) * 1.4826
    away = abs(value - middle) / max(spread, abs(middle) * 0.05, 1e-9)
    if away < limit:
        return []
    words = f"{away:.1f} deviations from {middle:.4g}, the middle of {len(before)} weeks"
    return [_alert(rule, value, n, words, look.now)]


def _budget(rule: Rule, budget: float, look: _Look) -> list[Alert]:
    """Fire where the month's spending passes a step, and where its pace would pass the budget.

    The bill holds what eval runs and embeddings cost, so they count here. A month may hold millions
    of calls, so their daily sums are read.
    """
    today = time.gmtime(look.now)
    start = float(calendar.timegm((today.tm_year, today.tm_mon, 1, 0, 0, 0)))
    month = calendar.monthrange(today.tm_year, today.tm_mon)[1] * 24 * _HOUR
    ledger, kinds = look.state.ledger, (*PAID, *map(of_runs, PAID))
    ledger.roll_up()
    whole = sums(ledger.database, kind=kinds, since=start, until=look.now, times=())
    so_far = whole.get((), Sums())
    spent, calls = float(so_far.money.total), so_far.calls
    found = []
    step = max((each for each in rule.steps if spent >= each * budget), default=None)
    if step is not None:
        words = f"{step:.0%} of this month's budget of ${budget:.2f} is spent"
        episode = f"{rule.name} {step:.0%} {today.tm_year}-{today.tm_mon:02}"
        alert = _alert(rule, spent, calls, words, look.now)
        found.append(replace(alert, episode=episode, once=True))
    forecast = spent * month / max(look.now - start, _HOUR)
    if calls >= rule.least and forecast > budget:
        words = f"${spent:.2f} this month, ${forecast:.2f} at this pace"
        words += f", the budget is ${budget:.2f}"
        found.append(_alert(rule, spent, calls, words, look.now))
    return found


def _alert(rule: Rule, value: float, n: int, words: str, now: float) -> Alert:
    text = f"{rule.name}: {rule.figure} is {value:.4g}, {words} (n {n})"
    return Alert(rule.name, value, n, text, now, episode=rule.name)

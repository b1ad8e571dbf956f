"""From stretches to incidents: one cause each, what it moved, and what it cost.

The cause is the value whose questions, in those days, account best for the shift; among equals the
one that is new since the reference. A stretch that is gone once those questions are left out
belongs to the same incident.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genai import extras
from genai.errors import InputError, one_line
from genai.ledger import Ledger
from genai.ledger.query import dollar_text
from genai.ledger.rollup import day_name
from genai.reports.incidents.facts import LABELS, PRICE, Facts, read_facts
from genai.reports.incidents.find import Stretch, stretches

_BEFORE = 5  # days before a stretch that its causes are told apart by
_EXPLAINED = 0.6  # of a shift, for it to belong to an incident
_AS_WELL = 0.8  # of what the own cause of a stretch accounts for
_NEAR = 2  # days between two beginnings with one cause that holds for every question
_FEW = 30  # questions below which a mean is no ground
_MOST = 3_660  # days of a period
_LASTING = ("model", "provider", "fingerprint", "prices", "")  # stay when they have failed
_NEW, _WHOLE, _OLD = 1.0, 0.97, 0.9  # of what a cause accounts for, by what speaks for it


@dataclass(frozen=True, slots=True)
class Incident:
    """What moved, from day `first` to `last`, why and for how much.

    `cause` is a label and its value, such as `prompt_id` and `mail/draft@2`; both empty where no
    value stands out. `dollars` is the spending beyond what the same questions took before (None
    where no cost is known), `lost` the answers not given, `blocked` the questions blocked and
    `seconds` the waiting, each beyond the reference.
    """

    first: str
    last: str
    cause: tuple[str, str]
    moved: tuple[Stretch, ...]
    questions: int
    dollars: float | None
    lost: float
    blocked: float
    seconds: float

    def money(self, per_lost: float = 0.0) -> float | None:
        """Give the spending and the lost answers, each at the price of a person's answer."""
        return None if self.dollars is None else self.dollars + max(self.lost, 0.0) * per_lost


@dataclass(slots=True)
class _Open:
    cause: tuple[str, str]
    rows: Any
    first: int
    last: int
    new: bool
    moved: list[Stretch] = field(default_factory=list)


def incidents(
    ledger: Ledger, first: int, last: int, *, reference: int = 10, alarms: float = 0.05
) -> list[Incident]:
    """Give what went wrong from UTC day `first` to `last` after `reference` quiet days.

    `alarms` is how many false findings are accepted in the period.

    Raises:
        InputError: no day is left after the reference, the period is longer than ten years, or no
            false finding is accepted.
        Unmeasured: the reference has too few days with questions.
    """
    if not 1 <= reference <= last - first:
        raise InputError(
            f"{day_name(first)} to {day_name(last)} with {reference} days of reference: the period"
            " needs a day of reference and a day after it; take other days or another `reference`"
        )
    if last - first > _MOST:
        raise InputError(
            f"{day_name(first)} to {day_name(last)}: a period has at most {_MOST:,} days"
        )
    if not 0 < alarms < math.inf:
        raise InputError(f"alarms={alarms:g}: the false findings accepted are more than 0")
    facts = read_facts(ledger, first, last, reference)
    return of_facts(facts, reference, alarms=alarms)


def of_facts(facts: Facts, reference: int, *, alarms: float = 0.05) -> list[Incident]:
    """Give the incidents of questions that were read already."""
    np: Any = extras.load("numpy", "evals")
    opened: list[_Open] = []
    for each in stretches(facts, reference, alarms=alarms):
        cause, rows = _cause(np, facts, each, reference)
        each = replace(each, first=min(max(each.first, _appears(facts, rows)), each.last))
        for known in opened:
            if _joins(np, facts, known, each, cause, rows):
                known.moved.append(each)
                break
        else:
            new = cause[0] not in _LASTING or _is_new(facts, cause, each.first, reference)
            opened.append(_Open(cause, rows, each.first, each.last, new, [each]))
    found = [_costed(np, facts, each, reference) for each in opened]
    return sorted(found, key=lambda each: (each.first, each.cause))


def _is_new(facts: Facts, cause: tuple[str, str], first: int, reference: int) -> bool:
    """Say whether a value came with a stretch, or was there long before."""
    if not cause[0]:
        return False
    held = facts.days[facts.labels[cause[0]] == cause[1]]
    return bool(len(held)) and int(held.min()) >= max(first - 1, reference)


def _appears(facts: Facts, rows: Any) -> int:
    """Give the first day of some questions: nothing is caused before its cause is there."""
    return int(facts.days[rows].min()) if rows.any() else 0


def _within(facts: Facts, first: int, last: int) -> Any:
    return (facts.days >= first) & (facts.days <= last)


def _joins(
    np: Any, facts: Facts, known: _Open, each: Stretch, cause: tuple[str, str], rows: Any
) -> bool:
    """Say whether a stretch belongs to an incident that overlaps with it.

    What was there before can fail twice, so its stretches must begin together. A stretch belongs
    to an incident where the cause is the same, or where it is gone without the incident's
    questions; they must then account for it about as well as its own cause, whose are `rows`.
    """
    if each.first > known.last + _NEAR or each.first < known.first - _NEAR:
        return False
    if not known.new and abs(each.first - known.first) > _NEAR:
        return False
    if cause == known.cause:
        return True
    figure = facts.figures[each.figure]
    if figure.scale == "mix" and cause[0] == known.cause[0]:
        return True  # one value grows at the cost of all others
    values = facts.figures[figure.whole or each.figure].values
    shown = _within(facts, max(each.first - _BEFORE, 0), each.last) & np.isfinite(values)
    own, other = (_gain(values[shown], chosen[shown]) for chosen in (rows, known.rows))
    if other < _AS_WELL * own:
        return False
    values = figure.values
    inside = _within(facts, each.first, each.last) & np.isfinite(values)
    rest = inside & ~known.rows
    if rest.sum() < 0.1 * inside.sum():
        return abs(each.first - known.first) <= _NEAR
    shift = float(values[inside].mean()) - each.before
    left = float(values[rest].mean()) - each.before
    return abs(shift) > 0 and left / shift <= 1 - _EXPLAINED


def _cause(np: Any, facts: Facts, each: Stretch, reference: int) -> tuple[tuple[str, str], Any]:
    """Give the value that accounts best for a stretch, and the questions that have it since."""
    figure = facts.figures[each.figure]
    part, values = figure.part, facts.figures[figure.whole or each.figure].values
    since = _within(facts, each.first, facts.span)
    own = facts.labels[part[0]] == part[1] if part[0] else since
    if figure.scale == "mix":
        return part, own & since
    shown = _within(facts, max(each.first - _BEFORE, 0), each.last) & np.isfinite(values)
    inside = since[shown]
    y = values[shown]
    best, cause, rows = _WHOLE * _gain(y, inside), part, own & since
    for name in LABELS:
        column = facts.labels[name]
        for value in np.unique(column[shown]):
            if not value:
                continue
            new = _is_new(facts, (name, str(value)), each.first, reference)
            worth = _NEW if new else _OLD
            gain = worth * _gain(y, inside & (column[shown] == value))
            if gain > best:
                best, cause, rows = gain, (name, str(value)), (column == value) & since
    return cause, rows


def _gain(y: Any, chosen: Any) -> float:
    """Give how much of the variation one step between chosen and other values accounts for."""
    n, k = len(y), int(chosen.sum())
    if k < 5 or n - k < 5:
        return 0.0
    gap = float(y[chosen].mean() - y[~chosen].mean())
    return gap * gap * k * (n - k) / n


def _costed(np: Any, facts: Facts, each: _Open, reference: int) -> Incident:
    rows = each.rows & _within(facts, each.first, each.last)
    old = facts.days < reference
    beyond = {
        name: _beyond(np, facts, values, each, rows, old)
        for name, values in facts.sums.items()
        if name != "dollars"
    }
    return Incident(
        day_name(facts.first + each.first), day_name(facts.first + each.last), each.cause,
        tuple(each.moved), int(rows.sum()),
        _dollars(np, facts, each, rows, old, beyond["tokens"]),
        beyond["lost"], beyond["blocked"], beyond["seconds"],
    )  # fmt: skip


def _beyond(np: Any, facts: Facts, values: Any, each: _Open, rows: Any, old: Any) -> float:
    """Give a sum beyond what was to be expected: the reference, moved as other questions moved."""
    name, value = each.cause
    same = old & (facts.labels[name] == value) if name else old
    if same.sum() < _FEW:  # a new value is compared with what its features were before
        features = facts.labels["feature"]
        same = old & np.isin(features, np.unique(features[rows]))
    base = float(values[same if same.sum() >= _FEW else old].mean())
    others = _within(facts, each.first, each.last) & ~rows
    before = old & ~same
    if min(others.sum(), before.sum()) >= _FEW:
        base += float(values[others].mean() - values[before].mean())
    return float(values[rows].sum() - base * rows.sum())


def _dollars(
    np: Any, facts: Facts, each: _Open, rows: Any, old: Any, tokens: float
) -> float | None:
    """Give the dollars: by the dearer price where the price moved, else by the further tokens."""
    spent, counts = facts.sums["dollars"], facts.sums["tokens"]
    known = np.isfinite(spent)
    if not (known & old).any() or not (known & rows).any():
        return None

    def price(chosen: Any) -> float:
        return float(spent[chosen].sum() / max(counts[chosen].sum(), 1.0))

    if all(stretch.figure != PRICE for stretch in each.moved):
        return tokens * price(known & rows)
    models, extra = facts.labels["model"], 0.0
    name, value = each.cause
    apart = known & (facts.labels[name] != value) if name else known & False
    others = apart & _within(facts, each.first, each.last) & (counts > 0)
    before, moved = apart & old, 1.0
    if min(others.sum(), before.sum()) >= _FEW and price(before):
        moved = price(others) / price(before)
    for model in np.unique(models[rows]):
        mine, then = rows & known & (models == model), old & known & (models == model)
        if then.any() and mine.any():
            extra += (price(mine) - price(then) * moved) * float(counts[mine].sum())
    return extra


def text(found: Sequence[Incident], *, per_lost: float = 0.0) -> str:
    """Say each incident in some lines; `per_lost` is what a person's answer costs."""
    if not found:
        return "no incident: every figure stayed near its reference"
    lines = []
    for each in found:
        why = one_line(" ".join(each.cause)) if each.cause[0] else "no single cause"
        money = each.money(per_lost)
        cost = "cost unknown" if money is None else dollar_text(money)
        lines.append(f"{each.first} to {each.last}: {why}; {cost} ({each.questions} questions)")
        if per_lost or each.lost >= 1:
            lines.append(f"  answers lost {max(each.lost, 0.0):.0f}")
        if each.blocked >= 1:
            lines.append(f"  questions blocked {each.blocked:.0f}")
        if each.seconds >= 60:
            lines.append(f"  waited {each.seconds / 60:,.0f} minutes more")
        lines += [f"  {_moved(stretch)}" for stretch in each.moved]
    return "\n".join(lines)


def _moved(each: Stretch) -> str:
    before, now = each.before, each.now
    if each.scale == "log":
        before, now = math.exp(before), math.exp(now)
    return f"{one_line(each.figure)}: {before:.4g} to {now:.4g} (t {each.sure:.1f})"

"""Use cases and the business case on the project's own figures: plans before, the ledger after."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from genai.governance.usecase import UseCase, business_inputs, load_usecases, parts
from genai.ledger import Ledger
from genai.project import Project, find_project, git
from genai.wiring.parts import open_ledger

if TYPE_CHECKING:
    from genai.reports.business import BusinessReport, BusinessSettings, Input, Quality
    from genai.reports.drift import Period
_LEDGER = "USD"  # what prices are in


def as_launched(case: UseCase, project: Project) -> tuple[UseCase, list[str]]:
    """Put what the ledger says since the launch in the place of what was planned.

    Gives the case, and a line for each planned value beside the measured one.
    """
    if case.launched is None or case.today is None or case.money is None:
        return case, []
    from genai.reports.business import measured

    since = datetime(case.launched.year, case.launched.month, case.launched.day, tzinfo=UTC)
    found, warnings = measured(open_ledger(project), since.timestamp())
    if not found:
        return case, [f"{case.id}: launched {case.launched}, but {warnings[0]}; planned values"]
    now = {"volume_per_year": found["volume"].central * 12}
    if case.money.currency == _LEDGER:
        now["c_run"] = found["cost"].central
    else:
        unit = case.money.currency
        warnings = [
            *warnings,
            f"the ledger counts in {_LEDGER}, `c_run` in {unit} stays as planned",
        ]
    plan = {"volume_per_year": case.today.volume_per_year, "c_run": case.money.c_run}
    lines = [
        f"{case.id}: {name} planned {parts(plan[name])[1]:g}, measured {value:.4g}"
        f" (n {found['cost'].n})"
        for name, value in now.items()
    ]
    return case.measured(now), lines + [f"{case.id}: {each}" for each in warnings]


def planned_business(settings: "BusinessSettings", name: str, project: Project
                     ) -> "BusinessSettings":  # fmt: skip
    """Give a business case whose inputs come from a use case; those marked measured stay so.

    After the launch, what the ledger can measure is taken from it. What a use case does not say,
    such as `realisation`, stays as the business case states it.
    """
    from genai.config import validate
    from genai.reports.business import BusinessSettings

    [case] = load_usecases(project.root / "configs" / "usecases", [name])
    given: dict[str, dict[str, Any]] = {**business_inputs(case), **_known(case, project)}
    held = settings.model_dump(mode="json", exclude_none=True)
    for key, each in given.items():
        if not held["inputs"].get(key, {}).get("measured"):
            held["inputs"][key] = each
    held |= {"title": case.intended_purpose, "decision": case.decision}
    if case.money is not None:
        held |= {"currency": case.money.currency, "discount": case.money.discount_rate}
    return validate(BusinessSettings, held, f"usecases/{name}.yaml")


def business_case(
    changes: Mapping[str, float] | None = None, *, usecase: str = "", draws: int = 10_000,
    seed: int = 20_260, project: Project | None = None, period: "Period | None" = None,
) -> "BusinessReport":  # fmt: skip
    """Work out the case of `configs/business.yaml`; `changes` sets inputs to single values.

    Inputs marked as measured come from the ledger, those of a `period` where one is given;
    `usecase` takes others from a use case.

    Raises:
        ConfigError: an assumption is missing or impossible, or a change names no input.
    """
    from genai.reports import business
    from genai.reports.business.inputs import fixed

    project = project or find_project()
    settings = business.load_business(project.root / "configs" / "business.yaml")
    if usecase:
        settings = planned_business(settings, usecase, project)
    found: Mapping[str, Input] = {}
    warnings: list[str] = []
    stamp = {"commit": git(project.root, "rev-parse", "HEAD")[:12] or "none"}
    if any(each.measured for each in settings.inputs.values()):
        ledger, (since, until) = open_ledger(project), period.bounds if period else (0.0, None)
        quality = _quality(ledger, project, since, until)
        days = business.days_of(ledger, since, until)
        found, warnings = business.measured(ledger, quality=quality, days=days)
        stamp |= business.stamp(ledger, days)
    inputs = business.inputs_of(settings, found)
    used = {name: each for name, each in settings.inputs.items() if each.measured}
    warnings += business.few({name: inputs[name] for name in used})
    return business.business_report(
        settings, fixed(inputs, **(changes or {})), draws=draws, seed=seed, warnings=warnings,
        stamp=stamp,
    )  # fmt: skip


def _quality(ledger: Ledger, project: Project, since: float, until: float | None) -> "Quality":
    """Count what online evals and reviewers said of the questions of a period."""
    from genai.loop import Queue, load_loop
    from genai.loop.seen import failed, online_scores
    from genai.reports.business import Quality

    settings = load_loop(project.root / "configs" / "loop.yaml")
    limits, end = settings.online.metrics, math.inf if until is None else until
    scores = online_scores(ledger, since, until).values()
    judged = [each for each in scores if limits.keys() & each.keys()]
    decided = Queue(ledger, settings).items("accepted", "edited", "rejected", "promoted")
    reviewed = sum(since <= each.at < end for each in decided)
    return Quality(len(judged), sum(bool(failed(each, limits)) for each in judged), reviewed)


def _known(case: UseCase, project: Project) -> dict[str, dict[str, Any]]:
    """Mark what the ledger knows of a use case that is in use."""
    if case.launched is None or case.launched > datetime.now(UTC).date():
        return {}
    from genai.reports.business import measured

    dollars = case.money is not None and case.money.currency == _LEDGER
    found = measured(open_ledger(project))[0]
    return {name: {"measured": True} for name in found if dollars or name != "cost"}

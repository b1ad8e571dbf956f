"""The business case as one value, and as JSON, a page, a spreadsheet and plots."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from genai import __version__
from genai.config import digest
from genai.errors import ConfigError, InputError
from genai.reports.business import plots
from genai.reports.business.draws import Outlook, outlook
from genai.reports.business.formula import Case, case_of, crossings
from genai.reports.business.inputs import BusinessSettings, Criterion, Input
from genai.reports.business.register import register, remarks
from genai.reports.business.workbook import workbook

_PLAIN = (float, float | None)  # types of a figure that a kill criterion may name


@dataclass(frozen=True, slots=True)
class BusinessReport:
    """A case with its distribution. `warnings` are reasons to print no headline.

    `remarks` name assumptions that nobody stands for, or not for a year. `kill` pairs each
    criterion with what the case gives and whether it is kept; `bands` are the requests a month,
    from and to, for which own GPUs are cheaper; `stamp` says what it rests on.
    """

    settings: BusinessSettings
    inputs: Mapping[str, Input]
    case: Case
    outlook: Outlook
    bands: tuple[tuple[float, float], ...]
    kill: tuple[tuple[Criterion, float | None, bool], ...]
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    stamp: Mapping[str, str] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Give everything as plain values: the same inputs and seed give the same text."""
        case = asdict(replace(self.case, months=()))
        case.pop("months")
        return {
            "title": self.settings.title,
            "currency": self.settings.currency,
            "assumptions": digest(self.settings.model_dump(mode="json")),
            "inputs": {n: {**asdict(i), "central": i.central} for n, i in self.inputs.items()},
            "case": case,
            "months": [asdict(month) for month in self.case.months],
            "outlook": asdict(self.outlook),
            "self_hosting_cheaper": [list(band) for band in self.bands],
            "kill": [
                {**c.model_dump(mode="json"), "value": value, "kept": kept}
                for c, value, kept in self.kill
            ],
            "warnings": list(self.warnings),
            "stamp": dict(self.stamp),
        }

    def json(self) -> str:
        """Give the canonical JSON; what has no end is null."""
        return json.dumps(_plain(self.figures()), sort_keys=True, indent=1, allow_nan=False) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Write `business.{json,html,xlsx}` and the plots; give their paths.

        Raises:
            InputError: the folder cannot be written.
        """
        files = {"business.json": self.json().encode(), "business.html": self.html().encode()}
        files["business.xlsx"] = self.xlsx()
        for plot in ("fan", "tornado", "curve"):
            files |= {f"{plot}.svg": self.plot(plot).svg().encode()}
            files |= {f"{plot}.png": self.plot(plot).png()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (folder / name).write_bytes(content)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror}); name another folder"
            ) from error
        return [folder / name for name in files]

    def html(self) -> str:
        """Give the one-page summary."""
        from genai.reports.business.page import page

        return page(self)

    def xlsx(self) -> bytes:
        """Give the spreadsheet, with live formulas."""
        return workbook(self.settings, self.inputs, self.case, self.remarks)

    def plot(self, name: str) -> plots.Plot:
        """Give a plot, `fan`, `tornado` or `curve`; `.svg()` and `.png()` draw it."""
        if name == "tornado":
            return plots.tornado(self.outlook.swings)
        return {"fan": plots.fan, "curve": plots.curve}[name](self.outlook)

    def hosting(self) -> list[str]:
        """Say for which requests a month own GPUs are cheaper: one line a band."""
        if self.settings.hosting is None:
            return []
        if not self.bands:
            return ["own GPUs: at no number of requests a month cheaper than the API"]
        return [
            f"own GPUs: cheaper from {start:,.0f} requests a month"
            + (" on" if math.isinf(end) else f" to {end:,.0f}")
            for start, end in self.bands
        ]

    def key_figures(self) -> list[tuple[str, str]]:
        """Give the figures of the single values, each with its name, as every face shows them."""
        case, unit = self.case, self.settings.currency
        success, rate, volume = case.cost_per_success, case.irr, case.break_even_volume
        cash, fallback = case.cash_cost_per_case, case.cost_with_fallback
        return [
            ("cost per success", "none" if success is None else f"{unit} {success:,.4f}"),
            ("cost per case, errors and review included", f"{unit} {cash:,.4f}"),
            ("cost per case, with human fallback", f"{unit} {fallback:,.4f}"),
            ("return on investment", f"{case.roi:.1%}"),
            ("internal rate of return, monthly", "none" if rate is None else f"{rate:.2%}"),
            ("paid back after", _months(case.payback)),
            ("paid back after, discounted", _months(case.payback_discounted)),
            ("break-even, cases a month", "none" if volume is None else f"{volume:,.0f}"),
        ]

    def register(self) -> list[dict[str, str]]:
        """Give who stands for each number: its `input`, `value`, `source`, `owner` and so on."""
        return register(self.settings, self.inputs)

    def text(self) -> str:
        """Say it in a few lines."""
        found, unit = self.outlook, self.settings.currency
        lines = [f"{self.settings.title}: {self.settings.decision}".rstrip(": ")]
        lines += [f"NO HEADLINE: {warning}" for warning in self.warnings]
        if not self.warnings:
            lines.append(
                f"net present value {unit} {found.p50:,.0f} (P10 {found.p10:,.0f}, P90"
                f" {found.p90:,.0f}); chance of a gain {found.positive:.0%}"
            )
        lines.append(f"single values: {unit} {self.case.npv:,.2f}")
        lines += [f"  {name}: {value}" for name, value in self.key_figures()]
        for swing in found.swings[:3]:
            lines.append(
                f"  {swing.name}: {swing.low:,.0f} to {swing.high:,.0f}; knowing it is worth"
                f" {swing.worth:,.0f}"
            )
        lines += [f"  {line}" for line in self.hosting()]
        for criterion, value, kept in self.kill:
            shown = "unknown" if value is None else f"{value:.3g}"
            lines.append(
                f"  kill criterion {criterion.words}: {shown}, {'kept' if kept else 'BROKEN'}"
            )
        lines += [f"  remark: {each}" for each in self.remarks]
        lines.append("; ".join(f"{name} {value}" for name, value in self.stamp.items()))
        return "\n".join(lines)


def business_report(
    settings: BusinessSettings, inputs: Mapping[str, Input], *, draws: int = 10_000,
    seed: int = 20_260, warnings: Sequence[str] = (), stamp: Mapping[str, str] | None = None,
    today: date | None = None,
) -> BusinessReport:  # fmt: skip
    """Work out a case: single values, the distribution, hosting bands, kill criteria.

    `stamp` says what the measured inputs rest on; version, a hash of all inputs, draws and seed are
    added. Assumptions over a year old on `today` (UTC), or without source, owner or date, are
    remarks.
    """
    case = case_of(settings, {name: each.central for name, each in inputs.items()})
    found = outlook(settings, inputs, draws=draws, seed=seed)
    most = 0.0
    if settings.hosting is not None:
        most = max(inputs["volume"].central * 4, 1e7)
    bands = tuple(crossings(settings.hosting, most)) if settings.hosting else ()
    kill = tuple(_judge(each, case, found) for each in settings.kill)
    values = {name: asdict(each) for name, each in inputs.items()}
    said = {
        "genai": __version__, "inputs": digest(values), "draws": f"{draws}", "seed": f"{seed}",
        **(stamp or {}),
    }  # fmt: skip
    old = remarks(settings, inputs, today or datetime.now(UTC).date())
    return BusinessReport(
        settings, dict(inputs), case, found, bands, kill, tuple(warnings), tuple(old), said
    )


def _months(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} months"


def known_figure(criterion: Criterion) -> None:
    """Refuse a kill criterion on a figure that the case does not have. Raises `ConfigError`."""
    known = [each.name for kind in (Outlook, Case) for each in fields(kind) if each.type in _PLAIN]
    if criterion.figure not in known:
        close = get_close_matches(criterion.figure, known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"
        raise ConfigError(
            f"configs/business.yaml: `kill`: `{criterion.figure}` is not a figure; {hint}"
        )


def _judge(
    criterion: Criterion, case: Case, found: Outlook
) -> tuple[Criterion, float | None, bool]:
    known_figure(criterion)
    value = getattr(found, criterion.figure, getattr(case, criterion.figure, None))
    if not isinstance(value, int | float):
        return criterion, None, False
    kept = (criterion.min is None or value >= criterion.min) and (
        criterion.max is None or value <= criterion.max
    )
    return criterion, float(value), kept


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.10g}") if abs(value) != float("inf") else None
    return value

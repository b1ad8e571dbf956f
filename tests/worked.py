"""The worked example of a business case, for the tests of what becomes of it."""

from typing import Any

from genai.reports.business import BusinessSettings, Input, inputs_of

SINGLE = {
    "volume": 20000, "minutes": 12, "wage": 36, "realisation": 0.6, "cost": 0.042,
    "escalated": 0.22, "undetected": 0.02, "success": 0.76, "loss": 25, "review": 0.05,
    "review_cost": 1.5, "fixed": 9000, "build": 180000,
}  # fmt: skip
UNSTATED = {"compliance": 0.0, "revenue": 0.0}
RAMP = [0.2, 0.4, 0.6, 0.8, 1.0]


def said_by(**values: Any) -> dict[str, Any]:
    return {"source": "s", "owner": "o", **values}


def stated(**changes: Any) -> dict[str, Any]:
    values = {**SINGLE, **changes}
    return {
        name: each if isinstance(each, dict) else {"value": each, "source": "s", "owner": "o"}
        for name, each in values.items()
    }


def settings(**changes: Any) -> BusinessSettings:
    return BusinessSettings.model_validate({"inputs": stated(), "ramp": RAMP, **changes})


def inputs(**changes: Input) -> dict[str, Input]:
    return {**inputs_of(settings(), {}), **changes}


# what is drawn in the worked example with ranges
DRAWN = {
    "volume": Input("volume", "pert", 15000, 20000, 26000),
    "minutes": Input("minutes", "pert", 8, 12, 20),
    "realisation": Input("realisation", "pert", 0.3, 0.6, 0.8),
    "cost": Input("cost", "lognormal", 0.042, 0.10),
    "escalated": Input("escalated", "beta", 55, 250),
    "undetected": Input("undetected", "beta", 5, 250),
    "fixed": Input("fixed", "pert", 7000, 9000, 14000),
}

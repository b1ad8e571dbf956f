"""The settings of the loop: what is looked at, what it may cost, and where it goes."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from genai.config import Settings, read_settings
from genai.evals.suite import MetricSettings
from genai.project import default_suite

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of a file, never a path


class OnlineSettings(Settings):
    """Scorers and judges on a sample of live traffic, with their own budget."""

    share: float = Field(default=0.1, gt=0, le=1, description="of the answered questions")
    spend: str = Field(
        default="1.00", pattern=r"^\d{1,9}(\.\d{1,9})?$", description="dollars a day, quoted"
    )
    judge: str = ""
    metrics: dict[str, MetricSettings] = Field(default_factory=dict)

    @field_validator("metrics")
    @classmethod
    def _bounded(cls, given: dict[str, MetricSettings]) -> dict[str, MetricSettings]:
        for name, each in given.items():
            if each.min is None and each.max is None:
                raise ValueError(f"`{name}` needs `min` or `max`: what is a failure?")
        return given


class CanarySettings(Settings):
    """Known questions that are asked on a schedule."""

    suite: str = Field(default_factory=default_suite, pattern=_NAME)
    cases: int = Field(default=8, ge=1)
    every_hours: float = Field(default=24.0, ge=0)


class LoopSettings(Settings):
    """The whole of `configs/loop.yaml`."""

    version: Literal[1] = 1
    days: float = Field(default=30.0, gt=0)
    low_support: float = Field(default=0.6, ge=0, le=1)
    cases: str = Field(default_factory=default_suite, pattern=_NAME)
    pairs: str = Field(default="feedback-dpo", pattern=_NAME)
    online: OnlineSettings = OnlineSettings()
    canary: CanarySettings = Field(default_factory=CanarySettings)


def load_loop(path: Path) -> LoopSettings:
    """Read the settings of the loop; without the file every default holds.

    Raises:
        ConfigError: names file, key and cure.
    """
    return read_settings(LoopSettings, path) if path.is_file() else LoopSettings()

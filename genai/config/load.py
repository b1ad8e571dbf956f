"""Put a project's settings together from arguments, environment, file and defaults."""

import os
from pathlib import Path
from typing import Any

from genai.config.read import read_yaml, validate
from genai.config.sections import Config
from genai.errors import ConfigError, shown


def load_config(path: Path, **overrides: Any) -> Config:
    """Read settings; `overrides` are dotted keys with `__` for the dot (`chain__model="..."`).

    Raises:
        ConfigError: names file, key and cure.
    """
    name = shown(path)
    data = read_yaml(path) if path.is_file() else {}
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: must be a mapping of settings, not {type(data).__name__}")
    # of a section whose lines are all taken out the name stays
    data = {section: value for section, value in data.items() if value is not None}
    for section, key, value in _environment():
        name = f"{name} with GENAI_* variables"
        _set(data, section, key, value)
    for dotted, value in overrides.items():
        if value is not None:
            section, _, key = dotted.rpartition("__")
            _set(data, section, key, value)
    return validate(Config, data, name)


def _set(data: dict[str, Any], section: str, key: str, value: object) -> None:
    if section:
        data[section] = {**(data.get(section) or {}), key: value}
    else:
        data[key] = value


def _environment() -> list[tuple[str, str, str]]:
    found = []
    for section, field in Config.model_fields.items():
        nested = getattr(field.annotation, "model_fields", None)
        for key in nested or [""]:
            variable = "_".join(["GENAI", section, key] if key else ["GENAI", section]).upper()
            if variable in os.environ and section not in {
                "version",
                "models",
                "refusals",
                "budgets",
            }:
                value = os.environ[variable]
                found.append((section, key, value) if key else ("", section, value))
    return found

"""Put a project's settings together from arguments, environment, file and defaults."""

import difflib
import os
from pathlib import Path
from typing import Any

from genai.config.read import read_yaml, validate
from genai.config.sections import Config
from genai.errors import ConfigError, shown

# what else the product reads
_OTHERS = ("GENAI_PROJECT", "GENAI_PSEUDONYM_KEY", "GENAI_SERVER_KEY", "GENAI_USER_KEY")


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


def misspelt_variables() -> list[str]:
    """Name the variables of the environment that are nearly called as one of ours, one line each.

    Another one may be somebody's own, such as the key of an endpoint.
    """
    known = {*_variables(), *_OTHERS}
    lines = []
    for name in sorted(each for each in os.environ if each.startswith("GENAI_")):
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if close and name not in known:
            lines.append(f"{name}: nothing reads this variable; did you mean {close[0]}?")
    return lines


def _environment() -> list[tuple[str, str, str]]:
    given = [(place, os.environ.get(name)) for name, place in _variables().items()]
    return [(*place, value) for place, value in given if value is not None]


def _variables() -> dict[str, tuple[str, str]]:
    """Give the variable of each setting that has one, with its section and key."""
    found = {}
    for section, field in Config.model_fields.items():
        if section in {"version", "models", "refusals", "budgets"}:
            continue
        nested = getattr(field.annotation, "model_fields", None)
        for key in nested or [""]:
            place = (section, key) if key else ("", section)
            found["_".join(["GENAI", *filter(None, place)]).upper()] = place
    return found

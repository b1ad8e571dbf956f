"""Read settings files: YAML without surprises, and one line for whatever is wrong with them."""

import difflib
import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from yaml.composer import Composer

from genai.errors import ConfigError, shown


class Settings(BaseModel):
    """Base of every settings section: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Settings)
_SECRET = ("url", "server", "api_key_env")


def _currency(given: str) -> str:
    if not re.fullmatch("[A-Z]{3}", given):
        raise ValueError("must be a code of ISO 4217 such as USD or EUR")
    return given


Currency = Annotated[str, AfterValidator(_currency)]


def digest(value: object) -> str:
    """Hash canonical JSON (sorted keys, no spaces) to 12 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text_hash(text)[:12]


def text_hash(text: str) -> str:
    """Give the SHA-256 of a text in 64 hex digits; halves of pairs, as JSON can hold, count too."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is an error instead of the last one winning."""


def _mapping(loader: Any, node: yaml.MappingNode) -> Any:
    seen: set[str] = set()
    for key, _ in node.value:
        where = f"line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, f"a key is no plain text, {where}")
        if key.value in seen:
            raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` twice, {where}")
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_quick: type[yaml.SafeLoader | yaml.CSafeLoader] = _UniqueKeys

if yaml.__with_libyaml__:

    class _UniqueKeysInC(Composer, yaml.CSafeLoader):
        """The same with its text parsed in C; nodes composed in C would crash where they nest."""

        def __init__(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)
            Composer.__init__(self)

    _UniqueKeysInC.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
    _quick = _UniqueKeysInC


def parse_yaml(text: str, name: str) -> Any:
    """Read YAML safely; `name` is the file for error messages.

    Raises:
        ConfigError: broken YAML, a key given twice, a date that is none, or brackets without end.
    """
    try:
        with suppress(yaml.YAMLError, UnicodeEncodeError):  # the slow one's errors say more
            return yaml.load(text, Loader=_quick)
        return yaml.load(text, Loader=_UniqueKeys)
    except RecursionError as error:
        raise ConfigError(f"{name}: is nested too deeply; simplify it") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        # a question in braces without quotes, or a colon in a text: what people meet first
        met = ("got '?'", "mapping values are not allowed", "no plain text")
        bare = any(each in problem for each in met)
        cure = "put the text in quotes" if bare else "mend it"
        raise ConfigError(f"{name}:{where} is not valid YAML: {problem}; {cure}") from error
    except (ValueError, TypeError, OverflowError) as error:  # a date or number that cannot be
        raise ConfigError(
            f"{name}: holds a value that YAML cannot read ({error}); put it in quotes"
        ) from error


def validate(schema: type[S], data: object, name: str) -> S:
    """Check `data` against a settings class.

    Raises:
        ConfigError: one line with file, key and cure; a misspelt key gets a suggestion.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: must be a mapping of settings, not {type(data).__name__}")
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{name}: {_first_problem(schema, error)}") from error


def read_settings(schema: type[S], path: Path) -> S:
    """Read a settings file that a project must have.

    Raises:
        ConfigError: it is missing, cannot be read, or has a mistake; names file, key and cure.
    """
    if not path.is_file():
        raise ConfigError(f"{shown(path)}: is missing; copy it from the starter (`genai init`)")
    return validate(schema, read_yaml(path), shown(path))


def read_yaml(path: Path) -> Any:
    """Read a YAML file; an empty one is an empty mapping. Raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown(path)}: cannot be read ({error}); mend or remove it") from error
    data = parse_yaml(text, shown(path))
    return {} if data is None else data


def _first_problem(schema: type[BaseModel], error: ValidationError) -> str:
    # a misspelt key also leaves the right one missing; the misspelling is the thing to say
    problem = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    path = [str(step) for step in problem["loc"]]
    key, section = (path[-1] if path else ""), ".".join(path[:-1])
    if problem["type"] == "missing":
        return f"`{'.'.join(path)}` is missing; add it"
    if problem["type"] != "extra_forbidden":
        where = f"`{'.'.join(path)}`: " if path else ""
        said = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        value = problem["input"]
        # an address may hold a password, `api_key_env` a key; a whole section says nothing
        shows = key not in _SECRET and isinstance(value, str | int | float | bool)
        return f"{where}{said}{f' (got {value!r})' if shows else ''}"
    known = _fields_at(schema, path[:-1])
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"
    return f"`{key}` is not a setting{f' of `{section}`' if section else ''}; {hint}"


def _fields_at(schema: type[BaseModel], path: list[str]) -> list[str]:
    """Follow `path` through nested settings classes, through dict and list items too."""
    current: Any = schema
    for step in path:
        fields = getattr(current, "model_fields", {})
        annotation = fields[step].annotation if step in fields else current
        args = [a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")]
        current = args[0] if args else annotation
    return sorted(getattr(current, "model_fields", {}))

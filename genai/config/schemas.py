"""JSON schemas: what of one a value breaks. No reference is fetched from anywhere."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from genai import extras


@functools.lru_cache(maxsize=64)
def validator(schema: str) -> Any:
    """Give the validator of a schema, given as JSON: 2020-12 unless `$schema` says otherwise.

    Raises:
        MissingExtra: the package `jsonschema` is absent.
        ValueError: the schema itself is wrong; says how.
    """
    package: Any = extras.load("jsonschema", "gateway")
    referencing: Any = extras.load("referencing", "gateway")
    body = json.loads(schema)
    kind = package.validators.validator_for(body, default=package.Draft202012Validator)
    try:
        kind.check_schema(body)
    except package.SchemaError as error:
        raise ValueError(f"the schema itself is wrong: {error.message}") from error
    return kind(body, registry=referencing.Registry())


def breach(schema: Mapping[str, Any], value: Any) -> str:
    """Say where a value breaks a schema first, and by which rule, never the value; "" if it fits.

    Raises:
        MissingExtra: the package `jsonschema` is absent.
        ValueError: the schema is wrong, or refers to something that is not in it.
    """
    check = validator(json.dumps(schema, sort_keys=True))
    referencing: Any = extras.load("referencing", "gateway")
    try:
        found = next(iter(check.iter_errors(value)), None)
    except referencing.exceptions.Unresolvable as error:
        raise ValueError(f"the schema refers to {error.ref!r}, which is not in it") from error
    if found is None:
        return ""
    steps = (str(e) if isinstance(e, int) else repr(e)[1:-1] for e in found.absolute_path)
    return f"{'.'.join(steps) or 'the top'} breaks `{found.validator}`"

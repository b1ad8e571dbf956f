"""`__all__` is what the face gives, no more and no less."""

import ast
from pathlib import Path

import pytest

import genai


@pytest.mark.parametrize("name", genai.__all__)
def test_every_public_name_can_be_had_and_is_documented(name: str) -> None:
    assert getattr(genai, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'modle'"):
        _ = genai.modle  # type: ignore[attr-defined]


def test_the_type_checker_sees_the_same_names() -> None:
    source = Path(genai.__file__).read_text(encoding="utf-8")
    checked = {
        alias.asname
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("genai.")
        for alias in node.names
    }
    assert checked == set(genai.__all__)

"""A suite is a YAML file of cases; this reads it, checks it, and gives it one hash."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, model_validator

from genai.config import Settings, digest, parse_yaml, validate
from genai.errors import CaseError, ConfigError

Kind = Literal["answerable", "unanswerable", "ambiguous", "adversarial"]


class Gold(Settings):
    """Where the answer stands: a quote of a document, white space aside."""

    document: str
    quote: str = Field(min_length=3)


class Case(Settings):
    """One question and what should come of it.

    `gold_any`: one of the gold quotes is enough, as for an ambiguous question.
    `expect` follows from `kind`, except that an adversarial case must say it.
    """

    id: str = Field(min_length=1)
    input: str = Field(min_length=1)
    kind: Kind
    gold: list[Gold] = Field(default_factory=list)
    gold_any: bool = False
    expect: Literal["answer", "refusal"] = "answer"
    tags: list[str] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _expectation(cls, data: object) -> object:
        if isinstance(data, dict) and "expect" not in data:
            if data.get("kind") == "adversarial":
                raise ValueError("an adversarial case needs `expect: answer` or `expect: refusal`")
            refusal = data.get("kind") == "unanswerable"
            data = {**data, "expect": "refusal" if refusal else "answer"}
        return data


class Limit(Settings):
    """What a metric must reach."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some(self) -> "Limit":
        if self.min is None and self.max is None:
            raise ValueError("needs `min` or `max`")
        return self


class Suite(Settings):
    """Cases, and the limits of the metrics that judge them."""

    suite: str
    version: int = 1
    description: str = ""
    source: str = "docs"
    metrics: dict[str, Limit] = Field(min_length=1)
    cases: list[Case] = Field(min_length=1)

    @property
    def hash(self) -> str:
        """12 hex digits over the cases in id order; neither file order nor limits matter."""
        rows = [case.model_dump(mode="json", exclude={"tags"}) for case in self.cases]
        return digest(sorted(rows, key=lambda row: str(row["id"])))


def squeeze(text: str) -> str:
    """Give a text with every run of white space as one space."""
    return " ".join(text.split())


def load_suite(path: Path, known_metrics: Mapping[str, object]) -> Suite:
    """Read a suite and check every case.

    Raises:
        CaseError: broken YAML, a wrong key, a duplicate id, an unknown metric, or a gold quote
            that its document does not hold; names file, line and case.
    """
    shown = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise CaseError(f"{shown}: no such suite; known: {known}") from error
    try:
        suite = validate(Suite, parse_yaml(text, shown), shown)
    except ConfigError as error:
        raise CaseError(str(error)) from error
    lines = _id_lines(text)
    seen: set[str] = set()
    for case in suite.cases:
        if case.id in seen:
            where = " and ".join(str(line) for line in lines.get(case.id, []))
            raise CaseError(f"{shown}: the id `{case.id}` stands twice, lines {where}; rename one")
        seen.add(case.id)
    for metric in suite.metrics:
        if metric not in known_metrics:
            known = ", ".join(known_metrics)
            raise CaseError(f"{shown}: `{metric}` is not a metric; known: {known}")
    _check_gold(suite, path.parent.parent / suite.source, shown, lines)
    return suite


def _id_lines(text: str) -> dict[str, list[int]]:
    lines: dict[str, list[int]] = {}
    for node in _cases(yaml.compose(text, Loader=yaml.SafeLoader)):
        for key, value in node.value:
            if key.value == "id":
                lines.setdefault(value.value, []).append(value.start_mark.line + 1)
    return lines


def _cases(root: yaml.Node | None) -> list[yaml.MappingNode]:
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value == "cases":
            return [node for node in value.value if isinstance(node, yaml.MappingNode)]
    return []


def _check_gold(suite: Suite, folder: Path, shown: str, lines: dict[str, list[int]]) -> None:
    texts: dict[str, str] = {}
    for case in suite.cases:
        line = lines.get(case.id, [0])[0]
        if case.expect == "answer" and not case.gold:
            raise CaseError(
                f"{shown}: line {line}: case `{case.id}` expects an answer; give `gold`"
            )
        for gold in case.gold:
            path = folder / gold.document
            if gold.document not in texts:
                if not path.is_file():
                    raise CaseError(
                        f"{shown}: line {line}: case `{case.id}`: {suite.source}/{gold.document}"
                        " does not exist"
                    )
                texts[gold.document] = squeeze(path.read_text(encoding="utf-8"))
            if squeeze(gold.quote) not in texts[gold.document]:
                raise CaseError(
                    f"{shown}: line {line}: case `{case.id}`: {gold.document} does not hold"
                    f" {gold.quote!r}; mend the quote"
                )

"""The lists that guards compare with: known attacks, unsafe requests, insults. Users' to change."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from genai.config import Settings, parse_yaml, validate
from genai.errors import ConfigError
from genai.project import starter


class Request(Settings):
    """A category of unsafe requests: those that ask for help with harm, and fine ones beside."""

    ask: list[str]
    fine: list[str]


class Wording(Settings):
    """A category of toxic words, as regular expressions without anchors."""

    alone: list[str] = Field(default_factory=list)
    aimed: list[str] = Field(default_factory=list)
    people: list[str] = Field(default_factory=list)

    @field_validator("alone", "aimed", "people")
    @classmethod
    def _compiles(cls, given: list[str]) -> list[str]:
        for each in given:
            try:
                re.compile(each)
            except re.error as error:
                raise ValueError(f"{each!r} is not a regular expression ({error})") from error
        return given


_CATEGORIES: dict[str, type[Settings]] = {"requests": Request, "toxicity": Wording}


class Lists:
    """Reads the files of a folder, the starter's where the folder lacks one."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def attacks(self) -> tuple[str, ...]:
        """Give the known attacks, of all families."""
        return tuple(text for texts in self.read("attacks").values() for text in texts)

    def harmless(self) -> tuple[str, ...]:
        """Give sentences that share words with attacks and are none."""
        own = tuple(text for texts in self.read("harmless").values() for text in texts)
        fine = (text for lists in self.requests().values() for text in lists["fine"])
        return (*own, *fine)

    def requests(self, categories: Sequence[str] = ()) -> dict[str, dict[str, list[str]]]:
        """Give the unsafe request categories: `ask` and `fine`, example sentences each."""
        return self._chosen("requests", categories)

    def toxicity(self, categories: Sequence[str] = ()) -> dict[str, dict[str, list[str]]]:
        """Give the categories of toxic wording: `alone`, `aimed` and `people`, words each."""
        return self._chosen("toxicity", categories)

    def _chosen(self, name: str, categories: Sequence[str]) -> dict[str, Any]:
        found = self.read(name)
        unknown = set(categories) - set(found)
        if unknown:
            raise ConfigError(
                f"configs/guards.yaml: configs/guards/{name}.yaml has no category"
                f" `{min(unknown)}`; it has {', '.join(found)}"
            )
        return {key: value for key, value in found.items() if not categories or key in categories}

    def read(self, name: str) -> dict[str, Any]:
        """Read one list by its file's name: categories, each with its texts.

        Raises:
            ConfigError: the file has another form; names file, category and cure.
        """
        own = self._folder / f"{name}.yaml" if self._folder else None
        path = own if own and own.is_file() else starter() / "configs" / "guards" / f"{name}.yaml"
        shown = f"configs/guards/{name}.yaml"
        found = parse_yaml(path.read_text("utf-8"), shown)
        if not isinstance(found, dict):
            raise ConfigError(f"{shown}: must be a mapping of categories; copy the starter's")
        for category, given in found.items():
            if name in _CATEGORIES:
                validate(_CATEGORIES[name], given, f"{shown}: {category}")
            elif not isinstance(given, list) or not all(isinstance(each, str) for each in given):
                raise ConfigError(f"{shown}: `{category}` must be a list of sentences")
        return found

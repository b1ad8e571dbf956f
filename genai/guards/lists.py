"""The lists that guards compare with: known attacks, unsafe requests, insults. Users' to change."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai.config import parse_yaml
from genai.errors import ConfigError
from genai.project import starter


class Lists:
    """Reads the files of a folder, the starter's where the folder lacks one."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def attacks(self) -> tuple[str, ...]:
        """Give the known attacks, of all families."""
        return tuple(text for texts in self._read("attacks").values() for text in texts)

    def harmless(self) -> tuple[str, ...]:
        """Give sentences that share words with attacks and are none."""
        own = tuple(text for texts in self._read("harmless").values() for text in texts)
        fine = (text for lists in self.requests().values() for text in lists["fine"])
        return (*own, *fine)

    def requests(self, categories: Sequence[str] = ()) -> dict[str, dict[str, list[str]]]:
        """Give the unsafe request categories: `ask` and `fine`, example sentences each."""
        return self._chosen("requests", categories)

    def toxicity(self, categories: Sequence[str] = ()) -> dict[str, dict[str, list[str]]]:
        """Give the categories of toxic wording: `alone`, `aimed` and `people`, words each."""
        return self._chosen("toxicity", categories)

    def _chosen(self, name: str, categories: Sequence[str]) -> dict[str, Any]:
        found = self._read(name)
        unknown = set(categories) - set(found)
        if unknown:
            raise ConfigError(
                f"configs/guards.yaml: configs/guards/{name}.yaml has no category"
                f" `{min(unknown)}`; it has {', '.join(found)}"
            )
        return {key: value for key, value in found.items() if not categories or key in categories}

    def _read(self, name: str) -> dict[str, Any]:
        own = self._folder / f"{name}.yaml" if self._folder else None
        path = own if own and own.is_file() else starter() / "configs" / "guards" / f"{name}.yaml"
        shown = f"configs/guards/{name}.yaml"
        found = parse_yaml(path.read_text("utf-8"), shown)
        if not isinstance(found, dict):
            raise ConfigError(f"{shown}: must be a mapping of categories; copy the starter's")
        return found

"""Names for versions, and weighted shares of users for an experiment: `prompts/labels.yaml`.

A label points at one version of each prompt. An experiment gives each arm, a pinned prompt, a
weight; who gets which follows from the experiment's name and the user alone, so it is the same on
every machine and after every restart, and no list of users is kept.
"""

import hashlib
import math
import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field, field_validator

from genai.config import Settings, parse_yaml, validate
from genai.errors import PromptError
from genai.project import write_whole

FILE = "labels.yaml"
_PINNED = re.compile(r"[^@]+@[0-9a-f]{12}")
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


class Labels(Settings):
    """The whole of `prompts/labels.yaml`.

    `labels`: label -> prompt -> hash. `experiments`: name -> `prompt@hash` -> weight.
    """

    model_config = ConfigDict(strict=True)

    labels: dict[str, dict[str, Hash]] = Field(default_factory=dict)
    experiments: dict[str, dict[str, float]] = Field(default_factory=dict)

    @field_validator("experiments")
    @classmethod
    def _weights(cls, given: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for name, arms in given.items():
            loose = [arm for arm in arms if not _PINNED.fullmatch(arm)]
            if loose:
                raise ValueError(f"{name}: `{loose[0]}` is not pinned; write `prompt@hash`")
            if not all(0 <= each < math.inf for each in arms.values()) or not any(arms.values()):
                raise ValueError(f"{name}: weights are numbers from 0 up, one above 0")
        return given

    def arm(self, experiment: str, user: str) -> str:
        """Give the arm of a user: always the same one while the weights stay.

        A raised weight takes nobody out of its arm, a new arm takes from all in proportion, and
        weight 0 switches an arm off.

        Raises:
            PromptError: no such experiment, or no user to decide by.
        """
        if experiment not in self.experiments:
            known = ", ".join(self.experiments) or "none"
            raise PromptError(
                f"prompts/{FILE}: no experiment `{experiment}`; known: {known}; add it there"
            )
        if not user:
            raise PromptError(f"experiment {experiment}: `user` is empty; pass who is asking")
        arms = self.experiments[experiment]
        return min(
            (arm for arm, weight in arms.items() if weight),
            key=lambda arm: (-math.log(_uniform(experiment, user, arm)) / arms[arm], arm),
        )


def _uniform(experiment: str, user: str, arm: str) -> float:
    """Give a number in (0, 1) that looks random and is not."""
    text = "\x1f".join((experiment, user, arm)).encode("utf-8", "surrogatepass")
    return (int.from_bytes(hashlib.sha256(text).digest()[:8], "big") + 0.5) / 2**64


def read_labels(folder: Path) -> Labels:
    """Read the labels of a prompts folder; none where there is no file. Raises `ConfigError`."""
    path = folder / FILE
    data: Any = parse_yaml(path.read_text("utf-8"), f"prompts/{FILE}") if path.is_file() else {}
    return validate(Labels, data or {}, f"prompts/{FILE}")


def set_label(label: str, name: str, hash_: str, folder: Path) -> str:
    """Point a label at a version; give the hash it pointed at before, or ''.

    The file is written anew: comments below its first lines are lost.
    """
    known = read_labels(folder)
    before = known.labels.get(label, {}).get(name, "")
    labels = {**known.labels, label: {**known.labels.get(label, {}), name: hash_}}
    path = folder / FILE
    head = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        if not line.startswith("#"):
            break
        head.append(line)
    data = {"labels": labels, "experiments": known.experiments}
    body = yaml.safe_dump({k: v for k, v in data.items() if v}, sort_keys=False, width=100)
    write_whole(path, "\n".join([*head, body]), PromptError)
    return before

"""A recipe: everything a training run depends on, as one typed file.

`configs/sft.yaml` and `configs/dpo.yaml` are recipes. A misspelt key is one line with its cure;
what is left open (`auto`) is settled by `Recipe.settled` from the machine and the measured data.
"""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from genai.config import Settings, read_yaml, validate
from genai.errors import ConfigError, shown
from genai.finetune.hardware import Hardware
from genai.finetune.sections import (
    BudgetSettings,
    CardSettings,
    CheckSettings,
    DataFile,
    EvalSettings,
    LicenceSettings,
    PreferenceSettings,
    ScaleSettings,
    TrainingSettings,
    TuningSettings,
)  # fmt: skip
from genai.project import Project

Method = Literal["sft", "dpo", "kto", "orpo"]
Mask = Literal["completion", "assistant", "all"]
# what each method takes of `preference`
_PREFERENCE: dict[Method, set[str]] = {
    "sft": set(),
    "dpo": {"beta", "losses", "label_smoothing", "precompute_reference"},
    "kto": {"beta", "desirable_weight", "undesirable_weight", "precompute_reference"},
    "orpo": {"beta"},
}
_MAKE = "run the recipe that makes it, or name a Hugging Face id"
# names that trainers had once, or have under another section here
_RENAMED = {
    "max_seq_length": "max_length",
    "max_prompt_length": "max_length",
    "max_completion_length": "max_length",
    "rpo_alpha": "preference.losses: {sigmoid: 1, sft: A}",
    "warmup_ratio": "training.warmup_steps",
    "group_by_length": "nothing: rows are drawn at random",
    "gradient_checkpointing": "training.activation_checkpointing",
    "torch_dtype": "training.precision",
    "bf16": "training.precision: bf16",
    "fp16": "training.precision",
    "beta": "preference.beta",
    "loss_type": "preference.losses",
    "learning_rate": "training.learning_rate",
    "num_train_epochs": "training.epochs",
    "max_steps": "training.steps",
    "per_device_train_batch_size": "training.batch",
    "gradient_accumulation_steps": "training.accumulation",
    "lora_r": "tuning.rank",
    "lora_alpha": "tuning.alpha",
    "completion_only_loss": "mask: completion",
    "assistant_only_loss": "mask: assistant",
    "train_on_inputs": "mask: all",
    # these would make one text of a row, of which every token is trained
    "formatting_func": "data, with rows of messages",
    "dataset_text_field": "data, with rows of messages",
    "with_transform": "data, with rows that stand in the file as they are trained",
    "set_transform": "data, with rows that stand in the file as they are trained",
}


class Recipe(Settings):
    """One training run.

    `base` is a Hugging Face id, a folder, or what an earlier run wrote. `weights: random` makes new
    weights from the `config.json` there, by `training.seed`. `mask` says which tokens are trained:
    the `completion` after the prompt, every turn of the `assistant`, or `all`; it is never guessed
    from the shape of the data. `max_length: auto` is the 99th percentile of the measured lengths,
    or the longest one where that is at most half as long again; rounded up to a multiple of 8.
    """

    version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    method: Method
    base: str = Field(min_length=1)
    revision: str = Field(default="", description="commit of a Hugging Face id")
    weights: Literal["pretrained", "random"] = "pretrained"
    data: list[DataFile] = Field(min_length=1)
    mask: Mask
    max_length: int | Literal["auto"] = "auto"
    tuning: TuningSettings = TuningSettings()
    training: TrainingSettings
    preference: PreferenceSettings = PreferenceSettings()
    check: CheckSettings = CheckSettings()
    evals: EvalSettings
    budget: BudgetSettings = BudgetSettings()
    licences: LicenceSettings
    scale: ScaleSettings = ScaleSettings()
    card: CardSettings = CardSettings()

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if isinstance(self.max_length, int) and self.max_length < 8:
            raise ValueError("`max_length` must be `auto` or at least 8")
        if self.weights == "random" and self.tuning.kind not in ("auto", "full"):
            raise ValueError("an adapter on random weights learns nothing; use `tuning.kind: full`")
        if self.weights == "random" and self.method != "sft":
            raise ValueError(f"`{self.method}` starts from a trained model; run `sft` first")
        if self.method != "sft" and self.mask != "completion":
            raise ValueError(f"`{self.method}` trains the completion; use `mask: completion`")
        if self.method == "kto" and self.training.batch < 2:
            raise ValueError("`kto` compares rows of one batch; use `training.batch` of 2 or more")
        return self

    @property
    def world_size(self) -> int:
        """The number of processes over all machines."""
        return self.scale.processes * self.scale.nodes

    @property
    def rows_per_step(self) -> int:
        """The rows that change the weights once."""
        return self.training.batch * self.training.accumulation * self.world_size

    def steps_for(self, rows: int) -> int:
        """Give the optimizer steps of the run on so many rows."""
        if self.training.steps is not None:
            return self.training.steps
        assert self.training.epochs is not None
        per_epoch = -(-rows // self.rows_per_step)
        return max(1, round(per_epoch * self.training.epochs))

    def fitted(self, hardware: Hardware) -> "Recipe":
        """Give the recipe with the weights that change settled, before a model is built.

        Raises:
            ConfigError: the machine cannot hold a base in 4 bits.
        """
        kind: str = self.tuning.kind
        gpu = hardware.kind == "gpu"
        if kind == "qlora" and not (gpu and hardware.bitsandbytes):
            lacks = "bitsandbytes; run: pip install bitsandbytes" if gpu else "a GPU"
            raise ConfigError(
                f"{self.name}: `tuning.kind: qlora` needs a GPU and bitsandbytes; use `lora` or"
                f" `auto`, this machine lacks {lacks}"
            )
        if kind == "auto":
            adapter = "qlora" if gpu and hardware.bitsandbytes else "lora"
            kind = "full" if self.weights == "random" else adapter
        tuning = self.tuning.model_copy(update={"kind": kind})
        return self.model_copy(update={"tuning": tuning})

    def settled(self, hardware: Hardware, *, max_length: int, parameters: int) -> "Recipe":
        """Give the recipe with nothing left open.

        A CPU trains in fp32 without checkpointing or packing: where it has no instructions for bf16
        the defaults of TRL take several times as long. A GPU trains in bf16, packs where its
        attention keeps packed documents apart, and checkpoints above a billion parameters.

        Raises:
            ConfigError: the machine cannot do what the recipe asks for.
        """
        training = self.training
        gpu = hardware.kind == "gpu"
        if training.packing is True and not hardware.varlen_attention:
            raise ConfigError(
                f"{self.name}: `training.packing: true` needs flash attention, or packed rows see"
                " each other; use `packing: false`"
            )
        chosen: dict[str, Any] = {
            "precision": "bf16" if gpu and hardware.bf16 else "fp32",
            "activation_checkpointing": gpu and parameters > 1_000_000_000,
            "packing": gpu and hardware.varlen_attention and self.method == "sft",
            "engine": "trl" if hardware.trl else "native",
        }
        opened = {key: value for key, value in chosen.items() if getattr(training, key) == "auto"}
        return self.fitted(hardware).model_copy(
            update={
                "training": training.model_copy(update=opened),
                "max_length": max_length if self.max_length == "auto" else self.max_length,
            }
        )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; nothing heavy is imported.

    Raises:
        ConfigError: one line with file, key and cure; names that trainers had once are told.
    """
    name, data = shown(path), read_yaml(path)
    if isinstance(data, dict):
        for key in _keys_outside(data):
            raise ConfigError(f"{name}: `{key}` is not a setting; use `{_RENAMED[key]}`")
    recipe = validate(Recipe, data, name)
    for key in _keys_unused(recipe):
        raise ConfigError(f"{name}: `{key}` does nothing for `{recipe.method}`; take it out")
    return recipe


def _keys_outside(data: dict[str, Any]) -> list[str]:
    """Give the old names in a recipe, wherever they stand and are not a setting."""
    found = [key for key in data if key in _RENAMED and key not in Recipe.model_fields]
    for section, given in data.items():
        field = Recipe.model_fields.get(section)
        known = getattr(field.annotation, "model_fields", None) if field else None
        if isinstance(given, dict) and known is not None:
            found += [key for key in given if key in _RENAMED and key not in known]
    return found


def _keys_unused(recipe: Recipe) -> list[str]:
    """Give what a recipe states and its method does not read."""
    found = []
    if "preference" in recipe.model_fields_set:
        given = recipe.preference.model_fields_set - _PREFERENCE[recipe.method]
        found = [f"preference.{key}" for key in sorted(given)]
        if recipe.method == "sft":
            found = ["preference"]
    if recipe.method != "sft" and recipe.training.packing is True:
        found.append("training.packing")
    return found


def find_recipe(project: Project, given: str) -> Path:
    """Find a recipe by its path, by its path in the project, or by its name in `configs/`."""
    places = (Path(given), located(project, given), project.root / "configs" / f"{given}.yaml")
    return next((path for path in places if path.is_file()), places[0])


def base_of(recipe: Recipe, project: Project) -> str:
    """Give the folder of the base, or the Hugging Face id as it stands.

    Raises:
        ConfigError: it is neither an existing folder nor an id.
    """
    folder = located(project, recipe.base)
    if folder.is_dir():
        return str(folder)
    if recipe.base.startswith((".", "/", "~")) or recipe.base.count("/") != 1:
        demo = re.fullmatch(r"\.genai/finetune/demo/(\w+)/base", recipe.base)
        make = f"write it: `genai finetune data demo {demo[1]}`" if demo else _MAKE
        raise ConfigError(f"{recipe.name}: `base`: {recipe.base} is no folder; {make}")
    return recipe.base


def pinned(recipe: Recipe, base: str) -> str:
    """Give a base by its whole name: a folder, or `ID@COMMIT` where the recipe names a commit."""
    return base if Path(base).is_dir() or not recipe.revision else f"{base}@{recipe.revision}"


def located(project: Project, path: str) -> Path:
    """Find a path that a recipe names: `.genai/...` is the project's state, the rest its content.

    An absolute path stays as it is.
    """
    if path == ".genai" or path.startswith(".genai/"):
        return project.state / path.removeprefix(".genai").lstrip("/")
    return project.root / path

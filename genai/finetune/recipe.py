"""A recipe: everything a training run depends on, as one typed file.

`configs/sft.yaml` and `configs/dpo.yaml` are recipes. A misspelt key is one line with its cure;
what is left open (`auto`) is settled by `Recipe.settled` from the machine and the measured data.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from genai.config import Settings, parse_yaml, validate
from genai.errors import ConfigError
from genai.finetune.hardware import Hardware
from genai.project import Project

Method = Literal["sft", "dpo", "kto", "orpo"]
Mask = Literal["completion", "assistant", "all"]
Share = Annotated[float, Field(ge=0, le=1)]
# ranks that vLLM serves; another one trains and then cannot be served there
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
LOSSES = (
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
    "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
)  # fmt: skip
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
}


class DataFile(Settings):
    """A file of training rows, with what a card and a licence check must know of it.

    `consent` is the basis on which the texts may be used, such as `synthetic`, `contract`,
    `opt-in` or `public`; `defects` is known noise.
    """

    path: str = Field(min_length=1)
    licence: str = Field(min_length=1, description="an SPDX name, or `proprietary`")
    source: str = Field(min_length=1, description="where the rows came from")
    consent: str = Field(min_length=1)
    pii: Literal["none", "checked", "allowed"] = Field(
        description="none: there is none; checked: look for it; allowed: the basis covers it"
    )
    defects: str = ""


class TuningSettings(Settings):
    """Which weights change: all of them, or an adapter beside them."""

    kind: Literal["full", "lora", "dora", "qlora"]
    rank: int = Field(default=16, ge=1, le=512)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    modules: str | list[str] = Field(
        default="all-linear", description="layers with an adapter; never the output head"
    )

    @model_validator(mode="after")
    def _served(self) -> "TuningSettings":
        if self.kind != "full" and self.rank not in RANKS:
            raise ValueError(f"`rank` {self.rank} cannot be served by vLLM; use one of {RANKS}")
        named = [self.modules] if isinstance(self.modules, str) else self.modules
        if "lm_head" in named:
            raise ValueError("`modules` cannot hold lm_head; leave the output head as it is")
        return self


class TrainingSettings(Settings):
    """How the weights are changed. Exactly one of `steps` and `epochs` is given."""

    learning_rate: float = Field(gt=0, lt=1)
    steps: int | None = Field(default=None, ge=1)
    epochs: float | None = Field(default=None, gt=0, le=1000)
    batch: int = Field(default=16, ge=1, description="rows of one step on one process")
    accumulation: int = Field(default=1, ge=1)
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0, lt=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    seed: int = Field(default=0, ge=0)
    data_seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    activation_checkpointing: bool | Literal["auto"] = "auto"
    packing: bool | Literal["auto"] = "auto"
    engine: Literal["auto", "trl", "native"] = "auto"
    threads: int | None = Field(default=None, ge=1, description="CPU threads (default: all)")
    log_every: int = Field(default=10, ge=1)

    @model_validator(mode="after")
    def _one(self) -> "TrainingSettings":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give exactly one of `steps` and `epochs`")
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise ValueError(f"`warmup_steps` {self.warmup_steps} must be below `steps`")
        return self


class PreferenceSettings(Settings):
    """What DPO, KTO and ORPO need besides. `losses` are summed with these weights."""

    beta: float = Field(default=0.1, gt=0, le=10)
    losses: dict[str, float] = Field(default_factory=lambda: {"sigmoid": 1.0})
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    desirable_weight: float = Field(default=1.0, gt=0)
    undesirable_weight: float = Field(default=1.0, gt=0)
    precompute_reference: bool = False

    @model_validator(mode="after")
    def _known(self) -> "PreferenceSettings":
        unknown = [name for name in self.losses if name not in LOSSES]
        if unknown:
            raise ValueError(f"`losses`: {unknown[0]!r} is no loss; known: {', '.join(LOSSES)}")
        if not self.losses or sum(self.losses.values()) <= 0:
            raise ValueError("`losses` needs at least one loss with a weight above 0")
        if "exo_pair" in self.losses and not self.label_smoothing:
            raise ValueError("`exo_pair` needs `label_smoothing` above 0")
        return self


class CheckSettings(Settings):
    """What `check` lets pass; above these it fails, and what only warns is said beside it."""

    truncated: Share = 0.005
    duplicates: Share = 0.01
    contradictions: Share = 0.01
    near: float = Field(default=0.8, gt=0, le=1, description="Jaccard at which two texts are one")
    longer_chosen: tuple[float, float] = Field(default=(0.3, 0.7), description="warns outside")
    label_balance: tuple[float, float] = Field(default=(0.25, 4.0), description="warns outside")
    epochs: float = Field(default=10.0, gt=0, description="warns above")
    leak_files: list[str] = Field(
        default_factory=list, description="more files that training must not hold, such as dev sets"
    )


class EvalSettings(Settings):
    """What says that a model is better.

    `dev` chooses the checkpoint and `suite` gates; both are suite files and share no case.
    """

    suite: str
    dev: str
    metric: str = "exact"
    every: int = Field(default=0, ge=0, description="steps between two dev scores; 0: at the end")
    patience: int = Field(default=0, ge=0, description="scores without a gain before the stop")
    limit: int | None = Field(default=None, ge=1, description="the first N dev cases only")
    max_tokens: int = Field(default=256, ge=1, description="of a generated answer")
    stage: Literal["pull_request", "release"] = "pull_request"

    @model_validator(mode="after")
    def _apart(self) -> "EvalSettings":
        if self.suite == self.dev:
            raise ValueError("`dev` chooses the checkpoint, so it cannot be the `suite` that gates")
        return self


class BudgetSettings(Settings):
    """What a run may take, and what its hours cost; a plan above a limit is refused."""

    max_hours: float | None = Field(default=None, gt=0)
    max_gib: float | None = Field(default=None, gt=0)
    max_cost: float | None = Field(default=None, gt=0)
    hourly_price: float | None = Field(default=None, ge=0, description="of the whole machine")
    currency: str = "USD"
    watts: float | None = Field(default=None, gt=0, description="of the machine under load")


class LicenceSettings(Settings):
    """Terms of the base, what the result is for, and terms that somebody has accepted by name."""

    base: str = Field(min_length=1)
    use: Literal["commercial", "research"] = "commercial"
    accepted: list[str] = Field(
        default_factory=list, description="NC, SA, ODbL, no-competing-model, unknown"
    )


class ScaleSettings(Settings):
    """Over how many processes and machines the run is spread."""

    strategy: Literal["single", "ddp", "fsdp2", "zero3"] = "single"
    processes: int = Field(default=1, ge=1, description="on one machine")
    nodes: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _spread(self) -> "ScaleSettings":
        if (self.strategy == "single") != (self.processes * self.nodes == 1):
            raise ValueError("`single` is one process on one node, and the others are more")
        return self


class CardSettings(Settings):
    """The words of the model card that nobody can measure."""

    intended_use: str = ""
    out_of_scope: str = ""
    limits: str = ""
    languages: list[str] = Field(default_factory=list)
    contact: str = ""
    licence: str = ""


class Recipe(Settings):
    """One training run.

    `base` is a Hugging Face id, a folder, or what an earlier run wrote. `weights: random` makes new
    weights from the `config.json` there, by `training.seed`. `mask` says which tokens are trained:
    the `completion` after the prompt, every turn of the `assistant`, or `all`; it is never guessed
    from the shape of the data. `max_length: auto` is the 99th percentile of the measured lengths.
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
    tuning: TuningSettings
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
        if self.weights == "random" and self.tuning.kind != "full":
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
        if self.tuning.kind == "qlora" and not (gpu and hardware.bitsandbytes):
            raise ConfigError(
                f"{self.name}: `tuning.kind: qlora` needs a GPU and bitsandbytes; use `lora`, or"
                " run: pip install bitsandbytes"
            )
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
        return self.model_copy(
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
    name = f"{path.parent.name}/{path.name}".lstrip("/")
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot be read ({error}); is it the right file?") from error
    if isinstance(data, dict):
        for key in _keys_outside(data):
            raise ConfigError(f"{name}: `{key}` is not a setting; use `{_RENAMED[key]}`")
    return validate(Recipe, data, name)


def _keys_outside(data: dict[str, Any]) -> list[str]:
    """Give the old names in a recipe, wherever they stand and are not a setting."""
    found = [key for key in data if key in _RENAMED and key not in Recipe.model_fields]
    for section, given in data.items():
        field = Recipe.model_fields.get(section)
        known = getattr(field.annotation, "model_fields", None) if field else None
        if isinstance(given, dict) and known is not None:
            found += [key for key in given if key in _RENAMED and key not in known]
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
        raise ConfigError(
            f"{recipe.name}: `base`: {recipe.base} is no folder; run the recipe that makes it, or"
            " name a Hugging Face id"
        )
    return recipe.base


def located(project: Project, path: str) -> Path:
    """Find a path that a recipe names: `.genai/...` is the project's state, the rest its content.

    An absolute path stays as it is.
    """
    if path == ".genai" or path.startswith(".genai/"):
        return project.state / path.removeprefix(".genai").lstrip("/")
    return project.root / path

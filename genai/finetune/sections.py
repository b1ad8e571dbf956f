"""The sections of a recipe, from its data to the words of its card."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from genai.config import Currency, Settings

Share = Annotated[float, Field(ge=0, le=1)]
# ranks that vLLM serves; another one trains and then cannot be served there
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
LOSSES = (
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
    "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
)  # fmt: skip


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
    """Which weights change: all of them, or an adapter beside them.

    `auto` is an adapter on a base in 4 bits (`qlora`) where a GPU and bitsandbytes are, else an
    adapter (`lora`); random weights are trained whole.
    """

    kind: Literal["auto", "full", "lora", "dora", "qlora"] = "auto"
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
        if "lm_head" in self.named:
            raise ValueError("`modules` cannot hold lm_head; leave the output head as it is")
        return self

    @property
    def named(self) -> list[str]:
        """The layers that are named; none where all that are linear get an adapter."""
        if self.modules == "all-linear":
            return []
        return [self.modules] if isinstance(self.modules, str) else self.modules


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
    def _scored(self) -> "EvalSettings":
        if self.patience and not self.every:
            raise ValueError("`patience` counts scores on the way; set `every`, steps between two")
        return self

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
    currency: Currency = "USD"
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

"""The sections of `configs/genai.yaml`: what may be set, and what holds by default."""

import os
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from genai.config.read import Settings, digest

_LEDGER_URL = "GENAI_LEDGER_URL"
_INDEX_SERVER = "GENAI_INDEX_SERVER"
_LONGEST_NAME = 200  # bytes; file systems end at 255, and files are named after an index too


def _without_password(url: str, variable: str) -> str:
    login = url.partition("://")[2].rpartition("@")[0]
    if (":" in login or "password=" in url) and url != os.environ.get(variable):
        raise ValueError(f"a password never stands in a file; put the URL in {variable}")
    return url


def _plain_off(given: object) -> object:
    return "off" if given is False else given  # YAML's own reading of a plain `off`


class ConfidenceSettings(Settings):
    """How four signals of the passages become one confidence: `genai.rag.confidence`.

    Fitted on the questions to 49 articles of a public reading set, half of them left out.
    """

    start: float = -6.6
    sentence: float = 7.9
    lead: float = 2.9
    together: float = 1.3
    drop: float = 2.3


class ChainSettings(Settings):
    """What answers: a model, a prompt, an index, and when to refuse."""

    model: str = "extractive"
    prompt: str = "rag/answer"
    index: str = "handbook"
    top_k: int = Field(default=6, ge=1, le=50)
    min_confidence: float | Literal["calibrated"] = Field(
        default=0.5, description="`calibrated` reads configs/calibration/<index>.json"
    )
    confidence: ConfidenceSettings = ConfidenceSettings()
    min_support: float = Field(default=0.5, ge=0, le=1)
    min_similarity: float = Field(
        default=0.85, ge=0, le=1, description="a near miss in words may be saved by its embedding"
    )
    rewrite: str = Field(
        default="off",
        description="who makes a follow-up stand alone: off, auto (the model, if it is an LLM), or"
        " a model",
    )
    queries: int = Field(default=0, ge=0, le=5, description="more wordings to search, by an LLM")
    rerank: str = Field(
        default="off",
        description="off, judge, cross-encoder/NAME, or package.module:function",
    )
    judge: str = Field(default="", description="a model that must confirm each sentence")

    @field_validator("rewrite", "rerank", mode="before")
    @classmethod
    def _off(cls, given: object) -> object:
        return _plain_off(given)

    @field_validator("index")
    @classmethod
    def _index(cls, name: str) -> str:
        if name.startswith("langchain/"):  # a retriever of theirs, by its import path
            return name
        if name in ("", ".", "..") or "/" in name or "\\" in name:
            raise ValueError("must be a name, not a path; indexes are kept in .genai/indexes")
        if not name.isprintable() or len(name.encode()) > _LONGEST_NAME:  # it names a folder
            raise ValueError(f"must be a name of at most {_LONGEST_NAME} bytes, in one line")
        return name

    @field_validator("min_confidence", mode="before")
    @classmethod
    def _confidence(cls, given: object) -> object:
        try:
            if given == "calibrated" or 0 <= float(given) <= 1:  # type: ignore[arg-type]
                return given
        except (TypeError, ValueError):
            pass
        raise ValueError("must be a number from 0 to 1, or `calibrated`")


class IndexSettings(Settings):
    """What is indexed and how it is cut, kept and searched."""

    documents: str = "docs"
    max_chars: int = Field(default=1000, ge=200, le=8000)
    splitter: str = Field(
        default="structure", description="structure, sentences, tokens, code, tables, module:name"
    )
    by_kind: dict[str, str] = Field(
        default_factory=dict, description="another splitter for a kind of document"
    )
    overlap: int = Field(default=0, ge=0, description="characters, for tokens tokens")
    max_tokens: int = Field(default=250, ge=20, description="for the splitter tokens")
    tokenizer: str = Field(default="", description="file of the splitter tokens")
    dense_weight: float = Field(default=0.5, ge=0, le=10)
    max_megabytes: int = Field(default=50, ge=1)
    tenants: bool = Field(
        default=False, description="each first folder is a tenant, and a search must name one"
    )
    server: str = Field(
        default="", description="vectors on a Chroma (http://) or PostgreSQL server"
    )

    @field_validator("server")
    @classmethod
    def _no_password(cls, url: str) -> str:
        return _without_password(url, _INDEX_SERVER)


class ModelSettings(Settings):
    """How to reach one model, where the defaults do not do."""

    base_url: str | None = None
    api_key_env: str | None = None
    timeout: float = Field(
        default=60.0, gt=0, description="seconds to the first token, and between"
    )
    connect_timeout: float = Field(default=10.0, gt=0, description="seconds to connect")
    total_timeout: float = Field(default=600.0, gt=0, description="seconds for a whole reply")
    retries: int = Field(default=2, ge=0, le=10)
    fallbacks: list[str] = Field(default_factory=list, description="models tried after this one")
    weights: dict[str, float] = Field(default_factory=dict, description="models drawn by weight")
    hedge_after: float | None = Field(
        default=None, gt=0, description="seconds until a second request for a whole reply"
    )
    max_connections: int | None = Field(
        default=None, ge=1, description="a fixed limit instead of the adaptive one"
    )
    params: dict[str, Any] = Field(default_factory=dict)

    @field_validator("api_key_env")
    @classmethod
    def _variable(cls, name: str | None) -> str | None:
        # a key has small letters too, and is shown wherever the variable is
        if name is None or name in os.environ or re.fullmatch("[A-Z_][A-Z0-9_]*", name):
            return name
        raise ValueError(
            "must be the name of a variable, such as OPENROUTER_API_KEY; a key never stands in a"
            " file"
        )


def settings_of(name: str, models: Mapping[str, ModelSettings]) -> ModelSettings:
    """Give a model's entry, by its whole name or without what follows `@`; else the defaults."""
    return models.get(name) or models.get(name.partition("@")[0]) or ModelSettings()


class RefusalText(Settings):
    """What a person reads when there is no answer, and what they can do next."""

    message: str
    next_step: str


class RefusalSettings(Settings):
    """The wording of each kind of refusal."""

    no_evidence: RefusalText = RefusalText(
        message="The documents do not answer this.",
        next_step="Look at the nearest passages below, name the topic more exactly, or add a"
        " document that covers it.",
    )
    low_support: RefusalText = RefusalText(
        message="An answer was written, but the documents do not support it, so it is withheld.",
        next_step="Read the passages below, or ask for one fact at a time.",
    )
    policy: RefusalText = RefusalText(
        message="A guard stopped this.",
        next_step="Change the part that it names and ask again.",
    )


class LedgerSettings(Settings):
    """What the ledger keeps; `content` says whether questions and answers are stored."""

    content: Literal["none", "feedback", "all"] = "none"
    url: str = Field(default="", description="a PostgreSQL URL; empty means .genai/ledger.db")
    durability: Literal["default", "full"] = "default"

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        if url and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("must be a postgresql:// URL, or empty")
        return _without_password(url, _LEDGER_URL)


class ReplaySettings(Settings):
    """Recorded replies instead of calls: see `genai.models.replay`.

    Where the variable `CI` is set, `record` is `replay`: a build never asks for what it lacks.
    """

    mode: Literal["off", "record", "replay", "refresh"] = "off"
    path: str = ".genai/replay.db"

    @field_validator("mode", mode="before")
    @classmethod
    def _off(cls, given: object) -> object:
        return _plain_off(given)


class BudgetSettings(Settings):
    """One spending limit; `match` is a name, or `*` for one a name that has no entry itself."""

    scope: Literal["total", "user", "feature", "tenant", "release", "run", "model"]
    match: str = "*"
    period: Literal["day", "month", "total"] = "month"
    limit: str = Field(description='dollars as a quoted decimal, such as "25.00"')
    unpriced: Literal["block", "allow"] = "block"

    @field_validator("limit")
    @classmethod
    def _decimal(cls, text: str) -> str:
        if not re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text):
            raise ValueError('must be a quoted decimal such as "25.00"')
        return text


class TelemetrySettings(Settings):
    """OpenTelemetry: off, or sent where the standard OTEL_* variables say."""

    enabled: bool = False
    content: bool = False


class EvalSettings(Settings):
    """How suites are judged; `judge` is the model that judges, best not the one under test."""

    judge: str = ""
    stage: Literal["pull_request", "release"] = "pull_request"


class TrackingSettings(Settings):
    """MLflow: runs and versions go to a server by its URL, or to `.genai/mlflow/`."""

    enabled: bool = False
    url: str = Field(
        default="", description="an MLflow server; empty means .genai/mlflow/mlflow.db"
    )

    @field_validator("url")
    @classmethod
    def _server(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must be the http:// or https:// URL of an MLflow server, or empty")
        if "@" in url.partition("://")[2]:
            raise ValueError("holds a password; put it in MLFLOW_TRACKING_PASSWORD, outside files")
        return url


_BESIDE = {"ledger", "budgets", "telemetry", "tracking"}  # they shape no answer


class Config(Settings):
    """The whole of `configs/genai.yaml`."""

    version: Literal[1] = 1
    chain: ChainSettings = ChainSettings()
    embedder: str = "static"
    index: IndexSettings = IndexSettings()
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    ledger: LedgerSettings = LedgerSettings()
    replay: ReplaySettings = ReplaySettings()
    budgets: list[BudgetSettings] = Field(default_factory=list)
    telemetry: TelemetrySettings = TelemetrySettings()
    evals: EvalSettings = EvalSettings()
    tracking: TrackingSettings = TrackingSettings()
    refusals: RefusalSettings = RefusalSettings()

    @field_validator("models", mode="before")
    @classmethod
    def _empty(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: {} if entry is None else entry for name, entry in given.items()}

    @field_validator("budgets")
    @classmethod
    def _one_limit_each(cls, given: list[BudgetSettings]) -> list[BudgetSettings]:
        seen = set()
        for each in given:
            match = "*" if each.scope == "total" else each.match
            if (each.scope, match, each.period) in seen:
                raise ValueError(
                    f"two entries have scope `{each.scope}`, match `{match}` and period"
                    f" `{each.period}`; keep one of them"
                )
            seen.add((each.scope, match, each.period))
        return given

    @property
    def hash(self) -> str:
        """12 hex digits over every setting that shapes an answer, for the rows of the ledger."""
        return digest(self.model_dump(mode="json", exclude=_BESIDE))

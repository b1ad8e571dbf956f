"""Metrics of ragas 0.4.3 as scorers: `ragas/faithfulness` and others, asked through our own door.

Our limits, budget, ledger and replay hold for them, as the judge of the suite is what they ask;
nothing of ragas' own clients, cache or executor is used, and its usage tracking is off. Where ragas
would give NaN, or divide by the verdicts that happened to come, the value is unmeasured. An empty
field is an error to ragas, and `missing_field` here; a failed trial is a wrong answer, as
everywhere. The prompts are ragas' own, and do not fence what they judge.
"""

import functools
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from genai import extras
from genai.errors import MissingExtra, ModelError
from genai.evals.judge.ask import NO_JUDGE, REFUSED, asked, failure_code, of_answers
from genai.evals.scorers.answer import accepted
from genai.evals.scorers.base import Scorer, Tools
from genai.evals.trial import CannotMeasure, Score, Trial
from genai.types import Context, Message

VERSION = "0.4.3"
_PARAMS = {"temperature": 0, "max_tokens": 4000}
_GONE = {"langchain_community.chat_models.vertexai": "ChatVertexAI",
         "langchain_community.llms.vertexai": "VertexAI"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Metric:
    """A class of `ragas.metrics.collections`: what it is given, and where it splits and judges.

    `refusals`: whether a refusal where an answer was due counts as wrong, or is no answer to judge.
    `claims` is its method that splits a text, `verdicts` the one that judges what came of it.
    """

    kind: str
    fields: tuple[str, ...]
    refusals: bool = False
    embeds: bool = False
    better: Literal["higher", "lower"] = "higher"
    claims: str = ""
    verdicts: str = ""
    nan: str = "empty_claims"


_ASKED, _SAID, _SEEN, _RIGHT = "user_input", "response", "retrieved_contexts", "reference"
_METRICS: dict[str, _Metric] = {
    "faithfulness": _Metric(
        "Faithfulness", (_ASKED, _SAID, _SEEN),
        claims="_create_statements", verdicts="_create_verdicts",
    ),
    "context_recall": _Metric("ContextRecall", (_ASKED, _SEEN, _RIGHT)),
    "context_precision": _Metric("ContextPrecision", (_ASKED, _RIGHT, _SEEN)),
    "context_utilization": _Metric("ContextUtilization", (_ASKED, _SAID, _SEEN)),
    "context_relevance": _Metric("ContextRelevance", (_ASKED, _SEEN), nan="judge_parse"),
    "response_groundedness": _Metric("ResponseGroundedness", (_SAID, _SEEN), nan="judge_parse"),
    "answer_relevancy": _Metric("AnswerRelevancy", (_ASKED, _SAID), refusals=True, embeds=True),
    "answer_accuracy": _Metric(
        "AnswerAccuracy", (_ASKED, _SAID, _RIGHT), refusals=True, nan="judge_parse"
    ),
    "answer_correctness": _Metric(
        "AnswerCorrectness", (_ASKED, _SAID, _RIGHT), refusals=True, embeds=True,
        claims="_generate_statements", verdicts="_classify_statements",
    ),
    "factual_correctness": _Metric(
        "FactualCorrectness", (_SAID, _RIGHT), refusals=True,
        claims="_decompose_claims", verdicts="_verify_claims",
    ),
    "noise_sensitivity": _Metric(
        "NoiseSensitivity", (_ASKED, _SAID, _RIGHT, _SEEN), better="lower",
        claims="_decompose_answer_into_statements", verdicts="_evaluate_statement_faithfulness",
    ),
}  # fmt: skip


def ragas_scorer(name: str) -> Scorer:
    """Make a scorer of the ragas metric `name`; its parameters are those of the ragas class.

    None without `expected` where the metric needs it, and for a refusal that was right.

    Raises:
        KeyError: there is no such metric here.
    """
    metric = _METRICS[name]
    wrong = 1.0 if metric.better == "lower" else 0.0

    async def score(trial: Trial, tools: Tools, **params: Any) -> Score | float | None:
        if _RIGHT in metric.fields and trial.case.expected is None:
            return None
        if trial.state == "failed":
            return wrong
        return await _measure(name, metric, trial, tools, params)

    judged = of_answers(wrong, refusals=metric.refusals)(score) if _SAID in metric.fields else score
    needs = ("judge", *(["expected"] if _RIGHT in metric.fields else []),
             *(["embed"] if metric.embeds else []))  # fmt: skip
    return Scorer(f"ragas/{name}", judged, VERSION, metric.better, needs=needs)


async def _measure(
    name: str, metric: _Metric, trial: Trial, tools: Tools, params: dict[str, Any]
) -> Score:
    where = f"ragas/{name}"
    given = {
        _ASKED: asked(trial.case)[0],
        _SAID: trial.text,
        _SEEN: list(trial.contexts),
        _RIGHT: accepted(trial)[0] if _RIGHT in metric.fields else "",
    }
    missing = [field for field in metric.fields if not given[field]]
    if missing:  # ragas raises a ValueError for most of these, and judges nothing for the others
        raise CannotMeasure("missing_field", f"{where}: `{missing[0]}` is empty")
    door, embedding = _adapters()
    llm = door(tools, where)
    parts: dict[str, Any] = {"llm": llm}
    if metric.embeds:
        parts["embeddings"] = embedding(tools, where)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(_collections(), metric.kind)(**parts, **params)
    _count(made, metric, f"{where}: case `{trial.case_id}`")
    try:
        result = await made.ascore(**{field: given[field] for field in metric.fields})
    except ValueError as error:
        raise CannotMeasure("scorer_error", f"{where}: {error}") from error
    if llm.failure is not None:  # some metrics go on after a failed call
        raise llm.failure
    value = float(result.value)
    if value != value:
        raise CannotMeasure(metric.nan, f"{where}: case `{trial.case_id}`: ragas gave NaN")
    if not -1e-6 <= value <= 1 + 1e-6:
        raise CannotMeasure("judge_parse", f"{where}: a verdict was neither 0 nor 1")
    return Score(min(1.0, max(0.0, value)), result.reason or "")


def _count(made: Any, metric: _Metric, where: str) -> None:
    """Let the metric fail where a text has no claim, or a claim no verdict."""
    if not metric.claims:
        return
    split: Callable[..., Awaitable[list[str]]] = getattr(made, metric.claims)
    judge: Callable[..., Awaitable[Any]] = getattr(made, metric.verdicts)

    async def split_some(*args: Any) -> list[str]:
        claims = await split(*args)
        if not claims:
            raise CannotMeasure("empty_claims", f"{where}: a text makes no claim")
        return claims

    async def judge_all(*args: Any) -> Any:
        claims = next(each for each in args if isinstance(each, list))
        given = await judge(*args)
        if isinstance(given, list):
            count = len(given)
        elif hasattr(given, "TP"):
            count = len(given.TP) + len(given.FP)
        else:
            count = len(given.statements)
        if count != len(claims):
            raise CannotMeasure("judge_parse", f"{where}: {count} verdicts on {len(claims)} claims")
        return given

    setattr(made, metric.claims, split_some)
    setattr(made, metric.verdicts, judge_all)


@functools.cache
def _collections() -> ModuleType:
    """Import ragas' metrics, without tracking and whatever langchain-community has dropped.

    Raises:
        CannotMeasure: it is absent, or another version.
    """
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"  # it reads nothing but this very word, once
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                metrics = extras.load("ragas.metrics.collections", "ragas")
            except MissingExtra as error:
                if getattr(error.__cause__, "name", None) not in _GONE:
                    raise
                _stand_in()
                metrics = extras.load("ragas.metrics.collections", "ragas")
    except (MissingExtra, ImportError) as error:
        raise CannotMeasure("missing_field", str(error)) from error
    found = importlib.metadata.version("ragas")
    if found != VERSION:
        raise CannotMeasure(
            "missing_field",
            f"ragas {found} is installed, but its metrics are known for {VERSION};"
            " run: pip install 'genai-workbench[ragas]'",
        )
    return metrics


def _stand_in() -> None:
    """Put empty modules where ragas wants two that langchain-community 0.4.2 no longer has."""
    for module, name in _GONE.items():
        stub = ModuleType(module)
        setattr(stub, name, type(name, (), {}))
        sys.modules[module] = stub


@functools.cache
def _adapters() -> tuple[Any, Any]:
    """Give our judge and our embedder as the classes that ragas asks for."""
    _collections()
    llms: Any = extras.load("ragas.llms.base", "ragas")
    embeddings: Any = extras.load("ragas.embeddings.base", "ragas")
    door = type("Door", (_Door, llms.InstructorBaseRagasLLM), {})
    return door, type("Embedding", (_Embedding, embeddings.BaseRagasEmbedding), {})


class _Door:
    """Asks the suite's judge. After one failure it asks no more, and keeps it as `failure`."""

    def __init__(self, tools: Tools, where: str) -> None:
        self._tools, self._where = tools, where
        self.failure: Exception | None = None

    def generate(self, prompt: str, response_model: type[Any]) -> Any:
        raise NotImplementedError("the metrics used here ask in async code")

    async def agenerate(self, prompt: str, response_model: type[Any]) -> Any:
        if self.failure is None:
            try:
                return await self._ask(prompt, response_model)
            except Exception as error:  # kept whole: ragas may swallow it and ask again
                self.failure = error
        raise self.failure

    async def _ask(self, prompt: str, response_model: type[Any]) -> Any:
        if self._tools.judge is None:
            raise CannotMeasure("missing_field", f"{self._where}: {NO_JUDGE}")
        context = Context(prompt_id=f"{self._where}@{VERSION}")
        try:
            reply = await self._tools.judge(
                [Message.user(prompt)], schema=response_model, reasks=1, context=context, **_PARAMS
            )
        except ModelError as error:
            raise CannotMeasure(failure_code(error), f"{self._where}: {error}") from error
        if reply.finish_reason in REFUSED:
            raise CannotMeasure("judge_refusal", f"{self._where}: the judge refused")
        said = reply.parsed
        # a blank question is left out of the mean by ragas, and none at all is 0 to it
        if not isinstance(said, response_model) or getattr(said, "question", "?") == "":
            raise CannotMeasure("judge_parse", f"{self._where}: no {response_model.__name__}")
        return said


class _Embedding:
    """Embeds by the suite's embedder."""

    cache = None

    def __init__(self, tools: Tools, where: str) -> None:
        if tools.embed is None:
            raise CannotMeasure("missing_field", f"{where} needs an embedder")
        self._embed = tools.embed

    def embed_text(self, text: str, **_: Any) -> list[float]:
        (row,) = self._embed([text.encode("utf-8", "replace").decode()])
        return [float(each) for each in row]

    async def aembed_text(self, text: str, **_: Any) -> list[float]:
        return self.embed_text(text)


ALL: tuple[Scorer, ...] = tuple(ragas_scorer(name) for name in _METRICS)

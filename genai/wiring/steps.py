"""Open what a chain does beside search and answer: confidence, rewriting, reranking, judging."""

from collections.abc import Callable

from genai.config import Config
from genai.errors import ConfigError
from genai.models import Embedder, Model
from genai.project import Project
from genai.prompts import load_prompt
from genai.rag.aide import Aide
from genai.rag.confidence import Weights
from genai.rag.rerank import Reranker, open_reranker
from genai.rag.steps import Steps


def open_steps(
    project: Project,
    config: Config,
    embedder: Embedder,
    model: Model,
    open_named: Callable[[str], Model],
) -> Steps:
    """Open the configured steps; `open_named` opens a model other than the chain's own.

    Raises:
        ConfigError: a step needs an LLM and none is named, or the calibration does not fit.
    """
    chosen = config.chain
    weights, threshold = _confidence(project, config, embedder)

    def aide(prompt: str, by: Model) -> Aide:
        return Aide(by, load_prompt(prompt, project.root / "prompts"))

    own = model if model.remote else None
    llm = own if chosen.rewrite in ("auto", "off") else open_named(chosen.rewrite)
    return Steps(
        weights=weights,
        threshold=threshold,
        rewrite=aide("rag/rewrite", llm) if llm and chosen.rewrite != "off" else None,
        queries=aide("rag/queries", _needed(llm, "queries", "0")) if chosen.queries else None,
        rerank=_reranker(chosen.rerank, llm, aide),
        judge=aide("judge/support", open_named(chosen.judge)) if chosen.judge else None,
        embed=embedder.embed,
    )


def _needed(llm: Model | None, setting: str, off: str) -> Model:
    if llm is None:
        raise ConfigError(
            f"configs/genai.yaml: `chain.{setting}` needs an LLM; name one in `chain.rewrite`, or"
            f" set `chain.{setting}: {off}`"
        )
    return llm


def _reranker(
    name: str, llm: Model | None, aide: Callable[[str, Model], Aide]
) -> Reranker | Aide | None:
    if name == "off":
        return None
    if name == "judge":
        return aide("rag/rerank", _needed(llm, "rerank", "off"))
    return open_reranker(name)


def _confidence(project: Project, config: Config, embedder: Embedder) -> tuple[Weights, float]:
    """Give weights and threshold from the settings, or from a calibration that fits what runs."""
    threshold = config.chain.min_confidence
    if threshold != "calibrated":
        return Weights(**config.chain.confidence.model_dump()), threshold
    from genai.evals import load_suite
    from genai.rag.calibrate import calibration_path, made_with, read_calibration

    path = calibration_path(project.root, config.chain.index)
    found = read_calibration(path)
    suite = found.made_with.get("suite", "").partition("@")[0]
    prompt = load_prompt(config.chain.prompt, project.root / "prompts").id
    running = made_with(
        load_suite(project.root / "evals" / f"{suite}.yaml"), prompt, embedder.id, config
    )
    found.check(running, path)
    return found.weights, found.threshold

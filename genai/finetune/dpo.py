"""Preference training with TRL: DPO, KTO and ORPO, and the guard on the reference.

TRL takes the reference of a full model from the disk, not from memory, so a model that was changed
since would be measured against another one. Here it is a copy, and before the first step the
rewards must be 0: the policy has not moved away from its reference yet.
"""

import copy
import math
import os
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genai import extras
from genai.errors import InputError
from genai.finetune.job import Job, adapter_config, arguments, rendered
from genai.finetune.recipe import Recipe

if TYPE_CHECKING:
    from genai.finetune.watch import Watch
_GUARDED = 64  # rows on which the reference is checked
_ZERO = 1e-3


def preference_trainer(job: Job, watch: "Watch") -> Any:
    """Make TRL's trainer for the recipe's method.

    Raises:
        InputError: the reference is not the model before training.
    """
    from genai.finetune.watch import follow

    if job.recipe.method == "orpo":  # it has no reference
        return follow(_orpo(job), watch)
    trainer = follow(_dpo(job) if job.recipe.method == "dpo" else _kto(job), watch)
    check_reference(trainer, job.recipe)
    return trainer


def preference_arguments(job: Job) -> dict[str, Any]:
    """Give what TRL's config of the method is told."""
    given, wanted = arguments(job), job.recipe.preference
    if job.recipe.method == "orpo":
        # an older class: the common names, and beta for the weight of the odds ratio
        return {**given, "beta": wanted.beta, "remove_unused_columns": False}
    given |= {"beta": wanted.beta, "precompute_ref_log_probs": wanted.precompute_reference}
    if job.recipe.method == "kto":
        return {**given, "desirable_weight": wanted.desirable_weight,
                "undesirable_weight": wanted.undesirable_weight,
                "train_sampling_strategy": "sequential"}  # fmt: skip
    return {
        **given,
        "loss_type": list(wanted.losses),
        "loss_weights": list(wanted.losses.values()),
        "label_smoothing": wanted.label_smoothing,
    }


def _dpo(job: Job) -> Any:

    trl = extras.load("trl", "finetune")
    rows = [
        {"prompt_ids": each["prompt_ids"], "chosen_ids": each["answers"][0],
         "rejected_ids": each["answers"][1]}
        for each in rendered(job)
    ]  # fmt: skip
    config = trl.DPOConfig(**preference_arguments(job))
    adapter = adapter_config(job.recipe)
    return _on_tokens(trl.DPOTrainer)(
        model=job.model,
        ref_model=reference(job.model, job.recipe),
        args=config,
        train_dataset=_dataset(rows),
        eval_dataset=_dataset(rows[:_GUARDED]),
        processing_class=job.tokenizer,
        peft_config=adapter,
    )


def reference(model: Any, recipe: Recipe) -> Any:
    """Give the reference model of a run: a copy, or None where TRL takes the policy itself.

    An adapter is switched off for it, and precomputed log-probabilities are taken before training.
    """
    if recipe.tuning.kind != "full" or recipe.preference.precompute_reference:
        return None
    return copy.deepcopy(model)


def check_reference(trainer: Any, recipe: Recipe) -> None:
    """Stop unless the policy and its reference are the same before the first step.

    Raises:
        InputError: names the reward, or the loss, that is not what it must be.
    """
    own = trainer.evaluate()
    for name in ("eval_rewards/chosen", "eval_rewards/rejected"):
        if not abs(own.get(name, 0.0)) < _ZERO:  # few labelled rows may be of one kind
            raise InputError(
                f"{recipe.name}: {name} is {own[name]:.3f} before the first step, so the reference"
                " is another model than the one trained; give the base as it lies on disk, or use"
                " `preference.precompute_reference: true`"
            )
    if recipe.method == "kto":
        return
    plain = list(recipe.preference.losses) == ["sigmoid"] and not recipe.preference.label_smoothing
    wanted = math.log(2) * recipe.preference.losses.get("sigmoid", 1.0)
    if plain and not abs(own["eval_loss"] - wanted) < _ZERO:
        raise InputError(
            f"{recipe.name}: the loss before the first step is {own['eval_loss']:.4f} where"
            f" {wanted:.4f} is due; the pairs or the reference are wrong"
        )


def _kto(job: Job) -> Any:

    trl = extras.load("trl", "finetune")
    order = kto_order(job.rows, job.recipe.training.batch, job.recipe.training.data_seed)
    made = rendered(job)
    rows = [
        {"prompt_ids": made[n]["prompt_ids"], "completion_ids": made[n]["answers"][0],
         "label": made[n]["label"]}
        for n in order
    ]  # fmt: skip
    size = job.recipe.training.batch
    for start in range(0, len(rows), size):  # answers of one batch, each at another prompt
        batch = rows[start : start + size]
        for n, each in enumerate(batch):
            each["KL_completion_ids"] = batch[n - 1]["completion_ids"]
    return _on_tokens(trl.KTOTrainer)(
        model=job.model,
        ref_model=reference(job.model, job.recipe),
        args=trl.KTOConfig(**preference_arguments(job)),
        train_dataset=_dataset(rows),
        eval_dataset=_dataset(rows[:_GUARDED]),
        processing_class=job.tokenizer,
        peft_config=adapter_config(job.recipe),
    )


def kto_order(rows: Sequence[Any], batch: int, seed: int) -> list[int]:
    """Shuffle rows so that no batch holds two answers to one prompt, where that can be had.

    KTO estimates how far the policy has moved from answers put to the other prompts of a batch, in
    the order in which they are stored.
    """
    left = list(range(len(rows)))
    random.Random(seed).shuffle(left)
    found: list[int] = []
    while left:
        seen: set[Any] = set()
        taken: list[int] = []
        rest: list[int] = []
        for n in left:
            fits = len(taken) < batch and rows[n].prompt not in seen
            (taken if fits else rest).append(n)
            if fits:
                seen.add(rows[n].prompt)
        if len(taken) < batch and rest:  # only answers to the same prompts are left
            missing = batch - len(taken)
            taken, rest = taken + rest[:missing], rest[missing:]
        found += taken
        left = rest
    return found


def _orpo(job: Job) -> Any:
    from genai.finetune.data import prompt_of

    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # the recipe says so already
    orpo = extras.load("trl.experimental.orpo", "finetune")
    rows = [
        {"prompt": prompt_of(row), "chat_template_kwargs": {"enable_thinking": False},
         **{name: [{"role": "assistant", "content": text}]
            for name, text in zip(("chosen", "rejected"), row.answers, strict=True)}}
        for row in job.rows
    ]  # fmt: skip
    return orpo.ORPOTrainer(
        model=job.model,
        args=orpo.ORPOConfig(**preference_arguments(job)),
        train_dataset=_dataset(rows),
        processing_class=job.tokenizer,
        peft_config=adapter_config(job.recipe),
    )


def _on_tokens(trainer: Any) -> Any:
    """Give a trainer that takes rows as tokens: ours are those that serving will see."""

    class OnTokens(trainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    return OnTokens


def _dataset(rows: list[dict[str, Any]]) -> Any:
    return extras.load("datasets", "finetune").Dataset.from_list(rows)

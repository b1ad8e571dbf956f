"""Supervised fine-tuning with TRL: our rows, our masks, our defaults."""

from typing import TYPE_CHECKING, Any

from genai import extras
from genai.finetune.job import Job, adapter_config, arguments, rendered

if TYPE_CHECKING:
    from genai.finetune.watch import Watch


def sft_trainer(job: Job, watch: "Watch") -> Any:
    """Make TRL's trainer. The rows go in as tokens and labels, so nothing is masked by guess."""
    from genai.finetune.watch import follow

    trl = extras.load("trl", "finetune")
    datasets = extras.load("datasets", "finetune")
    datasets.disable_progress_bars()
    config = trl.SFTConfig(**sft_arguments(job))
    columns = ("input_ids", "labels")
    rows = [{name: row[name] for name in columns} for row in rendered(job)]
    trainer = trl.SFTTrainer(
        model=job.model,
        args=config,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=job.tokenizer,
        peft_config=adapter_config(job.recipe),
    )
    return follow(trainer, watch)


def sft_arguments(job: Job) -> dict[str, Any]:
    """Give what TRL's SFTConfig is told."""
    return {**arguments(job), "packing": bool(job.recipe.training.packing)}

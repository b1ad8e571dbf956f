"""The same training without us: a plain TRL script, TRL as it is by default, a bare PyTorch loop.

Each takes `Work` and gives marks: after how many steps, at what wall and processor time, how many
tokens had been trained. Nothing here imports `genai`.
"""

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Work:
    """What is trained: a folder with a base and rows, and the numbers of a recipe."""

    folder: Path
    method: str
    steps: int
    batch: int
    max_length: int
    learning_rate: float
    warmup: int
    weight_decay: float
    losses: dict[str, float]
    lora: bool
    quantised: bool
    log_every: int
    save_every: int
    seed: int
    precision: str
    checkpointing: bool
    packing: bool
    random_weights: bool


Marks = list[dict[str, float]]


def mark(step: int, tokens: float, loss: float) -> dict[str, float]:
    return {"step": step, "wall": time.perf_counter(), "cpu": time.process_time(),
            "tokens": tokens, "loss": loss}  # fmt: skip


def rows_of(work: Work) -> list[dict[str, Any]]:
    name = "sft" if work.method == "sft" else "pairs"
    return [json.loads(line) for line in (work.folder / f"{name}.jsonl").open()]


def model_of(work: Work) -> tuple[Any, Any]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    base = work.folder / "base"
    torch.manual_seed(work.seed)
    kind = torch.bfloat16 if work.precision == "bf16" and work.lora else torch.float32
    if work.random_weights:
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    elif work.quantised:
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=kind,
            quantization_config=BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16,
                bnb_4bit_use_double_quant=True,
            ),
        )  # fmt: skip
    else:
        model = AutoModelForCausalLM.from_pretrained(base, dtype=kind)
    return model, AutoTokenizer.from_pretrained(base)


def lora_of(work: Work) -> Any:
    from peft import LoraConfig

    return LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")


# -- TRL -----------------------------------------------------------------------------------------


def trl(work: Work, *, defaults: bool = False) -> Marks:
    """Train as a short script does; `defaults` leaves precision and checkpointing to TRL."""
    import torch
    from datasets import Dataset, disable_progress_bars
    from transformers import PrinterCallback, TrainerCallback
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    disable_progress_bars()
    model, tokenizer = model_of(work)
    gpu = torch.cuda.is_available()
    chosen: dict[str, Any] = {} if defaults else {
        "bf16": work.precision == "bf16", "activation_checkpointing": work.checkpointing,
        "packing": work.packing,
    }  # fmt: skip
    common: dict[str, Any] = {
        "output_dir": str(work.folder / "trl"), "max_steps": work.steps,
        "per_device_train_batch_size": work.batch, "learning_rate": work.learning_rate,
        "lr_scheduler_type": "cosine", "warmup_steps": work.warmup,
        "weight_decay": work.weight_decay, "seed": work.seed, "data_seed": 0, "use_cpu": not gpu,
        "max_length": work.max_length, "logging_steps": work.log_every, "logging_first_step": True,
        "save_steps": work.save_every, "save_total_limit": 2, "report_to": "none",
        "disable_tqdm": True, "dataloader_pin_memory": gpu, **chosen,
    }  # fmt: skip
    adapter = lora_of(work) if work.lora else None
    if work.method == "sft":
        data = Dataset.from_list([
            {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]}
            for row in rows_of(work)
        ])  # fmt: skip
        trainer = SFTTrainer(model=model, args=SFTConfig(**common), train_dataset=data,
                             processing_class=tokenizer, peft_config=adapter)  # fmt: skip
    else:
        common.pop("packing", None)
        names = {"loss_type": list(work.losses), "loss_weights": list(work.losses.values())}
        data = Dataset.from_list([
            {"prompt": _turn("user", row["prompt"]), **{
                key: _turn("assistant", row[key]) for key in ("chosen", "rejected")
            }}
            for row in rows_of(work)
        ])  # fmt: skip
        trainer = DPOTrainer(model=model, args=DPOConfig(**common, **names), train_dataset=data,
                             processing_class=tokenizer, peft_config=adapter)  # fmt: skip
    marks: Marks = []

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                marks.append(mark(state.global_step, logs["num_tokens"], logs["loss"]))

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch())
    trainer.train()
    return marks


def _turn(role: str, content: Any) -> list[dict[str, str]]:
    return content if isinstance(content, list) else [{"role": role, "content": content}]


# -- a bare loop ---------------------------------------------------------------------------------


def loop(work: Work) -> Marks:
    """Train with nothing but PyTorch around the model: the floor that a trainer is measured by."""
    import torch

    model, tokenizer = model_of(work)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if not work.quantised:
        model = model.to(device)
    if work.lora:
        from peft import get_peft_model

        model = get_peft_model(model, lora_of(work))
    if work.checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=work.learning_rate, weight_decay=work.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda at: _rate(at, work))
    step_of: Callable[[Any, Any, Work], Any] = sft_loss if work.method == "sft" else dpo_loss
    model.train()
    marks, tokens = [], 0
    for step, batch in zip(range(1, work.steps + 1), _batches(work, tokenizer), strict=False):
        ids, mask, labels = (each.to(device) for each in batch)
        with torch.autocast(device, torch.bfloat16, enabled=work.precision == "bf16"):
            loss = step_of(model, (ids, mask, labels), work)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        tokens += int(batch[1].sum())
        if step == 1 or step % work.log_every == 0:
            marks.append(mark(step, tokens, loss.item()))
    return marks


def _rate(at: int, work: Work) -> float:
    if at < work.warmup:
        return at / work.warmup
    done = (at - work.warmup) / max(1, work.steps - work.warmup)
    return 0.5 * (1 + math.cos(math.pi * done))


def _batches(work: Work, tokenizer: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Give ids, mask and labels, padded on the right; pairs lie chosen first, then rejected."""
    import torch

    rows = rows_of(work)
    while True:
        order = list(range(len(rows)))
        random.Random(work.seed).shuffle(order)
        for start in range(0, len(order) - work.batch + 1, work.batch):
            picked = [rows[n] for n in order[start : start + work.batch]]
            if work.method == "sft":
                said = [(row["messages"][:-1], row["messages"][-1]["content"]) for row in picked]
            else:
                said = [
                    (_turn("user", row["prompt"]), row[kind])
                    for kind in ("chosen", "rejected") for row in picked
                ]  # fmt: skip
            pairs = [_encoded(tokenizer, *each, work.max_length) for each in said]
            longest = max(len(ids) for ids, _ in pairs)
            ids = torch.full((len(pairs), longest), tokenizer.pad_token_id)
            labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
            for n, (own, prompt) in enumerate(pairs):
                ids[n, : len(own)] = torch.tensor(own)
                labels[n, prompt : len(own)] = ids[n, prompt : len(own)]
                mask[n, : len(own)] = 1
            yield ids, mask, labels


def _encoded(tokenizer: Any, prompt: Any, answer: str, most: int) -> tuple[list[int], int]:
    head = tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"]
    whole = tokenizer.apply_chat_template([*prompt, {"role": "assistant", "content": answer}])
    return whole["input_ids"][:most], len(head)


def sft_loss(model: Any, batch: Any, work: Work) -> Any:
    import torch

    ids, mask, labels = batch
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    return torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1), ignore_index=-100
    )


def dpo_loss(model: Any, batch: Any, work: Work) -> Any:
    import torch

    ids, mask, labels = batch
    with torch.no_grad(), model.disable_adapter():
        before = _logp(model, ids, mask, labels)
    now = _logp(model, ids, mask, labels)
    half = len(ids) // 2
    gain = 0.1 * (now - before)
    total = (
        work.losses.get("sigmoid", 0.0)
        * -torch.nn.functional.logsigmoid(gain[:half] - gain[half:]).mean()
    )
    if weight := work.losses.get("sft", 0.0):
        total = total - weight * now[:half].sum() / (labels[:half] != -100).sum()
    return total


def _logp(model: Any, ids: Any, mask: Any, labels: Any) -> Any:
    import torch

    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    each = -torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), labels[:, 1:], ignore_index=-100, reduction="none"
    )
    return each.sum(-1)

"""Decoding as published models need it: characters in bytes, and layers that keep a state."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import tiny_tokenizer

from genai.models.constrain import Reader
from genai.models.engine import Engine, Job


def bytewise() -> Any:
    """Make a tokenizer as those of Llama 2, Mistral, Gemma and Phi-3: rare characters in bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    known = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    known += list('▁abcdefghijklmnopqrstuvwxyz{}":,.')
    made = Tokenizer(models.BPE({each: n for n, each in enumerate(known)}, [], byte_fallback=True))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
         decoders.Strip(" ", 1, 0)]
    )  # fmt: skip
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


class Says:
    """A model that says the given tokens."""

    training, device = False, "cpu"
    generation_config = SimpleNamespace(eos_token_id=2)

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = iter([*tokens, 2])

    def eval(self) -> None:
        """Stay as it is."""

    def __call__(self, **_: Any) -> Any:
        import torch

        logits = torch.zeros(1, 1, 320)
        logits[0, 0, next(self.tokens)] = 1
        return SimpleNamespace(logits=logits, past_key_values=None)


@pytest.mark.parametrize("kind", [bytewise, tiny_tokenizer])
@pytest.mark.parametrize(
    "text", ["ok 👍🏽👨\u200d👩\u200d👧 fine", "नमस्ते दुनिया", "日本語です", "👍" * 9]
)
def test_characters_in_bytes_are_sent_as_they_are(kind: Any, text: str) -> None:
    tokenizer = kind()
    for said, reader in (
        (text, None),
        (json.dumps({"a": text}, ensure_ascii=False, separators=(",", ":")),
         Reader({"type": "object"})),
    ):  # fmt: skip
        tokens = tokenizer(said, add_special_tokens=False)["input_ids"]
        tokens = tokens[not tokenizer.decode(tokens[:1]) :]  # a space that stands before a text
        pieces: list[str] = []
        job = Job([1], lambda piece, _, to=pieces: to.append(piece), reader=reader)  # type: ignore[misc]
        Engine(Says(tokens), tokenizer).decode([job])
        assert job.error is None
        assert "".join(pieces) == said
        assert len([each for each in pieces if each]) > len(said) / 2  # as they come


HYBRID = {
    "lfm2": {"block_ff_dim": 64, "full_attn_idxs": [1], "layer_types": ["conv", "full_attention"]},
    "qwen3_5_text": {
        "layer_types": ["linear_attention", "full_attention"], "linear_num_value_heads": 2,
        "linear_num_key_heads": 2, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", HYBRID)
def test_replies_of_a_batch_end_one_by_one_where_layers_keep_a_state(kind: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind, vocab_size=320, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, head_dim=16, initializer_range=0.5,
        pad_token_id=0, **HYBRID[kind],
    )  # fmt: skip
    engine = Engine(AutoModelForCausalLM.from_config(config), tokenizer)

    def said(*lengths: int) -> list[list[int]]:
        jobs = [Job(list(range(9, 10 + n)), lambda *_: None, most=3 * n) for n in lengths]
        engine.decode(jobs)
        assert [job.error for job in jobs] == [None] * len(jobs)
        return [job.made for job in jobs]

    assert said(2, 5, 3) == [said(n)[0] for n in (2, 5, 3)]


def tiny_engine() -> Engine:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "llama", vocab_size=320, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, initializer_range=0.5, max_position_embeddings=1 << 20,
    )  # fmt: skip
    return Engine(AutoModelForCausalLM.from_config(config), tiny_tokenizer())


@pytest.mark.parametrize("held", [5, 2, 1])
def test_replies_go_on_in_smaller_batches_where_memory_runs_out(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    engine = tiny_engine()
    said: dict[tuple[str, int], str] = {}

    def job(kind: str, n: int) -> Job:
        def put(text: str, _: str) -> None:
            said[kind, n] = said.get((kind, n), "") + text

        return Job(list(range(9, 12 + n)), put, most=6 + n)

    alone, jobs = ([job(kind, n) for n in range(7)] for kind in ("alone", "together"))
    for each in alone:
        engine.decode([each])
    forward, most = engine.model.forward, [0]

    def full(**given: Any) -> Any:
        rows, length = given["attention_mask"].shape
        if rows > held and length > 12:  # some tokens have been sent by then
            raise torch.OutOfMemoryError("CUDA out of memory")
        most[0] = max(most[0], rows)
        return forward(**given)

    monkeypatch.setattr(engine.model, "forward", full)
    engine.decode(jobs)
    assert [job.error for job in jobs] == [None] * 7
    assert [job.made for job in jobs] == [job.made for job in alone]
    assert [said["together", n] for n in range(7)] == [said["alone", n] for n in range(7)]
    assert most[0] == 7  # they began together


def test_a_request_too_big_for_the_memory_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    engine = tiny_engine()
    forward = engine.model.forward

    def full(**given: Any) -> Any:
        if given["attention_mask"].shape[1] > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(**given)

    monkeypatch.setattr(engine.model, "forward", full)
    jobs = [Job([9] * n, lambda *_: None, most=3) for n in (5, 200, 7)]
    engine.decode(jobs)
    assert [job.error is None for job in jobs] == [True, False, True]


def test_a_batch_is_bounded_by_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tiny_engine()
    shapes = []

    def seen(**given: Any) -> Any:
        shapes.append(given["attention_mask"].shape)
        raise ValueError("enough")

    monkeypatch.setattr(engine.model, "forward", seen)
    sizes = [8000] * 9 + [70_000] + [10] * 70
    engine.decode([Job([9] * n, lambda *_: None, most=100) for n in sizes])
    assert [rows for rows, _ in shapes] == [8, 1, 1, 64, 6]
    assert all(rows == 1 or rows * (length + 100) <= 65_536 for rows, length in shapes)

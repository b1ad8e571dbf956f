"""The base of the demo: a tiny Llama's shape and a tokenizer trained on the demo's own texts."""

from collections.abc import Iterable
from pathlib import Path

from genai import extras
from genai.finetune.demo.generate import Preset

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% elif message['role'] == 'system' %}<|system|>{{ message['content'] }}<|end|>"
    "{% else %}<|user|>{{ message['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIALS = ("<pad>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")


def write_base(preset: Preset, texts: Iterable[str], folder: Path) -> None:
    """Write tokenizer, chat template and config; the weights are made by a run, from its seed.

    Raises:
        MissingExtra: transformers is not installed.
    """
    transformers = extras.load("transformers", "finetune")
    tokenizers = extras.load("tokenizers", "finetune")
    pre, models = tokenizers.pre_tokenizers, tokenizers.models
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre.Sequence(
        [pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = tokenizers.decoders.ByteLevel()
    made.train_from_iterator(
        texts,
        tokenizers.trainers.BpeTrainer(
            vocab_size=preset.vocabulary,
            special_tokens=list(SPECIALS),
            initial_alphabet=sorted(pre.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<|end|>",
        additional_special_tokens=list(SPECIALS[3:]),
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(folder)
    ids = {
        "bos_token_id": wrapped.bos_token_id,
        "eos_token_id": wrapped.eos_token_id,
        "pad_token_id": wrapped.pad_token_id,
    }
    config = transformers.LlamaConfig(
        vocab_size=len(wrapped),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=preset.layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        # with the usual 0.02 so narrow a model learns to copy digits after 600 to 1,200 steps or
        # not at all, by luck of the seed; with this it does after 150, on every seed tried
        initializer_range=0.06,
        architectures=["LlamaForCausalLM"],
        **ids,
    )
    config.save_pretrained(folder)
    transformers.GenerationConfig(**ids).save_pretrained(folder)

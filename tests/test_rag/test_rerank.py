"""A cross-encoder puts the passages of a chain into its own order."""

from pathlib import Path

import pytest
from tiny import tiny_tokenizer

import genai
from genai import project

PAGES = {"a": "The notice period is 30 days.", "b": "Notice is given in writing.", "c": "A period."}


@pytest.mark.filterwarnings("ignore")  # of torch and transformers
def test_a_cross_encoder_orders_the_passages_and_its_numbers_stand_in_the_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification

    project.init(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    for name, text in PAGES.items():
        (tmp_path / "own" / f"{name}.txt").write_text(text)
    tokenizer = tiny_tokenizer()
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=200, num_labels=1, initializer_range=0.9,
    )  # fmt: skip
    weights = tmp_path / "cross-encoder" / "tiny"
    BertForSequenceClassification(config).save_pretrained(weights)
    tokenizer.save_pretrained(weights)
    monkeypatch.setenv("GENAI_CHAIN_INDEX", "own")
    genai.Index("own").sync(tmp_path / "own")
    question = "How long is the notice period?"
    plain = genai.load(chain__min_confidence=0.01)(question)
    chain = genai.load(
        chain__min_confidence=0.01, chain__rerank="cross-encoder/tiny", chain__top_k=2
    )
    outcome = chain(question)
    model = CrossEncoder(str(weights), device="cpu")
    wanted = {
        hit.passage.document: float(model.predict([(question, hit.passage.text)])[0])
        for hit in plain.hits
    }
    assert len(set(wanted.values())) == 3
    numbers = {each.hit.passage.document: each.rerank for each in outcome.trace.found}
    assert numbers == pytest.approx(wanted, abs=1e-5)
    used = [each.hit.passage.document for each in outcome.trace.found if each.used]
    assert sorted(used) == sorted(sorted(wanted, key=lambda name: -wanted[name])[:2])

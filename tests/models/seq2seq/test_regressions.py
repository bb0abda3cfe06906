"""Faults that a review found: each gave a wrong result or a crash."""

from __future__ import annotations

import pytest
import torch
from small_seq2seq import SIX, THREE, TWO, encode, wrap
from transformers import DataCollatorForSeq2Seq, GenerationConfig

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.bases.compat import cached
from hf_equi.errors import ConfigurationError, UnsupportedModelError

STEPS = {"max_new_tokens": 7}


def partly_fixed(model):
    """Sources that some elements of `SIX` fix, moved by the others."""
    words = ["twice jump", "and and jump", "twice and jump twice", "jump and"]
    return encode(model, words)


@pytest.mark.parametrize("family", ["rnn", "gru", "lstm"])
def test_weighted_members_keep_ties_exact(family):
    """λ of members that a source fixes: tied words stay tied to the bit, so that the noise decides."""
    model = wrap(family, SIX, "lambda")
    batch = partly_fixed(model)
    texts = model.generate(**batch, **STEPS)
    for g in range(SIX.order):
        moved = {**batch, "input_ids": model.action.source.apply(g, batch["input_ids"])}
        alone = [model.generate(ids[None], **STEPS)[0] for ids in moved["input_ids"]]
        together = model.generate(**moved, **STEPS)
        for text, single in zip(together.tolist(), alone, strict=True):
            assert text[: len(single)] == single.tolist()
    assert len(texts) == len(batch["input_ids"])


def test_relaxed_members_are_not_decoded_alone():
    group = DemographicGroup([["jump", "run"], ["I_JUMP", "I_RUN"]], neutral=["left"])
    with pytest.raises(ConfigurationError, match='use decoding="synchronised"'):
        wrap("lstm", group, decoding="independent")
    model = wrap("lstm", decoding="independent")
    with pytest.raises(ConfigurationError, match='use decoding="synchronised"'):
        model.generate(**encode(model), group=group, **STEPS)


def test_weights_beside_the_base_are_not_left_out(tmp_path):
    model = wrap("t5", method="lambda")
    model.config.base_name, model.config.base_revision = "somebody/base", "0" * 40
    model.remember_base()
    with pytest.raises(ConfigurationError, match="has weights besides its base's"):
        model.save_pretrained(tmp_path, save_base=False)


@pytest.mark.parametrize("family", ["t5", "lstm"])
def test_collators_that_know_the_model_do_not_switch_rollouts_off(family):
    model = wrap(family, teacher_forcing_ratio=0.0).train()
    tokens = encode(model)
    features = [{"input_ids": ids.tolist(), "labels": [5, 6, 7, 2]} for ids in tokens["input_ids"]]
    batch = DataCollatorForSeq2Seq(model.tokenizer, model=model)(features)
    assert "decoder_input_ids" in batch
    rolled = model(**batch).loss
    batch.pop("decoder_input_ids")
    torch.testing.assert_close(rolled, model(**batch).loss)
    model.config.teacher_forcing_ratio = 1.0
    assert not torch.allclose(rolled, model(**batch).loss)


@pytest.mark.parametrize("method", ["equizero", "equitune"])
def test_a_start_token_may_be_that_of_the_text(method):
    model = wrap("lstm", method=method, decoding="independent")
    model.generation_config.decoder_start_token_id = None
    model.generation_config.bos_token_id = start = model.config.decoder_start_token_id
    model.config.decoder_start_token_id = None
    batch = encode(model)
    prompt = torch.full((len(batch["input_ids"]), 1), 4)
    texts = model.generate(**batch, decoder_input_ids=prompt, **STEPS)
    assert texts[:, :2].tolist() == [[start, 4]] * len(prompt)
    assert texts.shape[1] > 2


@pytest.mark.parametrize("method", ["equizero", "equitune"])
def test_arguments_by_position(method):
    model = wrap("lstm", THREE, method, decoding="independent")
    batch = encode(model)
    texts = model.generate(batch["input_ids"], GenerationConfig(**STEPS), None, None, lambda row, tokens: [4, 2])
    assert set(texts[:, 1:].flatten().tolist()) <= {0, 2, 4}
    with pytest.raises(ConfigurationError, match=r"^prompt_lookup_num_tokens needs the combined scores"):
        model.generate(batch["input_ids"], GenerationConfig(prompt_lookup_num_tokens=2, **STEPS))


@pytest.mark.parametrize("method", ["equizero", "equitune"])
def test_encoded_sources_are_refused_where_members_are_alone(method):
    model = wrap("lstm", TWO, method, decoding="independent")
    batch = encode(model)
    with pytest.raises(ConfigurationError, match=r"^encoder_outputs needs the combined scores"):
        model.generate(**batch, encoder_outputs=model.get_encoder()(**batch), **STEPS)


@torch.no_grad()
def test_caches_of_another_method_or_of_other_sources_are_refused():
    """Whoever passes no elements= is not told of it."""
    synchronised, one = wrap("t5", SIX), wrap("t5", SIX, "canonical")
    batch, target = encode(one), torch.tensor([[0, 9]]).repeat(4, 1)
    inside = {"decoder_attention_mask": torch.ones_like(target)}
    for filled, other in ((synchronised, one), (one, synchronised)):
        cache = filled(**batch, decoder_input_ids=target[:, :1], use_cache=True).cache
        with pytest.raises(UnsupportedModelError, match="filled by a model with another method"):
            other.generate(**batch, decoder_input_ids=target, **inside, **cached(cache), max_new_tokens=2)
        with pytest.raises(UnsupportedModelError, match="filled by a model with another method"):
            other(**batch, decoder_input_ids=target[:, 1:], cache=cache)
    cache = one(**batch, decoder_input_ids=target[:, :1], use_cache=True).cache
    moved = {**batch, "input_ids": one.action.source.apply(1, batch["input_ids"])}
    with pytest.raises(
        ConfigurationError, match=r"than this call reads of its sources\. Pass the sources that filled it"
    ):
        one(**moved, decoder_input_ids=target[:, 1:], cache=cache)


def test_other_inputs_of_an_encoder_are_refused():
    model = wrap("t5")
    with pytest.raises(ConfigurationError, match="global_attention_mask: the orbits of a source"):
        model.get_encoder()(**encode(model), global_attention_mask=torch.ones(4, 5))


def test_settings_of_the_config_go_through_symmetrize():
    model = wrap("t5", method="lambda", lambda_units=8, lambda_dropout=0.5, teacher_forcing_ratio=0.5)
    assert model.lambda_network.layers[0].out_features == 8
    assert (model.config.lambda_dropout, model.config.teacher_forcing_ratio) == (0.5, 0.5)
    with pytest.raises(ConfigurationError, match="no mean of the members' losses"):
        wrap("t5", average="probabilities", objective="members")
    assert isinstance(model, hf_equi.EquiForSeq2SeqLM)

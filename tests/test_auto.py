"""`symmetrize`: what it refuses, and that it does so before weights are loaded."""

from __future__ import annotations

import pytest
import torch
from small_models import GENDER, base_model, tokenizer
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    BertModel,
    T5Config,
    T5ForConditionalGeneration,
)

import hf_equi
from hf_equi import DemographicGroup, FiniteGroup
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError


@pytest.fixture
def folder(tmp_path):
    base_model().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"group": FiniteGroup.cyclic(2)}, ConfigurationError, "by a DemographicGroup, not by a FiniteGroup"),
        ({"task": "vision"}, ConfigurationError, "task='vision' is not known: use one of 'causal_lm'"),
        ({"method": "magic"}, ConfigurationError, "no method 'magic': use one of"),
        ({"group": DemographicGroup([["zebra", "giraffe"]])}, ActionError, "zebra/giraffe"),
        ({"average": "medians"}, ConfigurationError, "average='medians'"),
    ],
)
def test_bad_requests_fail_before_weights_are_loaded(folder, monkeypatch, arguments, error, message):
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("weights were loaded"))
    with pytest.raises(error, match=message):
        hf_equi.symmetrize(folder, **{"group": GENDER, **arguments})


def test_arguments_of_from_pretrained_are_passed_on(folder):
    lm = hf_equi.symmetrize(str(folder), GENDER, dtype=torch.bfloat16, device_map={"": "cpu"})
    assert lm.base.dtype == torch.bfloat16


def test_model_object_needs_its_tokenizer_and_nothing_else():
    with pytest.raises(ConfigurationError, match="needs its tokenizer"):
        hf_equi.symmetrize(base_model(), GENDER)
    with pytest.raises(ConfigurationError, match="device_map, dtype: only used where a model is loaded"):
        hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer(), dtype="auto", device_map="cpu")


def test_symmetrised_twice_is_refused():
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    with pytest.raises(ConfigurationError, match="unwrap it first"):
        hf_equi.symmetrize(lm, GENDER, tokenizer=tokenizer())


def test_symmetrised_folder_is_refused(tmp_path):
    hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer()).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"symmetrised already: load it with EquiLM\.from_pretrained"):
        hf_equi.symmetrize(tmp_path, GENDER)


@pytest.mark.parametrize(
    "model",
    [
        T5ForConditionalGeneration(T5Config(vocab_size=9, d_model=8, d_ff=8, num_layers=1, num_heads=1, d_kv=8)),
        BertLMHeadModel(BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)),
    ],
    ids=["encoder-decoder", "reads both ways"],
)
def test_models_that_are_not_causal_are_refused(model):
    with pytest.raises(UnsupportedModelError, match="no model that reads from left to right"):
        hf_equi.symmetrize(model, GENDER, tokenizer=tokenizer())


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(ConfigurationError, match="tokenizer='x' is no tokenizer"):
        hf_equi.symmetrize(base_model(), GENDER, tokenizer="x")


def test_other_models_are_refused():
    bert = BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8))
    with pytest.raises(UnsupportedModelError, match=r"BertModel is no model that reads.*AutoModelForCausalLM"):
        hf_equi.symmetrize(bert, GENDER, tokenizer=tokenizer())


def test_tokenizer_larger_than_the_embedding_is_refused():
    import copy

    larger = copy.deepcopy(tokenizer())
    larger.add_tokens(["sunshine"])
    with pytest.raises(ConfigurationError, match="tokens up to 343, the model's embedding has 343 rows"):
        hf_equi.symmetrize(base_model(), GENDER, tokenizer=larger)


def test_training_mode_stays():
    assert hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer()).training is False

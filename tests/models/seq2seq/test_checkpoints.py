"""Saving and loading, with one tokenizer and with two."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from small_networks import tokenizer
from small_seq2seq import MOVED, PAIRED, SIX, TWO, base, encode, fresh, targets, tokenizers, wrap
from torch import nn
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from hf_equi import EquiForSeq2SeqLM
from hf_equi.errors import ConfigurationError
from hf_equi.models.seq2seq import EquiSeq2SeqConfig


def scores(model):
    source = tokenizers("lstm")[0](list(MOVED), padding=True, return_tensors="pt")
    prefix = torch.tensor([[1, 5, 7, 4]] * len(MOVED))
    with torch.no_grad():
        return model(source["input_ids"], source["attention_mask"], decoder_input_ids=prefix).logits


@pytest.mark.parametrize(
    ("family", "method"),
    [("rnn", "equitune"), ("lstm", "lambda"), ("t5", "equizero"), ("bart", "lambda"), ("marian-pair", "canonical")],
)
def test_all_settings_are_loaded_again(tmp_path, family, method):
    model = wrap(family, SIX, method, orbit_chunk_size=4)
    model.generation_config.max_new_tokens = 5
    model.config.teacher_forcing_ratio = 0.25
    model.save_pretrained(tmp_path)
    loaded, information = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is EquiForSeq2SeqLM
    assert not any(information.values())
    assert torch.equal(scores(loaded), scores(model))
    assert loaded.group == SIX
    own, other = model.config.to_dict(), loaded.config.to_dict()
    assert {name for name in own if own[name] != other[name]} <= {"_name_or_path", "base_config", "dtype"}
    assert (tmp_path / "target_tokenizer").exists() == (family in PAIRED)
    for side, own in zip((loaded.tokenizer, loaded.target_tokenizer), tokenizers(family), strict=True):
        assert side.get_vocab() == own.get_vocab()
    texts = loaded.generate(**encode(loaded))
    assert texts.tolist() == model.generate(**encode(model)).tolist()
    assert texts.shape[1] <= 6
    assert not list(tmp_path.glob("*.bin"))


def test_loaded_models_symmetrise_for_another_group(tmp_path):
    wrap("gru", TWO).save_pretrained(tmp_path)
    loaded = EquiForSeq2SeqLM.from_pretrained(tmp_path)
    expected = wrap("gru", SIX)
    batch = {**encode(expected), "decoder_input_ids": targets(expected)}
    assert torch.equal(loaded(**batch, group=SIX).logits, expected(**batch).logits)


def test_bases_are_saved_whole(tmp_path):
    model = wrap("bart")
    with pytest.raises(
        ConfigurationError, match=r"symmetrize did not load this base from there.*Save the whole model"
    ):
        model.save_pretrained(tmp_path, save_base=False)
    model.save_base_pretrained(tmp_path)
    plain = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert type(plain) is type(base("bart"))
    ids = targets(model)
    assert torch.equal(plain(ids, decoder_input_ids=ids).logits, base("bart")(ids, decoder_input_ids=ids).logits)


def test_another_target_tokenizer_is_refused(tmp_path):
    model, other = wrap("lstm"), tokenizer("a", "b", "c", "d", "e", "f")
    with pytest.raises(ConfigurationError, match="is not the one that the stored token permutation was made with"):
        model.target_tokenizer = other
    with pytest.raises(ConfigurationError, match="is not the one that the stored token permutation was made with"):
        model.tokenizer = model.target_tokenizer
    model.save_pretrained(tmp_path)
    other.save_pretrained(tmp_path / "target_tokenizer")
    with pytest.raises(ConfigurationError, match=r"target_tokenizer is not the one that the stored token permutation"):
        EquiForSeq2SeqLM.from_pretrained(tmp_path)


def test_a_tokenizer_that_was_changed_is_refused(tmp_path):
    model = wrap("lstm")
    model.target_tokenizer = copy.deepcopy(model.target_tokenizer)
    model.target_tokenizer.add_tokens(["I_SWIM"])
    with pytest.raises(ConfigurationError, match="this model's target, changed since,"):
        model.save_pretrained(tmp_path)


def test_a_checkpoint_without_its_tokenizers(tmp_path):
    wrap("gru").save_pretrained(tmp_path)
    for folder in (tmp_path, tmp_path / "target_tokenizer"):
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).unlink()
    loaded = EquiForSeq2SeqLM.from_pretrained(tmp_path)
    for name in ("tokenizer", "target_tokenizer"):
        with pytest.raises(ConfigurationError, match="saved without its"):
            getattr(loaded, name)
    loaded.tokenizer, loaded.target_tokenizer = tokenizers("gru")
    assert torch.equal(scores(loaded), scores(wrap("gru")))


def test_a_checkpoint_without_its_target_tokenizer(tmp_path):
    """That of the source must not stand in for it."""
    wrap("gru").save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "target_tokenizer" / name).unlink()
    loaded = EquiForSeq2SeqLM.from_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="saved without its"):
        loaded.target_tokenizer  # noqa: B018


def test_fields_of_a_newer_version(tmp_path):
    model = wrap("bart")
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "temperature_of_the_future": 3}))
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert torch.equal(scores(loaded), scores(model))
    assert loaded.config.temperature_of_the_future == 3


def test_other_checkpoints_are_refused(tmp_path):
    base("bart").save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"holds a 'bart' model.*symmetrize"):
        EquiForSeq2SeqLM.from_pretrained(tmp_path)


def is_as_torch_initialises(network):
    """Uniform in ±1/√inputs, and not all the same."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            spread = layer.weight.abs().max()
            if not 0.5 * bound < spread <= bound or not layer.bias.abs().max() <= bound:
                return False
    return True


def test_the_network_of_lambda_is_initialised_as_torch_does(tmp_path):
    config = wrap("bart", TWO, "lambda").config
    assert is_as_torch_initialises(EquiForSeq2SeqLM(config).lambda_network)
    assert is_as_torch_initialises(EquiForSeq2SeqLM(config, fresh("bart")).lambda_network)
    # A checkpoint of another method has no such network.
    wrap("bart", TWO).save_pretrained(tmp_path)
    torch.manual_seed(1)
    loaded, information = EquiForSeq2SeqLM.from_pretrained(tmp_path, method="lambda", output_loading_info=True)
    assert all(name.startswith("lambda_network.") for name in information["missing_keys"])
    assert is_as_torch_initialises(loaded.lambda_network)


def test_resized_bases_are_not_saved(tmp_path):
    model = wrap(fresh("bart"))
    with pytest.raises(ConfigurationError, match="was made for 18 tokens, not for another size"):
        model.resize_token_embeddings(25)
    model.base.resize_token_embeddings(25)
    with pytest.raises(ConfigurationError, match="was resized to 25 rows, but the token permutation was made for 18"):
        model.save_pretrained(tmp_path)


def test_the_auto_classes_know_the_config(tmp_path):
    wrap("t5").save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is EquiSeq2SeqConfig

"""Models are loaded from safetensors alone, with all of their weights, which are finite numbers."""

from __future__ import annotations

import json
import warnings

import pytest
import small_vision
import torch
from safetensors.torch import load_file, save_file
from small_models import base_model
from small_networks import network
from small_seq2seq import base
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageClassification, AutoModelForSeq2SeqLM

from hf_equi import RecurrentSeq2Seq
from hf_equi.bases.loading import load_safetensors, load_to_train
from hf_equi.errors import ConfigurationError, HfEquiWarning


def change(folder, edit):
    """Edit the weights of a folder: a dictionary, in place."""
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_safetensors_are_loaded_and_settings_passed_on(tmp_path):
    base_model().save_pretrained(tmp_path)
    loaded = load_safetensors(AutoModelForCausalLM, str(tmp_path), dtype=torch.float64)
    assert loaded.dtype == torch.float64
    expected = base_model().state_dict()
    assert all(torch.equal(weight.float(), expected[name]) for name, weight in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "evil"}, "^dtype='evil' is not a dtype of weights: use 'auto'"),
        ({"dtype": "int8"}, "^dtype='int8' is not a dtype of weights"),
        ({"dtype": 3}, "^dtype=3 is not a dtype of weights"),
        ({"device_map": "evil"}, r"This call sets device_map='evil': try to load without\."),
    ],
)
def test_a_setting_is_not_blamed_on_the_checkpoint(tmp_path, settings, message):
    base_model().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=message):
        load_safetensors(AutoModelForCausalLM, str(tmp_path), **settings)


def test_a_config_of_a_negative_size_is_named(tmp_path):
    base_model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_layer": -1}))
    with pytest.raises(ConfigurationError, match=rf"config of {tmp_path} is damaged: num_hidden_layers is -1\."):
        load_safetensors(AutoModelForCausalLM, str(tmp_path))


@pytest.mark.parametrize(
    ("family", "entries", "place"),
    [
        ("gpt2", {"n_layer": 0}, "transformer.h"),
        ("bart", {"decoder_layers": -1}, "model.decoder.layers"),
        ("bart", {"encoder_layers": 0}, "model.encoder.layers"),
        ("t5", {"num_decoder_layers": -1}, "decoder.block"),
        ("t5", {"num_layers": 0}, "encoder.block"),
    ],
)
def test_a_config_without_the_layers_of_its_weights_is_named(tmp_path, family, entries, place):
    auto_class, make = (AutoModelForCausalLM, base_model) if family == "gpt2" else (AutoModelForSeq2SeqLM, base)
    make(family).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **entries}))
    with pytest.raises(ConfigurationError, match=rf"config of {tmp_path} is damaged: .* in {place}, .* {place}\.0\."):
        load_safetensors(auto_class, str(tmp_path))


def test_a_body_without_the_layers_of_its_weights_is_named(tmp_path):
    base_model().transformer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_layer": 0}))
    for auto_class in (AutoModelForCausalLM, AutoModel):
        with pytest.raises(ConfigurationError, match=r"no layers in (transformer\.)?h, but the weights have .* h\.0"):
            load_safetensors(auto_class, str(tmp_path))


@pytest.mark.parametrize("load", [load_safetensors, load_to_train])
def test_weights_of_the_body_that_are_missing_are_named(tmp_path, load):
    base_model().save_pretrained(tmp_path)
    change(tmp_path, lambda weights: weights.update({"x": weights.pop("transformer.h.0.attn.c_attn.weight")}))
    with pytest.raises(
        ConfigurationError, match=r"do not fit its config: missing keys transformer\.h\.0\.attn\.c_attn"
    ):
        load(AutoModelForCausalLM, str(tmp_path))


def test_a_new_head_is_said_once_and_to_be_trained(tmp_path):
    small_vision.classifier("vit").vit.save_pretrained(tmp_path)
    with pytest.warns(HfEquiWarning, match=r"lacks weights of a ViTForImageClassification: classifier\.bias, classif"):
        model, whole = load_to_train(AutoModelForImageClassification, str(tmp_path))
    assert not whole
    assert torch.equal(next(model.vit.parameters()), next(small_vision.classifier("vit").vit.parameters()))
    small_vision.classifier("vit").save_pretrained(tmp_path)
    assert load_to_train(AutoModelForImageClassification, str(tmp_path))[1]
    with pytest.raises(ConfigurationError, match=r"classifier\.(bias|weight) has the shape"):
        load_to_train(AutoModelForImageClassification, str(tmp_path), num_labels=7)
    asked = {"num_labels": 7, "ignore_mismatched_sizes": True}
    model, whole = load_to_train(AutoModelForImageClassification, str(tmp_path), **asked)
    assert (model.num_labels, whole) == (7, False)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_not_finite_are_named(tmp_path, number, dtype):
    base_model().save_pretrained(tmp_path)
    change(tmp_path, lambda weights: weights["transformer.wte.weight"][3, 5].fill_(number))
    with pytest.raises(ConfigurationError, match=r"transformer\.wte\.weight holds numbers that are not finite"):
        load_safetensors(AutoModelForCausalLM, str(tmp_path), dtype=dtype)


def test_our_own_networks_are_loaded_as_carefully(tmp_path):
    network().save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, information = RecurrentSeq2Seq.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(information.values())
    change(tmp_path, lambda weights: weights.pop(min(weights)))
    with pytest.raises(ConfigurationError, match="missing keys"):
        RecurrentSeq2Seq.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match="does not load pickle"):
        RecurrentSeq2Seq.from_pretrained(tmp_path, use_safetensors=False)


def test_a_name_without_a_model_raises_as_in_transformers():
    with pytest.raises(OSError, match="offline mode"):
        load_safetensors(AutoModelForCausalLM, "nobody/nothing")

"""The networks of a model's method: their precision, and how a checkpoint that lacks one starts it."""

from __future__ import annotations

import copy

import pytest
import torch
from small_seq2seq import TWO
from small_seq2seq import wrap as wrap_texts
from small_vision import classifier, images
from wrapped_vision import TURNS, wrap

from hf_equi import EquiForImageClassification
from hf_equi.models import base as models_base
from hf_equi.symmetrizers import LambdaNetwork, OrbitAttention


@pytest.mark.parametrize(("method", "kind"), [("lambda", LambdaNetwork), ("attention", OrbitAttention)])
def test_methods_that_weigh_have_a_network(method, kind):
    model = wrap("resnet-basic", TURNS, method)
    assert type(model.lambda_network) is kind
    assert model.method.weigh.network is model.lambda_network
    assert wrap("resnet-basic", TURNS).method.weigh.network is None


def test_texts_are_weighed_in_the_same_way():
    assert type(wrap_texts("t5", TWO, "lambda").method.weigh.network) is LambdaNetwork
    assert wrap_texts("t5", TWO).method.weigh.network is None


def test_copies_and_what_stands_for_a_network_are_run():
    """As replicas do, and peft's `modules_to_save`."""
    model = wrap("resnet-basic", TURNS, "lambda").eval()
    again = copy.deepcopy(model)
    assert again.method.weigh.network is again.lambda_network
    assert again.lambda_network is not model.lambda_network
    asked = []
    again.lambda_network = torch.nn.Sequential(again.lambda_network)
    again.lambda_network.register_forward_hook(lambda *call: asked.append(call))
    with torch.no_grad():
        assert torch.equal(again(images(1)).logits, model(images(1)).logits)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_networks_are_not_less_precise_than_float32(dtype, expected):
    model = wrap(classifier("resnet-basic").to(dtype), TURNS, "lambda")
    assert {weight.dtype for weight in model.lambda_network.parameters()} == {expected}
    assert {weight.dtype for weight in model.base.parameters()} == {dtype}


def test_a_checkpoint_that_is_loaded_with_a_network_starts_one(tmp_path):
    model = wrap("resnet-basic", TURNS)
    model.save_pretrained(tmp_path)
    loaded = EquiForImageClassification.from_pretrained(tmp_path, method="lambda")
    for name, value in loaded.base.state_dict().items():
        assert torch.equal(value, model.base.state_dict()[name])
    for layer in (loaded.lambda_network.layers[place] for place in (0, 3, 6)):
        bound = layer.in_features**-0.5  # of torch's own initialisation
        assert 0.3 * bound < layer.weight.abs().max() <= bound
        assert layer.bias.abs().max() <= bound
    with torch.no_grad():
        assert loaded(images(1)).logits.isfinite().all()


@pytest.mark.parametrize(("place", "expected"), [("cuda:3", torch.device("cuda:3")), ("meta", None)])
def test_networks_are_made_where_the_base_computes(place, expected, monkeypatch):
    """Without a second device here, by what the network is asked for."""
    asked = []
    monkeypatch.setattr(models_base, "computing_device", lambda base: None if place == "meta" else torch.device(place))
    monkeypatch.setattr(LambdaNetwork, "to", lambda self, **where: asked.append(where) or self)
    wrap("resnet-basic", TURNS, "lambda")
    assert asked == [{"device": expected, "dtype": torch.float32}]


def test_a_base_without_numbers_has_a_network_with_some():
    model = wrap(classifier("resnet-basic").to("meta"), TURNS, "lambda")
    assert {weight.device.type for weight in model.base.parameters()} == {"meta"}
    assert {weight.device.type for weight in model.lambda_network.parameters()} == {"cpu"}


def test_on_meta_both_are_on_meta():
    with torch.device("meta"):
        model = EquiForImageClassification(wrap("resnet-basic", TURNS, "lambda").config)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}

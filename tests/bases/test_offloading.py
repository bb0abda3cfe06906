"""Weights that accelerate keeps elsewhere between calls, and what is computed with them all the same."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate import cpu_offload
from small_vision import CLIPS, classifier, clip, images, side, texts
from torch import nn
from wrapped_vision import TURNS, wrap, wrap_clip

from hf_equi.bases.offloading import computing_device, input_device, tensor_of


def offload(model):
    cpu_offload(model, execution_device=torch.device("cpu"))
    assert next(model.parameters()).is_meta
    return model


def test_devices_of_models():
    base = classifier("resnet")
    assert computing_device(base) == torch.device("cpu")
    assert computing_device(copy.deepcopy(base).to("meta")) is None
    assert computing_device(nn.ReLU()) is None
    assert input_device(nn.ReLU()) == torch.device("cpu")
    assert computing_device(offload(base)) == input_device(base) == torch.device("cpu")


def test_tensors_that_are_offloaded():
    base = clip("clip")
    base.logit_scale.data.fill_(1.25)
    assert tensor_of(base, "logit_scale") is base.logit_scale
    empty = copy.deepcopy(base).to("meta")
    assert tensor_of(empty, "logit_scale") is empty.logit_scale
    assert offload(base).logit_scale.is_meta
    assert tensor_of(base, "logit_scale").item() == 1.25


@pytest.mark.parametrize("family", [family for family in CLIPS if family != "siglip"])
@torch.no_grad()
def test_offloaded_models_that_compare_say_what_they_said(family):
    base, inputs = clip(family), {"pixel_values": images(2, (side(family),) * 2), **texts()}
    for method in ("equitune", "lambda"):
        required = wrap_clip(copy.deepcopy(base), TURNS, method)(**inputs).logits_per_image
        before = wrap_clip(offload(copy.deepcopy(base)), TURNS, method)(**inputs).logits_per_image
        after = offload(wrap_clip(copy.deepcopy(base), TURNS, method))(**inputs).logits_per_image
        assert torch.equal(before, required)
        assert torch.equal(after, required)


@torch.no_grad()
def test_biases_of_siglip_are_fetched():
    """Its pooling reads weights of layers that it does not call, which accelerate does not fetch for any caller."""
    from hf_equi.models.vision.clip_cuts import find_clip_cut

    base, features, words = clip("siglip"), torch.randn(2, 16), torch.randn(3, 16)
    cut = find_clip_cut(base)
    required = cut.similarity(base, features, words)
    assert torch.equal(cut.similarity(offload(base), features, words), required)


@pytest.mark.parametrize("method", ["lambda", "attention"])
@torch.no_grad()
def test_offloaded_classifiers_weigh_as_before(method):
    required = wrap("resnet", TURNS, method)(images(2))
    for model in (wrap(offload(classifier("resnet")), TURNS, method), offload(wrap("resnet", TURNS, method))):
        received = model(images(2))
        assert torch.equal(received.logits, required.logits)
        assert torch.equal(received.group_weights, required.group_weights)

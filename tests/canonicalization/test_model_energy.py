"""Energies read off pretrained models."""

from __future__ import annotations

import pytest
import torch
from small_vision import classifier, clip, images, texts
from torch import nn

from hf_equi import ImageGroup, PixelAction
from hf_equi.canonicalization import ModelEnergy, read_canonicalizer
from hf_equi.errors import ConfigurationError
from hf_equi.testing import assert_canonicalizer

TURNS = ImageGroup.rotations(4)
ACTION = PixelAction(TURNS)


@pytest.mark.parametrize("energy", ["logsumexp", "largest"])
def test_scores_are_those_of_the_logits(energy):
    model, x = classifier("vit"), images(2)
    found = ModelEnergy(TURNS, model, energy=energy)
    assert_canonicalizer(found, x, ACTION)
    for h in range(4):
        logits = model(ACTION.invert(h, x)).logits
        expected = logits.exp().sum(-1).log() if energy == "logsumexp" else logits.max(-1).values
        torch.testing.assert_close(found.scores(x)[:, h], expected)


def test_a_clip_compares_with_its_texts_and_is_stored():
    model, x = clip("clip"), images(2)
    features = model.get_text_features(**texts()).pooler_output
    found = ModelEnergy(TURNS, model, text_features=features, energy="largest")
    logits = model(pixel_values=ACTION.invert(1, x), **texts()).logits_per_image
    torch.testing.assert_close(found.scores(x)[:, 1], logits.max(-1).values)
    again = read_canonicalizer(found.to_dict(), TURNS)
    again.load_state_dict(found.state_dict())
    assert torch.equal(again.scores(x), found.scores(x))


def test_its_model_stays_frozen_and_evaluates():
    model = classifier("resnet").train()
    found = ModelEnergy(TURNS, model)
    for weight in model.parameters():
        weight.requires_grad_(True)
    found.train()
    assert not model.training
    assert not any(weight.requires_grad for weight in found.parameters())
    assert found.train().scores(images(1)).requires_grad is False


def test_the_base_is_asked_in_eval_mode_and_left_in_its_own():
    base, x = classifier("resnet"), images(2)
    found, norms = ModelEnergy(TURNS), [module for module in base.modules() if isinstance(module, nn.BatchNorm2d)]
    assert found.to_dict()["model"] == "base"
    expected = found(x, base)[0]
    before = [norm.running_mean.clone() for norm in norms]
    base.train()
    assert torch.equal(found(x, base)[0], expected)
    assert all(module.training for module in base.modules())
    assert all(torch.equal(norm.running_mean, was) for norm, was in zip(norms, before, strict=True))
    with pytest.raises(ConfigurationError, match="has no model of its own"):
        found.scores(x)


def test_what_has_no_energy_is_refused():
    with pytest.raises(ConfigurationError, match="A Linear is not a model of transformers: use an OrbitScorer"):
        ModelEnergy(TURNS, nn.Linear(1, 1))
    with pytest.raises(ConfigurationError, match="energy='low' is not known"):
        ModelEnergy(TURNS, energy="low")
    with pytest.raises(ConfigurationError, match="are a matrix"):
        ModelEnergy(TURNS, text_features=torch.zeros(3))

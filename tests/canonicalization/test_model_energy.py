"""Energies read off pretrained models."""

from __future__ import annotations

import pytest
import torch
from small_vision import classifier, clip, images, texts
from torch import nn
from wrapped_vision import TURNS, wrap, wrap_clip

import hf_equi
from hf_equi import ImageGroup, PixelAction
from hf_equi.canonicalization import CircularHarmonic, ModelEnergy, OrbitScorer, read_canonicalizer
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2
from hf_equi.testing import assert_canonicalizer

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


def text_features(model):
    return model.get_text_features(**texts()).pooler_output


@pytest.mark.parametrize("family", ["clip", "siglip", "align"])  # by a logit scale, with a bias, and by a temperature
def test_a_clip_compares_with_its_texts_and_is_stored(family):
    model, x = clip(family), images(2)
    features = text_features(model)
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


def replica(module):
    """A copy as `DataParallel` makes them: its weights are attributes, and it lists none."""
    made = module._replicate_for_data_parallel()
    made._parameters = {}
    made._modules = {name: replica(child) for name, child in module._modules.items() if child is not None}
    for name, weight in module._parameters.items():
        made.__dict__[name] = weight
    return made


@pytest.mark.parametrize("own", [False, True])
def test_a_replica_scores_alike(own):
    energy, x = ModelEnergy(TURNS, classifier("resnet-basic") if own else None), images(2)
    model = wrap("vit", TURNS, "canonical", canonicalizer=energy)
    with torch.no_grad():
        assert torch.equal(replica(model)(x).logits, model(x).logits)


def test_the_base_itself_is_not_held_twice(tmp_path):
    """Neither as a model, which would freeze it, nor in part."""
    base = classifier("vit")
    for held in (OrbitScorer(base.vit.embeddings, TURNS), ModelEnergy(TURNS, base)):
        with pytest.raises(ConfigurationError, match=r"holds weights of the base itself \(.*ModelEnergy\(group\)"):
            wrap(base, TURNS, "canonical", canonicalizer=held)
    energy = ModelEnergy(TURNS, text_features=text_features(clip("clip")))
    kept = wrap_clip("clip", method="canonical", canonicalizer=energy)
    kept.config.base_name, kept.config.base_revision = "me/base", "0" * 40
    kept.remember_base()
    with pytest.raises(ConfigurationError, match=r"besides its base's, .*'canonical' \(select_network\.texts\)"):
        kept.save_pretrained(tmp_path, save_base=False)


def test_a_base_or_model_without_an_energy_is_refused_before_it_is_asked():
    value, both = classifier("vit"), clip("clip")
    value.config.problem_type = "regression"
    features, plain = text_features(both), classifier("vit")
    for wrapped, message, settings in (
        (both, "compares images with texts, so its energy needs texts", {}),
        (plain, "does not compare images with texts: leave text_features= out", {"text_features": features}),
        (value, "does regression, so its outputs are not logits", {}),
    ):
        with pytest.raises(ConfigurationError, match=f"The base {message}"):
            hf_equi.symmetrize(wrapped, TURNS, "canonical", canonicalizer=ModelEnergy(TURNS, **settings))
        with pytest.raises(ConfigurationError, match=f"A {type(wrapped).__name__} {message}"):
            ModelEnergy(TURNS, wrapped, **settings)
        with pytest.raises(ConfigurationError, match=f"A {type(wrapped).__name__} {message}"):
            ModelEnergy(TURNS, **settings)(images(1), wrapped)
    angles = CircularHarmonic(SO2(), ModelEnergy(ImageGroup.rotations(8)))
    with pytest.raises(ConfigurationError, match="The base compares images"):
        hf_equi.symmetrize(both, SO2(), "canonical", canonicalizer=angles)


def test_what_has_no_energy_is_refused():
    with pytest.raises(ConfigurationError, match="A Linear is not a model of transformers: use an OrbitScorer"):
        ModelEnergy(TURNS, nn.Linear(1, 1))
    with pytest.raises(ConfigurationError, match="energy='low' is not known"):
        ModelEnergy(TURNS, energy="low")
    model = clip("clip")
    for given, said in (
        (torch.zeros(3), r"Tensor of the shape \(3,\)"),
        (model.get_text_features(**texts()), "BaseM"),
    ):
        with pytest.raises(ConfigurationError, match=f"are a matrix, .* not a {said}.*: pass get.*pooler_output"):
            ModelEnergy(TURNS, model, text_features=given)

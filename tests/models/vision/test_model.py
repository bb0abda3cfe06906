"""What wrapped models of images that are cut before their head have in common."""

from __future__ import annotations

from functools import partial

import numpy
import pytest
import torch
from small_vision import classifier, images, texts
from wrapped_vision import LEVELS, SQUARE, TURNS, ragged, wrap, wrap_clip

from hf_equi import PixelAction
from hf_equi.errors import ActionError, ConfigurationError


@pytest.mark.parametrize("make", [wrap, wrap_clip])
def test_networks_and_copies_are_there_where_they_are_read(make):
    family = "vit" if make is wrap else "clip"
    for method in ("equitune", "equizero", "identity"):
        model = make(family, TURNS, method)
        assert not hasattr(model, "lambda_network")
        assert not hasattr(model, "frozen_base")
    for method in ("lambda", "attention"):
        assert not hasattr(make(family, TURNS, method), "frozen_base")
        model = make(family, TURNS, method, lambda_features="frozen")
        assert model.frozen_base is not model.base
        theirs = dict(model.frozen_base.named_parameters())
        for name, weight in model.base.named_parameters():
            assert torch.equal(theirs[name], weight)
            assert theirs[name].data_ptr() != weight.data_ptr()


def test_what_is_frozen_evaluates():
    model = wrap("resnet-basic", TURNS, "lambda", lambda_features="frozen", lambda_dropout=0.5).train()
    assert model.training
    assert model.base.training
    assert model.lambda_network.training
    assert not model.frozen_base.training
    model.frozen_base.requires_grad_(True)
    model.base.requires_grad_(False)
    model.train()
    assert model.lambda_network.training
    assert not any(module.training for module in [*model.base.modules(), *model.frozen_base.modules()])
    assert not any(weight.requires_grad for weight in model.frozen_base.parameters())
    model.base.requires_grad_(True)
    model.base.resnet.embedder.requires_grad_(False)
    model.train()
    assert model.base.resnet.encoder.training
    assert not any(module.training for module in model.base.resnet.embedder.modules())
    assert not model.eval().lambda_network.training


@pytest.mark.parametrize("method", ["equitune", "equizero", "identity", "attention"])
@torch.no_grad()
def test_features_of_orbits_are_of_every_member(method):
    base, x = classifier("vit"), ragged()
    required = torch.stack([base.vit(member).last_hidden_state[:, 0] for member in PixelAction(SQUARE).orbit(x)])
    for level in LEVELS:
        received = wrap(base, SQUARE, method, level=level, orbit_chunk_size=3).get_orbit_features(x)
        torch.testing.assert_close(received, required, atol=1e-5, rtol=1e-5)


def test_features_of_orbits_carry_gradients():
    model = wrap("vit", TURNS)
    model.get_orbit_features(images(1)).sum().backward()
    assert model.base.vit.embeddings.patch_embeddings.projection.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_features_of_another_precision_are_read():
    model = wrap("vit", TURNS)
    features = model.get_orbit_features(images(2))
    received = model(orbit_features=features.double()).logits
    assert torch.equal(received, model(orbit_features=features).logits)


def test_new_networks_are_as_torch_makes_them():
    torch.manual_seed(5)
    import hf_equi

    model = hf_equi.symmetrize(classifier("resnet-basic"), TURNS, "lambda")
    weight = model.lambda_network.layers[0].weight
    assert weight.shape == (100, 16)
    assert 0.2 < weight.std() * 16**0.5 * 3**0.5 < 1.2  # uniform up to 1 / sqrt(16)


def test_extras():
    model = wrap("vit")
    assert model.checked_extras({"interpolate": True, "nothing": None, "output_attentions": False}) == {
        "interpolate": True
    }
    for name in ("output_hidden_states", "output_attentions"):
        with pytest.raises(ConfigurationError, match="returns only scores"):
            model.checked_extras({name: True})
    for make, family in ((wrap, "vit"), (wrap_clip, "clip")):
        with pytest.raises(ConfigurationError, match="returns only scores"):
            make(family, TURNS).get_orbit_features(images(1), output_hidden_states=True)


@pytest.mark.parametrize("given", [numpy.ones((2, 3, 32, 32)), [torch.ones(3, 32, 32)], torch.ones(2, 3, 0, 0)])
def test_what_is_no_batch_of_images(given):
    message = "has the shape" if torch.is_tensor(given) else "is a (ndarray|list), but the group acts on tensors"
    for make, family in ((wrap, "vit"), (wrap_clip, "clip")):
        model = make(family, TURNS)
        words = {} if make is wrap else texts()
        for ask in (partial(model, **words), model.get_orbit_features):
            with pytest.raises(ActionError, match=f"pixel_values.* {message}"):
                ask(pixel_values=given)
        with pytest.raises(ActionError, match=f"orbit_features.* {message}"):
            model(orbit_features=given, **words)

"""What a review found wrong in models of images, and stays mended."""

from __future__ import annotations

import copy

import pytest
import torch
from small_vision import classifier, images
from torch import nn
from wrapped_vision import LEVELS, TURNS, wrap, wrap_clip

from hf_equi import PixelAction
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.models.vision.levels import LEVELS as PLACES
from hf_equi.models.vision.levels import LINKS, Head
from hf_equi.models.vision.logits_cut import LogitsCut
from hf_equi.models.vision.orbits import ImageOrbits, ImageReader, combine
from hf_equi.symmetrizers import Equitune, Equizero, LambdaEquitune, MaxProbability

PLAIN = Head(lambda features: features, lambda maps: maps, LINKS["softmax"])
HALF = (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("dtype", HALF)
def test_choices_in_half_precision_are_between_exact_losses(dtype):
    """Both best probabilities are 1 in half precision; the second member is the surer one."""
    features = torch.tensor([[[12.0, 0, 0], [12.25, 0, 0], [11.75, 0, 0], [12.0, 0, 0]]], dtype=dtype)
    assert features.softmax(-1).amax(-1).unique().numel() == 1
    orbits = ImageOrbits.of_features(TURNS, features, Equitune())
    for level in ("features", "logits", "probabilities"):
        out = combine(orbits, PLAIN, Equizero(MaxProbability()), PLACES[level])
        assert out.decision.chosen_element.tolist() == [1]
        assert out.decision.margin.item() > 0
        assert out.logits.dtype == dtype


@pytest.mark.parametrize("level", LEVELS)
def test_equizero_learns_as_equitune_does_at_each_level(level):
    base, probe = classifier("resnet-basic"), torch.tensor([0.3, -1.0, 0.7, 0.2])
    received = []
    for method in ("equizero", "equitune"):
        x = images(2).requires_grad_()
        out = wrap(base, TURNS, method, level=level)(x)
        received += torch.autograd.grad((out.logits @ probe).sum(), x)
    assert received[0].abs().max() > 1e-4
    torch.testing.assert_close(*received, atol=1e-6, rtol=1e-4)


def test_equizero_of_texts_and_images_learns_by_probabilities_there():
    features, words = torch.randn(2, 4, 12), torch.randn(3, 12)
    received = []
    for method in ("equizero", "equitune"):
        leaf = features.clone().requires_grad_()
        out = wrap_clip("clip", TURNS, method, level="probabilities")(orbit_features=leaf, text_features=words)
        received += torch.autograd.grad(out.logits_per_image[:, 0].sum(), leaf)
    assert received[0].abs().max() > 1e-4
    torch.testing.assert_close(*received, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("make", [wrap, wrap_clip])
def test_methods_changed_afterwards(make):
    family, known = ("vit", {}) if make is wrap else ("clip", {"text_features": torch.randn(3, 12)})
    model = make(family, TURNS, "lambda")
    features = model.get_orbit_features(images(2))
    name = "logits" if make is wrap else "logits_per_image"
    required = make(family, TURNS)(orbit_features=features, **known)
    model.config.method = "equitune"  # which has no use for the network
    received = model(orbit_features=features, **known)
    torch.testing.assert_close(received[name], required[name])
    assert received.group_weights is None
    plain = make(family, TURNS)
    for method in ("lambda", "attention"):
        plain.config.method = method
        with pytest.raises(
            ConfigurationError, match=rf"method='{method}', .* was changed after .* Symmetrize .* again"
        ):
            plain(orbit_features=features, **known)


@pytest.mark.parametrize("dtype", HALF)
def test_weights_add_up_to_one_in_half_precision(dtype):
    """Members that agree say together what they say alone."""
    features = torch.randn(64, 1, 8).to(dtype).expand(64, 4, 8)
    orbits = ImageOrbits.of_features(TURNS, features, Equitune())
    log_weights = torch.randn(64, 4)
    method = LambdaEquitune().with_networks({"lambda_network": lambda features: log_weights}.get)
    for level in ("features", "logits"):
        out = combine(orbits, PLAIN, method, PLACES[level])
        assert out.logits.dtype == dtype
        assert torch.equal(out.logits, features[:, 0])


def test_features_of_replicas_are_read():
    """`DataParallel` replaces weights by tensors, so a replica has no parameters."""
    model = wrap("vit", TURNS)
    features = model.get_orbit_features(images(2)).detach()
    required = model(orbit_features=features).logits
    replica = copy.deepcopy(model)
    for module in replica.modules():
        weights, module._parameters = module._parameters, {}
        for name, weight in weights.items():
            object.__setattr__(module, name, weight)
    assert next(replica.base.parameters(), None) is None
    assert torch.equal(replica(orbit_features=features).logits, required)


@pytest.mark.parametrize("chunk", [None, 1])
def test_empty_batches_are_refused(chunk):
    model = wrap("resnet-basic", TURNS, orbit_chunk_size=chunk)
    with pytest.raises(ActionError, match=r"There are no images: pixel_values has the shape \(0, 3, 32, 32\)"):
        model(images(0))
    with pytest.raises(ActionError, match="There are no images: pixel_values"):
        model.get_orbit_features(images(0))
    with pytest.raises(ActionError, match="There are no images: orbit_features"):
        model(orbit_features=torch.zeros(0, 4, 16))


@pytest.mark.parametrize("shape", [(32,), (32, 32), (1, 32, 32)])
@torch.no_grad()
def test_images_without_all_axes_are_refused(shape):
    with pytest.raises(ActionError, match=r"axes.*received shape"):
        wrap("resnet-basic", TURNS)(torch.zeros(shape))


@pytest.mark.parametrize("make", [wrap, wrap_clip])
def test_images_and_features_of_them_are_not_both_read(make):
    family, known = ("vit", {}) if make is wrap else ("clip", {"text_features": torch.randn(3, 12)})
    model = make(family, TURNS)
    features = model.get_orbit_features(images(2))
    with pytest.raises(ConfigurationError, match="pixel_values= and orbit_features= describe the same images"):
        model(pixel_values=images(2), orbit_features=features, **known)


@pytest.mark.parametrize("method", ["lambda", "attention"])
def test_features_of_another_size_are_named(method):
    with pytest.raises(ConfigurationError, match=r"has 7 numbers for each member, but .* reads 16"):
        wrap("vit", TURNS, method)(orbit_features=torch.zeros(2, 4, 7))


def test_orbits_that_do_not_fit_into_memory():
    class Large(LogitsCut):
        def features(self, base, pixel_values, **kwargs):
            raise torch.OutOfMemoryError

    for chunk, at_once in ((None, 4), (2, 2)):
        reader = ImageReader(PixelAction(TURNS), Equitune(), PLACES["features"], Large(), chunk)
        message = rf"2 images of 3 × 32 × 32 make up to 8 rows; {at_once} members .* cpu\. Set orbit_chunk_size"
        with pytest.raises(UnsupportedModelError, match=message):
            reader.read(nn.Identity(), images(2))

"""Image models with `method="canonical_lambda"`: its two limits, its weights, trained, saved and loaded."""

from __future__ import annotations

import copy
import json
from itertools import combinations

import pytest
import torch
from small_rules import brightest_corner
from small_training import rows
from small_vision import classifier, images, texts
from torch.nn.functional import cross_entropy, softplus
from transformers import AutoModelForImageClassification
from wrapped_vision import LEVELS, SQUARE, TURNS, ragged, wrap, wrap_clip

import hf_equi
from hf_equi.canonicalization import GroupConvolution
from hf_equi.errors import ConfigurationError
from hf_equi.training import Phase, cache_features, corrected_phases, parameters_of, published_phases

THETA = ["0°", "90°", "0° mirrored"]
LABELS = torch.tensor([0, 1, 2])


def model_of(group=SQUARE, theta=None, **settings):
    return wrap("vit", group, "canonical_lambda", theta=THETA if theta is None else theta, lambda_units=5, **settings)


@pytest.mark.parametrize("level", LEVELS)
def test_the_identity_alone_is_canonicalization(level):
    model, plain = model_of(theta=["0°"], level=level), wrap("vit", SQUARE, "canonical", level=level)
    plain.select_network.load_state_dict(model.select_network.state_dict())
    x = ragged()
    with torch.no_grad():
        one, other = model(x), plain(x)
    torch.testing.assert_close(one.logits, other.logits, atol=1e-6, rtol=1e-5)
    assert torch.equal(one.canonical_element, other.canonical_element)
    assert one.group_weights.tolist() == [[1.0]] * 3


@pytest.mark.parametrize("level", LEVELS)
def test_the_whole_group_is_lambda_equitune_whatever_the_canonicalizer(level):
    plain = wrap("vit", SQUARE, "lambda", lambda_units=5, level=level)
    x = ragged()
    for sign in (1, -1):  # the best score, and the worst one
        model = model_of(theta=list(SQUARE.names), level=level)
        with torch.no_grad():
            list(model.select_network.parameters())[-1].mul_(sign)
        model.lambda_network.load_state_dict(plain.lambda_network.state_dict())
        with torch.no_grad():
            one, other = model(x), plain(x)
        torch.testing.assert_close(one.logits, other.logits, atol=1e-5, rtol=1e-5)
        # The weights are those of the members θh(x)⁻¹x, in the order of Θ.
        back = SQUARE.product[:, SQUARE.inverse(one.canonical_element)].T
        torch.testing.assert_close(one.group_weights, other.group_weights.gather(1, back), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("group", [TURNS, SQUARE], ids=repr)
def test_it_is_the_weighted_mean_of_the_moved_canonical_images(group):
    """Of images with a symmetry of their own, too: members that are equal then count as often as Θ has them."""
    theta = [0, 1, group.order // 2 + 1]
    model = model_of(group, theta, level="logits", canonicalizer=brightest_corner if group is TURNS else None)
    x = torch.cat([images(3), ragged()])
    with torch.no_grad():
        out = model(x)
        canonical = model.action.invert(out.canonical_element, x)
        members = [model.action.apply(g, canonical[5:]) for g in theta]
        assert group is TURNS or any(torch.equal(*two) for two in combinations(members, 2))
        total, weight = 0.0, 0.0
        for theta in model.method.select.theta_in(group).tolist():
            member = model.action.apply(theta, canonical)
            share = softplus(model.lambda_network.layers(model._cut.features(model.base, member)))
            total, weight = total + share * model.base(member).logits, weight + share
    torch.testing.assert_close(out.logits, total / weight, atol=1e-5, rtol=1e-5)
    assert out.group_weights.std() > 0.001


def test_images_move_and_neither_the_answer_nor_the_weights_do():
    model, x = model_of(), images(3)
    with torch.no_grad():
        out = model(x)
        for g in range(1, 8):
            moved = model(model.action.apply(g, x))
            torch.testing.assert_close(moved.logits, out.logits, atol=1e-5, rtol=0)
            torch.testing.assert_close(moved.group_weights, out.group_weights, atol=1e-5, rtol=0)


def test_it_is_saved_and_loaded_with_theta_and_both_networks(tmp_path):
    model, x = (
        model_of(TURNS, ("0°", 1, torch.tensor(2)), canonicalizer=GroupConvolution(TURNS, channels=3)),
        images(3),
    )
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["theta"] == ["0°", 1, 2]
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(x).logits, model(x).logits)
        assert torch.equal(loaded.feature_model()(x).pooler_output, model(x).image_features)
    card = model.make_card(tmp_path / "README.md")
    assert r"| theta | \['0°', 1, 2\] |" in card
    assert "The model costs 3 forward passes of the base, and one pass of the canonicalizer." in card
    assert "| lambda_units | 5 |" in card
    model.config.theta = ["0°"]
    with torch.no_grad():
        assert model(x).group_weights.shape == (3, 1)


def test_a_clip_averages_around_its_canonical_image():
    model = wrap_clip("clip", SQUARE, "canonical_lambda", theta=THETA, lambda_units=5)
    x, asked = images(3), texts()
    with torch.no_grad():
        out, moved = model(pixel_values=x, **asked), model(pixel_values=x.rot90(1, (2, 3)).flip(-1), **asked)
    torch.testing.assert_close(out.logits_per_image, moved.logits_per_image, atol=1e-5, rtol=0)
    assert out.group_weights.shape == (3, 3)
    model.train()
    trained = model(pixel_values=x, **asked, labels=LABELS)
    prior = model.config.prior_weight * trained.prior_loss
    torch.testing.assert_close(trained.loss, cross_entropy(trained.logits_per_image, LABELS) + prior)


def test_each_part_is_trained_by_its_phase_and_all_by_one_loss():
    model, x = model_of(prior_weight=2.0, task_weight=0.5), images(3)
    model.train()
    out = model(x, labels=LABELS)
    torch.testing.assert_close(out.loss, 0.5 * cross_entropy(out.logits, LABELS) + 2 * out.prior_loss)
    out.loss.backward()
    for part in ("lambda", "canonicalizer", "base"):
        assert any(weight.grad is not None and weight.grad.any() for weight in parameters_of(model, part)), part
    model.zero_grad()
    with Phase("lambda", "lambda", 0.1, max_steps=1).applied(model):
        model(x, labels=LABELS).loss.backward()
        assert all(weight.grad is not None for weight in parameters_of(model, "lambda"))
        assert all(weight.grad is None for weight in parameters_of(model, "canonicalizer"))
    model.zero_grad()
    model.config.task_weight = 0.0
    alone = model(x)  # the prior: neither labels, nor the base, nor λ
    torch.testing.assert_close(alone.loss, 2 * alone.prior_loss)
    alone.loss.backward()
    assert all(weight.grad is None for weight in parameters_of(model, "lambda"))
    assert [phase.trains for phase in published_phases(model)] == ["lambda", "last_layers"]
    assert [phase.trains for phase in corrected_phases(model)] == ["lambda", "all"]


def test_a_frozen_copy_gives_the_features_of_the_weights():
    model, x = model_of(lambda_features="frozen"), images(2)
    with torch.no_grad():
        before = model(x).group_weights
        model.base.classifier.weight.mul_(2)
        for weight in model.base.vit.parameters():
            weight.mul_(0.5)
        assert torch.equal(model(x).group_weights, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"theta=None is not a set of elements: .* such as theta=\['0°', '90°'\]"),
        ({"theta": {"0°", "90°"}}, "has no order"),
        ({"theta": [0], "prior_weight": -1.0}, "prior_weight=-1.0 is not a weight"),
        ({"theta": [0], "lambda_units": 0}, "lambda_units=0 is not a size"),
        ({"theta": [0], "loss": "entropy"}, "loss: the method 'canonical_lambda' does not use"),
        ({"theta": [0], "canonicalizer": GroupConvolution(SQUARE)}, "is of ImageGroup.dihedral"),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        hf_equi.symmetrize(classifier("vit"), TURNS, "canonical_lambda", **settings)


def test_other_methods_have_no_theta():
    for method in ("canonical", "lambda", "equitune"):
        with pytest.raises(ConfigurationError, match=f"theta: the method '{method}' does not use"):
            hf_equi.symmetrize(classifier("vit"), TURNS, method, theta=["0°"])


def test_features_cannot_be_cached_because_the_canonicalizer_reads_images():
    model = model_of(TURNS, [0, 1])
    model.base.requires_grad_(False)
    with pytest.raises(ConfigurationError, match="selects members by the images, which a cache"):
        cache_features(model, rows())
    with pytest.raises(ConfigurationError, match="selects members by the images, which orbit_features"):
        model(orbit_features=model.get_orbit_features(images(1)))
    assert copy.deepcopy(model)(images(1)).logits.shape == (1, 4)

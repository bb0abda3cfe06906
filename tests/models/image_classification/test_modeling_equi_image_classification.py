"""Symmetrised image classifiers: invariance at every level, rows that are shared, what is refused."""

from __future__ import annotations

import pytest
import torch
from small_models import base_model
from small_vision import FAMILIES, LABELS, classifier, images
from transformers import AutoImageProcessor, LevitConfig, LevitForImageClassification, ViTConfig, ViTModel
from transformers.models.vit.modeling_vit import ViTForImageClassification
from wrapped_vision import LEVELS, METHODS, SQUARE, TURNS, ragged, wrap

from hf_equi import EquiForImageClassification, EquiImageClassificationConfig, ImageGroup, PixelAction
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.models.vision.classification_cuts import TimmCut
from hf_equi.testing import assert_equivariant, equivariance_error

GENERATORS = (1, 4)  # of the square's symmetries: a turn and a mirror


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_no_method_at_any_level_sees_how_an_image_is_turned(family):
    base = classifier(family)
    turned = PixelAction(SQUARE).orbit(images(1))[0, [0, *GENERATORS]]
    alone, decided = base(turned).logits, 0
    assert (alone - alone[:1]).abs().amax(1)[1:].min() > 1e-3
    for settings in METHODS.values():
        model = wrap(base, **settings)
        for level in LEVELS:
            model.config.level = level
            out = model(turned)
            assert out.logits.shape == (3, LABELS)
            assert (out.image_features is None) == (level in ("logits", "probabilities"))
            if out.margin is not None and out.margin.min() < 1e-4:
                continue  # either of the best two may be taken
            decided += out.margin is not None
            error = (out.logits - out.logits[:1]).abs().max()
            assert error < 1e-5, (settings, level)
            if out.image_features is not None:
                torch.testing.assert_close(
                    out.image_features, out.image_features[:1].expand_as(out.image_features), atol=1e-5, rtol=1e-5
                )
    assert decided >= 4


@pytest.mark.parametrize("group", [ImageGroup.flips("both"), ImageGroup.flips("vertical")], ids=repr)
@pytest.mark.parametrize("method", ["equitune", "attention"])
def test_the_kit_finds_models_invariant_and_their_bases_not(method, group):
    model = wrap("vit", group, method)
    assert_equivariant(lambda x: model(x).logits, images(2), model.action, tolerance=1e-5)
    errors = equivariance_error(lambda x: model.unwrap()(x).logits, images(2), model.action)
    assert errors[1:].min() > 1e-3


@pytest.mark.parametrize("group", [ImageGroup.flips("horizontal"), ImageGroup.rotations(2)], ids=repr)
def test_images_that_are_no_squares_under_groups_that_need_none(group):
    for level in LEVELS:
        model = wrap("resnet", group, level=level)
        assert_equivariant(lambda x: model(x).logits, images(2, (32, 48)), model.action, tolerance=1e-5)  # noqa: B023


@pytest.mark.parametrize("family", ["resnet-basic", "vit", "swin"])
@torch.no_grad()
def test_without_a_group_or_a_method_the_base_is_left_as_it_is(family):
    base, x = classifier(family), images()
    required = base(x).logits
    for level in LEVELS:
        for settings in METHODS.values():
            out = wrap(base, ImageGroup.trivial(), level=level, **settings)(x)
            expected = required.log_softmax(-1) if level == "probabilities" else required
            torch.testing.assert_close(out.logits, expected, atol=1e-6, rtol=1e-6)
            if settings["method"] in ("lambda", "attention"):
                torch.testing.assert_close(out.group_weights, torch.ones(3, 1))
        out = wrap(base, SQUARE, "identity", level=level)(x)
        assert (out.chosen_element, out.margin, out.group_weights) == (None, None, None)
        torch.testing.assert_close(out.logits, expected, atol=1e-6, rtol=1e-6)
    assert torch.equal(wrap(base, SQUARE, "identity")(x).logits, required)


def rows_of(model, x):
    """How many images went through the base in each of its calls."""
    rows, body = [], model.unwrap().vit
    handle = body.register_forward_pre_hook(lambda module, inputs: rows.append(len(inputs[0])))
    with torch.no_grad():
        model(x)
    handle.remove()
    return rows


@pytest.mark.parametrize("method", ["equitune", "equizero", "lambda", "attention"])
def test_equal_members_share_a_row(method):
    some, constant, mirrored = ragged().split(1)
    flips = ImageGroup.flips("both")
    assert rows_of(wrap("vit", SQUARE, method), constant) == [1]
    assert rows_of(wrap("vit", flips, method), mirrored) == [2]
    assert rows_of(wrap("vit", SQUARE, method), mirrored) == [4]
    assert rows_of(wrap("vit", SQUARE, method), some) == [8]
    assert rows_of(wrap("vit", SQUARE, method), ragged()) == [8 + 1 + 4]
    assert rows_of(wrap("vit", SQUARE, method, level="spatial"), ragged()) == [3 * 8]  # their maps move on
    assert rows_of(wrap("vit", SQUARE, method, orbit_chunk_size=3), ragged()) == [9, 4]
    assert rows_of(wrap("vit", SQUARE, "identity"), ragged()) == [3]


@pytest.mark.parametrize("level", ["features", "probabilities", "spatial"])
@pytest.mark.parametrize("name", ["equitune", "entropy", "lambda", "attention"])
@torch.no_grad()
def test_neither_chunks_nor_neighbours_change_an_answer(name, level):
    base, x = classifier("vit"), ragged()
    together = wrap(base, level=level, **METHODS[name])(x)
    for size in (1, 2, 3) if level != "features" else ():  # there the contract asks for it
        parts = wrap(base, level=level, orbit_chunk_size=size, **METHODS[name])(x)
        torch.testing.assert_close(parts.logits, together.logits, atol=1e-6, rtol=1e-5)
    model = wrap(base, level=level, **METHODS[name])
    alone = torch.cat([model(image[None]).logits for image in x])
    torch.testing.assert_close(alone, together.logits, atol=1e-5, rtol=1e-5)
    assert (together.logits - together.logits.roll(1, 0)).abs().amax(1).min() > 1e-2


@pytest.mark.parametrize("family", ["resnet-basic", "vit"])
@torch.no_grad()
def test_known_features_stand_for_images(family):
    base, x = classifier(family), ragged()
    everything = [*METHODS.values(), {"method": "identity"}, {**METHODS["lambda"], "lambda_features": "frozen"}]
    for settings in everything:
        for level in ("features", "logits", "probabilities"):
            model = wrap(base, level=level, **settings)
            features = model.get_orbit_features(x)
            assert features.shape == (3, 8, 16)
            known, read = model(orbit_features=features), model(x)
            torch.testing.assert_close(known.logits, read.logits, atol=1e-6, rtol=1e-5)
            if read.group_weights is not None:
                torch.testing.assert_close(known.group_weights, read.group_weights, atol=1e-6, rtol=1e-5)
    spatial = wrap(base, level="spatial")
    torch.testing.assert_close(spatial.get_orbit_features(x), features, atol=1e-6, rtol=1e-5)
    with pytest.raises(ConfigurationError, match="the spatial level combines feature maps: pass pixel_values"):
        spatial(orbit_features=features)
    for wrong in (features[:, :4], features[0]):
        with pytest.raises(ActionError, match=r"have the shape \(batch, 8, features\).*received"):
            model(orbit_features=wrong)


@torch.no_grad()
def test_several_classes_may_be_right_at_once():
    base, x = classifier("resnet"), images(2)
    base.config.problem_type = "multi_label_classification"
    model, members = wrap(base, TURNS, level="probabilities"), PixelAction(TURNS).orbit(x)
    required = torch.stack([base(image).logits.sigmoid().mean(0) for image in members])
    torch.testing.assert_close(model(x).logits.sigmoid(), required, atol=1e-6, rtol=1e-5)
    assert model.config.problem_type == "multi_label_classification"
    labels = torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 0]])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(model(x).logits, labels)
    torch.testing.assert_close(model(x, labels=labels).loss, expected)


@torch.no_grad()
def test_the_loss_is_that_of_the_combined_logits():
    x, labels = images(2), torch.tensor([1, 3])
    out = wrap("vit")(x, labels=labels)
    torch.testing.assert_close(out.loss, torch.nn.functional.cross_entropy(out.logits, labels))
    twice = wrap("vit", objective="published_double_softmax")(x, labels=labels)
    assert torch.equal(twice.logits, out.logits)
    torch.testing.assert_close(twice.loss, torch.nn.functional.cross_entropy(out.logits.softmax(-1), labels))
    loss, logits, features = wrap("vit")(x, labels=labels, return_dict=False)
    assert torch.equal(loss, out.loss)
    assert torch.equal(logits, out.logits)
    assert torch.equal(features, out.image_features)


@torch.no_grad()
def test_what_the_base_takes_beside_images_goes_through():
    model = wrap("vit", TURNS)
    large = images(1, (48, 48))
    assert_equivariant(lambda x: model(x, interpolate_pos_encoding=True).logits, large, model.action, tolerance=1e-5)
    with pytest.raises(ValueError, match="doesn't match model"):
        model(large)


def test_images_that_cannot_be_turned():
    with pytest.raises(ActionError, match="must be square; received H = 32, W = 48"):
        wrap("resnet")(images(1, (32, 48)))
    with pytest.raises(ActionError, match="four axes"):
        wrap("resnet")(images(1)[0])


class OwnViT(ViTForImageClassification):
    """A class of one's own may pool as it likes."""


def levit():
    config = LevitConfig(image_size=32, num_labels=LABELS, hidden_sizes=[16, 16, 16], num_attention_heads=[1, 1, 1])
    return LevitForImageClassification(config).eval()


@pytest.mark.parametrize("kind", ["levit", "own"])
@torch.no_grad()
def test_families_that_are_not_known_have_logits_alone(kind):
    base = levit() if kind == "levit" else OwnViT(classifier("vit").config).eval()
    model = EquiForImageClassification(
        EquiImageClassificationConfig(base_config=base.config, group=TURNS.to_dict()), base
    )
    x = images(2)
    required = torch.stack([base(member).logits.mean(0) for member in PixelAction(TURNS).orbit(x)])
    torch.testing.assert_close(model(x).logits, required, atol=1e-5, rtol=1e-5)
    assert model.get_orbit_features(x).shape == (2, 4, LABELS)
    with pytest.raises(ConfigurationError, match=rf"how {type(base).__name__} pools.*use level=\"features\""):
        EquiForImageClassification(
            EquiImageClassificationConfig(base_config=base.config, group=TURNS.to_dict(), level="spatial"), base
        )


def test_models_of_timm_have_no_spatial_level(monkeypatch):
    where = "hf_equi.models.image_classification.modeling_equi_image_model.find_classification_cut"
    monkeypatch.setattr(where, lambda base: TimmCut())
    assert wrap("vit", level="logits").config.level == "logits"
    with pytest.raises(ConfigurationError, match='no spatial level: use level="features"'):
        wrap("vit", level="spatial")


def test_grids_that_a_turn_does_not_keep():
    config = ViTConfig(
        image_size=32, patch_size=[8, 16], hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_labels=2
    )
    base = ViTForImageClassification(config).eval()
    assert wrap(base)(images(1)).logits.shape == (1, 2)
    with pytest.raises(ActionError, match="4 rows of 2 patches are not a square"):
        wrap(base, level="spatial")(images(1))
    flipped = wrap(base, ImageGroup.flips("both"), level="spatial")
    assert_equivariant(lambda x: flipped(x).logits, images(1), flipped.action, tolerance=1e-5)


def test_what_a_classifier_does_not_do():
    model = wrap("vit")
    with pytest.raises(ConfigurationError, match="needs pixel_values, or orbit_features"):
        model()
    config = EquiImageClassificationConfig(base_config=classifier("vit").config, group=TURNS.to_dict())
    with pytest.raises(UnsupportedModelError, match="takes no pixel_values"):
        EquiForImageClassification(config, base_model())


def test_a_new_base_comes_from_the_config():
    config = EquiImageClassificationConfig(base_config=classifier("vit").config, group=TURNS.to_dict())
    model = EquiForImageClassification(config)
    assert isinstance(model.unwrap(), ViTForImageClassification)
    assert model(images(1)).logits.shape == (1, LABELS)
    assert model.processor is None
    assert model.processor_class is AutoImageProcessor
    assert not isinstance(model.unwrap(), ViTModel)

"""Cuts of image classifiers: every family against its own forward, and under the symmetries of a square."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from small_vision import CLASSIFIERS, LABELS, SIDE, classifier, images, side, symmetrise
from transformers import (
    LevitConfig,
    LevitForImageClassification,
    SegformerForImageClassification,
    ViTForImageClassification,
)

from hf_equi import ImageGroup
from hf_equi.actions.images import PixelAction
from hf_equi.models.vision.classification_cuts import _CUTS, _CUTS_BY_CLASS, TimmCut, find_classification_cut

SQUARE = ImageGroup.dihedral(4)
LINEAR = set(CLASSIFIERS) - {"beit", "convnext", "convnextv2", "data2vec-vision", "poolformer"}
ANY_SIZE = ("focalnet", "swin", "swinv2")
BY_STRIDES = {
    **dict.fromkeys(("bit", "regnet", "resnet", "resnet-basic", "swiftformer"), 33),
    **dict.fromkeys(("mobilenet_v1", "mobilevit"), 65),
    "mobilenet_v2": 33,
    "poolformer": 35,
}
"""Sides of images on which the strides of a family fall in the same places after a flip."""
# Of these the strides, or paddings, prefer a side whatever the size.
LOPSIDED = {"efficientnet", "mobilevitv2", "pvt_v2", "segformer", "textnet"}


@cache
def cut_of(family):
    """A model that no test changes, its cut, images and their maps."""
    base, x = classifier(family), images(size=(side(family),) * 2)
    cut = find_classification_cut(base)
    with torch.no_grad():
        return base, cut, x, cut.maps(base, x)


def test_every_family_of_the_table_is_tested():
    tested = [cut_of(family)[0] for family in CLASSIFIERS]
    assert {base.config.model_type for base in tested} == set(_CUTS)
    assert set(_CUTS_BY_CLASS) <= {type(base).__name__ for base in tested}


@pytest.mark.parametrize("family", CLASSIFIERS)
@torch.no_grad()
def test_the_head_of_the_features_is_the_base(family):
    base, cut, x, _ = cut_of(family)
    features, logits = cut.features(base, x), base(x).logits
    assert features.dim() == 2
    assert logits.shape == (3, LABELS)
    assert logits.std(0).mean() > 0.01  # images differ
    torch.testing.assert_close(cut.head(base, features), logits, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", CLASSIFIERS)
@torch.no_grad()
def test_pooled_maps_are_the_features(family):
    base, cut, x, maps = cut_of(family)
    assert cut.has_maps
    torch.testing.assert_close(cut.pool(base, maps), cut.features(base, x), atol=1e-6, rtol=1e-6)
    pooled = getattr(cut.body_of(base)(x), "pooler_output", None)
    if pooled is not None and not family.startswith(("clip", "dinov2", "metaclip", "siglip", "textnet")):
        torch.testing.assert_close(cut.features(base, x), pooled.flatten(1), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", CLASSIFIERS)
@torch.no_grad()
def test_pooling_does_not_see_how_maps_are_turned(family):
    base, cut, x, maps = cut_of(family)
    action = cut.map_action(SQUARE, base, x.shape[-2:])
    for g in range(1, SQUARE.order):
        moved = action.apply(g, maps)
        assert not torch.allclose(moved, maps, atol=1e-3)
        torch.testing.assert_close(cut.pool(base, moved), cut.pool(base, maps), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", sorted(set(CLASSIFIERS) - LOPSIDED))
@torch.no_grad()
def test_maps_of_a_model_without_directions_move_as_its_images_do(family):
    base = symmetrise(classifier(family))
    cut = find_classification_cut(base)
    size = (BY_STRIDES.get(family, SIDE),) * 2
    x = images(1, size)
    maps, pixels, action = cut.maps(base, x), PixelAction(SQUARE), cut.map_action(SQUARE, base, size)
    for g in (1, 4):  # they generate the group
        error = (cut.maps(base, pixels.apply(g, x)) - action.apply(g, maps)).abs().max()
        assert error < 1e-3 * (action.apply(g, maps) - maps).abs().max()


@pytest.mark.parametrize("family", CLASSIFIERS)
@torch.no_grad()
def test_means_of_maps_are_means_of_features_where_pooling_is_linear(family):
    base, cut, _, maps = cut_of(family)
    maps = 3 * maps
    of_mean, mean = cut.pool(base, maps.mean(0, keepdim=True)), cut.pool(base, maps).mean(0, keepdim=True)
    assert torch.allclose(of_mean, mean, atol=1e-5) == (family in LINEAR)


@pytest.mark.parametrize("size", [(32, 48), (48, 32), (36, 44), (30, 33)])
@pytest.mark.parametrize("family", ANY_SIZE)
@torch.no_grad()
def test_grids_of_images_that_are_no_squares(family, size):
    base = classifier(family)
    cut, x = find_classification_cut(base), images(1, size)
    maps = cut.maps(base, x)
    rows, columns = cut.body_of(base)(x, output_hidden_states=True).reshaped_hidden_states[-1].shape[-2:]
    assert cut.layout.grid(base.config, size) == (rows, columns)
    action = cut.map_action(ImageGroup.flips("horizontal"), base, size)
    flipped = maps.unflatten(1, (rows, columns)).flip(2).flatten(1, 2)
    assert torch.equal(action.apply(1, maps), flipped)


@torch.no_grad()
def test_position_encodings_are_interpolated_where_the_base_takes_that():
    x = images(2, (48, 48))
    for family, kwargs in (("vit", {"interpolate_pos_encoding": True}), ("resnet", {})):
        base = classifier(family)
        cut = find_classification_cut(base)
        features = cut.features(base, x, interpolate_pos_encoding=True)
        torch.testing.assert_close(cut.head(base, features), base(x, **kwargs).logits)


@pytest.mark.parametrize("family", ["resnet", "mobilenet_v2", "poolformer", "swinv2", "vit"])
@torch.no_grad()
def test_a_base_whose_config_asks_for_tuples_is_cut_as_well(family):
    base, (_, cut, x, maps) = classifier(family), cut_of(family)
    base.config.return_dict = False
    assert torch.equal(cut.maps(base, x), maps)


@pytest.mark.parametrize("family", ["mobilenet_v1", "mobilenet_v2", "mobilevit", "efficientnet"])
def test_dropout_leaves_the_features_that_others_read(family):
    base = classifier(family).train()
    base.dropout.p = 0.5
    cut = find_classification_cut(base)
    features = torch.ones(2, base.classifier.in_features)
    torch.manual_seed(0)
    logits = cut.head(base, features)
    assert torch.equal(features, torch.ones_like(features))
    torch.manual_seed(0)
    torch.testing.assert_close(logits, base.classifier(base.dropout(features)))
    base.eval()
    assert not torch.allclose(cut.head(base, torch.ones_like(features)), logits)


@pytest.mark.parametrize("family", ["resnet", "vit", "deit-teacher", "swin", "mobilenet_v2"])
def test_gradients_flow_through_both_halves(family):
    base, (_, cut, x, _) = classifier(family), cut_of(family)
    cut.head(base, cut.features(base, x)).pow(2).sum().backward()
    mine = {name: parameter.grad.clone() for name, parameter in base.named_parameters() if parameter.grad is not None}
    base.zero_grad()
    base(x).logits.pow(2).sum().backward()
    for name, parameter in base.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(mine[name], parameter.grad, atol=1e-5, rtol=1e-4)


def test_families_that_are_not_known_have_no_cut():
    sizes = {"hidden_sizes": [8, 8, 8], "num_attention_heads": [2, 2, 2], "depths": [1, 1, 1], "key_dim": [4, 4, 4]}
    assert find_classification_cut(LevitForImageClassification(LevitConfig(image_size=32, **sizes))) is None


def test_models_of_a_known_family_that_are_no_image_classifiers_have_no_cut():
    assert find_classification_cut(classifier("vit").vit) is None


def test_a_class_of_ones_own_has_no_cut():
    class Own(ViTForImageClassification):
        """It might pool in another way."""

    assert find_classification_cut(Own(classifier("vit").config)) is None


def test_segformer_whose_maps_are_tokens_has_no_cut():
    config = classifier("segformer").config
    config.reshape_last_stage = False
    assert find_classification_cut(SegformerForImageClassification(config)) is None


def test_the_two_heads_of_distilled_models_are_told_apart():
    one, two = (find_classification_cut(classifier(family)) for family in ("deit", "deit-teacher"))
    assert one is _CUTS["deit"]
    assert two is _CUTS_BY_CLASS["DeiTForImageClassificationWithTeacher"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resnet18", {}),
        ("vgg11", {}),
        ("densenet121", {}),
        ("convnext_atto", {}),
        ("efficientnet_b0", {}),
        ("vit_tiny_patch16_224", {"img_size": SIDE}),
    ],
)
@torch.no_grad()
def test_models_of_timm_are_cut_before_their_classifier(name, settings):
    base, x = of_timm(name, settings), images(2)
    cut = find_classification_cut(base)
    assert isinstance(cut, TimmCut)
    assert not cut.has_maps
    features, logits = cut.features(base, x, nonsense=1), base(x).logits
    assert features.dim() == 2
    assert logits.shape == (2, LABELS)
    torch.testing.assert_close(cut.head(base, features), logits, atol=1e-5, rtol=1e-5)


def test_models_of_timm_with_two_classifiers_have_no_cut():
    assert find_classification_cut(of_timm("deit_tiny_distilled_patch16_224", {"img_size": SIDE})) is None


def of_timm(name, settings):
    """A model of timm in its wrapper, where timm can be imported."""
    try:
        import timm  # noqa: F401
    except ImportError as error:
        pytest.skip(f"timm needs torchvision, whose wheels on PyPI need a torch with CUDA: {error}")
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    config = TimmWrapperConfig(architecture=name, num_labels=LABELS, model_args=settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TimmWrapperForImageClassification(config).eval()

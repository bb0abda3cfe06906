"""Cuts of CLIP-like models: every family against its own forward, and under the symmetries of a square."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from small_vision import CLIPS, SIDE, classifier, clip, images, side, symmetrise, texts
from transformers import CLIPSegConfig, CLIPSegModel

from hf_equi import ImageGroup
from hf_equi.actions.images import GridAction, PixelAction
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.models.vision.clip_cuts import check_clip, find_clip_cut

SQUARE = ImageGroup.dihedral(4)
SPECIAL = {"chinese_clip": 1, "clip": 1, "siglip": 0}


@cache
def cut_of(family):
    """A model that no test changes, its cut, images, and what it says of them with texts."""
    base, x = clip(family), images(size=(side(family),) * 2)
    with torch.no_grad():
        return base, find_clip_cut(base), x, base(pixel_values=x, return_loss=True, **texts())


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_similarities_of_features_are_the_logits_of_the_base(family):
    base, cut, x, out = cut_of(family)
    image_features, text_features = cut.features(base, x), cut.text_features(base, **texts())
    assert out.logits_per_image.std(0).mean() > 0.1  # images differ
    logits = cut.similarity(base, image_features, text_features)
    torch.testing.assert_close(logits, out.logits_per_image, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_features_are_projected_and_not_normalised(family):
    base, cut, x, out = cut_of(family)
    for features, normalised in (
        (cut.features(base, x), out.image_embeds),
        (cut.text_features(base, **texts()), out.text_embeds),
    ):
        norms = features.norm(dim=-1, keepdim=True)
        assert (norms - 1).abs().min() > 1e-3
        torch.testing.assert_close(features / norms, normalised, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_similarities_of_whole_orbits(family):
    base, cut, x, _ = cut_of(family)
    image_features, text_features = cut.features(base, x), cut.text_features(base, **texts(2))
    orbits = torch.stack([image_features, 2 * image_features.flip(0)], dim=1)  # (B, K, D)
    logits = cut.similarity(base, orbits, text_features)
    assert logits.shape == (3, 2, 2)
    torch.testing.assert_close(logits[:, 0], cut.similarity(base, image_features, text_features))
    torch.testing.assert_close(logits[:, 1], logits[:, 0].flip(0))


@pytest.mark.parametrize("family", CLIPS)
def test_the_loss_is_that_of_the_base(family):
    _, cut, _, out = cut_of(family)
    base, x = clip(family), cut_of(family)[2]
    logits = cut.similarity(base, cut.features(base, x), cut.text_features(base, **texts()))
    loss = cut.contrastive_loss(base, logits.T)
    torch.testing.assert_close(loss, out.loss, atol=1e-5, rtol=1e-5)
    loss.backward()
    mine = {name: parameter.grad.clone() for name, parameter in base.named_parameters() if parameter.grad is not None}
    base.zero_grad()
    base(pixel_values=x, return_loss=True, **texts()).loss.backward()
    trained = {name for name, parameter in base.named_parameters() if parameter.grad is not None}
    assert trained == set(mine)
    for name in trained:
        torch.testing.assert_close(mine[name], base.get_parameter(name).grad, atol=1e-4, rtol=1e-3)


def test_only_siglip_asks_of_each_pair():
    assert {family: find_clip_cut(clip(family)).links for family in CLIPS} == {
        "clip": "softmax",
        "siglip": "sigmoid",
        "align": "softmax",
        "chinese_clip": "softmax",
    }


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_pooled_maps_are_the_features_however_the_maps_are_turned(family):
    base, cut, x, _ = cut_of(family)
    maps, features = cut.maps(base, x), cut.features(base, x)
    torch.testing.assert_close(cut.pool(base, maps), features, atol=1e-6, rtol=1e-6)
    action = cut.map_action(SQUARE, base, x.shape[-2:])
    for g in range(1, SQUARE.order):
        moved = action.apply(g, maps)
        assert not torch.allclose(moved, maps, atol=1e-3)
        torch.testing.assert_close(cut.pool(base, moved), features, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", CLIPS)
def test_maps_are_tokens_but_those_of_align(family):
    base, cut, _, _ = cut_of(family)
    action = cut.map_action(SQUARE, base, (SIDE, SIDE))
    if family == "align":
        assert isinstance(action, PixelAction)
        return
    assert isinstance(action, GridAction)
    assert action.special == SPECIAL[family]


@pytest.mark.parametrize("family", sorted(SPECIAL))  # the strides of ALIGN prefer a side whatever the size
@torch.no_grad()
def test_maps_of_a_model_without_directions_move_as_its_images_do(family):
    base = symmetrise(clip(family))
    cut, x = find_clip_cut(base), images(1)
    maps, pixels, action = cut.maps(base, x), PixelAction(SQUARE), cut.map_action(SQUARE, base, (SIDE, SIDE))
    for g in (1, 4):  # they generate the group
        error = (cut.maps(base, pixels.apply(g, x)) - action.apply(g, maps)).abs().max()
        assert error < 1e-3 * (action.apply(g, maps) - maps).abs().max()


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_means_of_maps_are_means_of_features_of_align_alone(family):
    base, cut, x, _ = cut_of(family)
    maps = 3 * cut.maps(base, x)
    of_mean, mean = cut.pool(base, maps.mean(0, keepdim=True)), cut.pool(base, maps).mean(0, keepdim=True)
    assert torch.allclose(of_mean, mean, atol=1e-5) == (family == "align")


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_position_encodings_are_interpolated_where_the_base_takes_that(family):
    base, cut, _, _ = cut_of(family)
    x = images(2, (2 * SIDE, 2 * SIDE))
    kwargs = {} if family == "align" else {"interpolate_pos_encoding": True}
    features = cut.features(base, x, interpolate_pos_encoding=True)
    torch.testing.assert_close(features, base.get_image_features(x, **kwargs).pooler_output)
    maps = cut.maps(base, x, interpolate_pos_encoding=True)
    torch.testing.assert_close(cut.pool(base, maps), features, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_texts_are_given_the_arguments_that_the_base_names(family):
    base, cut, _, _ = cut_of(family)
    plain = cut.text_features(base, **texts())
    segments = torch.ones_like(texts()["input_ids"])
    moved = cut.text_features(base, **texts(), token_type_ids=segments, nonsense=1)
    assert torch.equal(moved, plain) == (family in ("clip", "siglip"))
    unmasked = cut.text_features(base, texts()["input_ids"])
    assert torch.allclose(unmasked, plain) == (family == "clip")  # whose end token does not see what follows it


@torch.no_grad()
def test_a_base_whose_config_asks_for_tuples_is_cut_as_well():
    base, (_, cut, x, out) = clip("clip"), cut_of("clip")
    base.config.return_dict = base.config.vision_config.return_dict = base.config.text_config.return_dict = False
    logits = cut.similarity(base, cut.features(base, x), cut.text_features(base, **texts()))
    torch.testing.assert_close(logits, out.logits_per_image, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", CLIPS)
def test_a_subclass_is_cut_as_its_parent(family):
    base = clip(family)
    cut = find_clip_cut(base)
    base.__class__ = type("Own", (type(base),), {})
    assert find_clip_cut(base) is cut


@pytest.mark.parametrize("model", ["resnet", "clip", "clipseg"])
def test_other_models_are_refused_with_the_names_of_the_four(model):
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    base = (
        CLIPSegModel(CLIPSegConfig(text_config=sizes, vision_config=sizes))
        if model == "clipseg"
        else classifier(model)
    )
    message = rf"{type(base).__name__} is not a CLIP-like.*CLIPModel, SiglipModel, AlignModel, ChineseCLIPModel"
    with pytest.raises(UnsupportedModelError, match=message):
        find_clip_cut(base)
    with pytest.raises(UnsupportedModelError, match=message):
        check_clip(type(base))


@pytest.mark.parametrize("family", CLIPS)
def test_the_four_pass_as_models_and_as_classes(family):
    assert check_clip(cut_of(family)[0]) is check_clip(type(cut_of(family)[0])) is None


@torch.no_grad()
def test_texts_in_another_precision_are_compared():
    base, cut, x, _ = cut_of("clip")
    features, words = cut.features(base, x), cut.text_features(base, **texts())
    required = cut.similarity(base, features, words)
    torch.testing.assert_close(cut.similarity(base, features, words.double()), required)
    for one, other in ((features.bfloat16(), words), (features, words.bfloat16())):
        received = cut.similarity(base, one, other)
        assert received.dtype == one.dtype
        torch.testing.assert_close(received.float(), required, atol=0.1, rtol=0.1)


def test_features_of_different_sizes_are_named():
    base, cut, _, _ = cut_of("clip")
    with pytest.raises(ConfigurationError, match="received 7 numbers for an image and 12 for a text"):
        cut.similarity(base, torch.zeros(2, 7), torch.zeros(3, 12))

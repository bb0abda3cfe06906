"""Symmetrised models that compare images with texts: invariance, outputs, losses, what is refused."""

from __future__ import annotations

import numpy
import pytest
import torch
from small_models import base_model
from small_vision import CLIPS, clip, images, side, texts
from torch.nn.functional import cross_entropy, normalize
from wrapped_vision import CLIP_METHODS, LEVELS, SQUARE, TURNS, ragged, wrap_clip

from hf_equi import EquiCLIPConfig, EquiCLIPModel, EquiSiglipConfig, EquiSiglipModel, ImageGroup, PixelAction
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.testing import assert_equivariant

CLASS = {"method": "equizero", "level": "probabilities", "selection": "class"}


def pictures(family, count=2, seed=1):
    return images(count, (side(family),) * 2, seed)


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_no_method_at_any_level_sees_how_an_image_is_turned(family):
    base, decided = clip(family), 0
    turned, words = PixelAction(TURNS).orbit(pictures(family, 1))[0, :2], texts()  # by one turn, which generates all
    alone = base(pixel_values=turned, **words).logits_per_image
    assert (alone - alone[:1]).abs().amax(1)[1:].min() > 1e-3
    models = [wrap_clip(base, TURNS, **settings) for settings in CLIP_METHODS.values()]
    every = [(model, level) for model in models for level in LEVELS]
    for model, level in (*every, (wrap_clip(base, TURNS, **CLASS), "probabilities")):
        model.config.level = level
        out = model(pixel_values=turned, **words)
        assert out.logits_per_image.shape == (2, 3)
        assert torch.equal(out.logits_per_text, out.logits_per_image.T)
        assert (out.image_embeds is None) == (level in ("logits", "probabilities"))
        if out.margin is not None and out.margin.min() < 1e-4:
            continue
        decided += out.margin is not None
        first = out.logits_per_image[:1].expand_as(out.logits_per_image)
        torch.testing.assert_close(out.logits_per_image, first, atol=1e-5, rtol=1e-5)
        if out.image_embeds is not None:
            torch.testing.assert_close(out.image_embeds.norm(dim=-1), torch.ones(2))
            torch.testing.assert_close(out.image_embeds, out.image_embeds[:1].expand(2, -1), atol=1e-5, rtol=1e-5)
    assert decided == 4


@pytest.mark.parametrize("family", CLIPS)
def test_features_of_images_are_invariant(family):
    for name, settings in CLIP_METHODS.items():
        model = wrap_clip(family, SQUARE if family == "clip" else TURNS, **settings)
        known = {"text_features": model.get_text_features(**texts()).pooler_output} if name == "similarity" else {}
        assert_equivariant(
            lambda x: model.get_image_features(x, **known).pooler_output,  # noqa: B023
            pictures(family, 1),
            model.action,
            tolerance=1e-5,
        )


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_without_a_group_the_base_is_left_as_it_is(family):
    base, x, words = clip(family), pictures(family, 3), texts()
    required = base(pixel_values=x, return_loss=True, **words)
    for group, settings in ((ImageGroup.trivial(), CLIP_METHODS), (TURNS, {"identity": {"method": "identity"}})):
        for each in settings.values():
            for level in ("features", "logits", "spatial"):
                out = wrap_clip(base, group, level=level, **each)(pixel_values=x, return_loss=True, **words)
                torch.testing.assert_close(out.logits_per_image, required.logits_per_image, atol=2e-6, rtol=1e-5)
                torch.testing.assert_close(out.loss, required.loss, atol=1e-6, rtol=1e-5)
                torch.testing.assert_close(out.text_embeds, required.text_embeds, atol=1e-6, rtol=1e-5)
                if out.image_embeds is not None:
                    torch.testing.assert_close(out.image_embeds, required.image_embeds, atol=1e-6, rtol=1e-5)
    out = wrap_clip(base, ImageGroup.trivial(), level="probabilities")(pixel_values=x, **words).logits_per_image
    link = torch.sigmoid if family == "siglip" else lambda y: y.softmax(-1)
    torch.testing.assert_close(link(out), link(required.logits_per_image), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", ["clip", "siglip"])
@torch.no_grad()
def test_losses_are_those_of_the_combined_logits(family):
    model, x, words = wrap_clip(family), pictures(family, 3), texts()
    out = model(pixel_values=x, return_loss=True, **words)
    logits = out.logits_per_image
    if family == "clip":
        pairs = torch.arange(3)
        expected = (cross_entropy(logits, pairs) + cross_entropy(logits.T, pairs)) / 2
    else:
        signs = 2 * torch.eye(3) - 1
        expected = -torch.nn.functional.logsigmoid(signs * logits).sum() / 3
    torch.testing.assert_close(out.loss, expected)
    right = torch.tensor([2, 0, 1])
    labelled = model(pixel_values=x, labels=right, **words)
    torch.testing.assert_close(labelled.loss, cross_entropy(logits, right))
    twice = wrap_clip(family, objective="published_double_softmax")(pixel_values=x, labels=right, **words)
    torch.testing.assert_close(twice.loss, cross_entropy(logits.softmax(-1), right))
    with pytest.raises(ConfigurationError, match="ask for two different losses: pass one"):
        model(pixel_values=x, labels=right, return_loss=True, **words)
    assert torch.equal(model(pixel_values=x, return_dict=False, **words)[0], logits)


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_known_features_stand_for_images_and_texts(family):
    base, words = clip(family), texts()
    x = ragged(side(family))
    for settings in (*CLIP_METHODS.values(), {"method": "identity"}, CLASS):
        for level in {settings.get("level", level) for level in ("features", "logits", "probabilities")}:
            model = wrap_clip(base, TURNS, **{**settings, "level": level})
            features = model.get_orbit_features(x)
            assert features.shape[:2] == (3, 4)
            known = model.get_text_features(**words).pooler_output
            received = model(orbit_features=features, text_features=known)
            required = model(pixel_values=x, **words)
            torch.testing.assert_close(received.logits_per_image, required.logits_per_image, atol=1e-5, rtol=1e-5)
            if level == "features" and settings["method"] != "equizero":
                of_images = model.get_image_features(orbit_features=features).pooler_output
                torch.testing.assert_close(normalize(of_images, dim=-1), required.image_embeds, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_neighbours_change_no_answer():
    base, x, words = clip("clip"), ragged(), texts()
    for settings in (*CLIP_METHODS.values(), CLASS):
        model = wrap_clip(base, SQUARE, **settings)
        together = model(pixel_values=x, **words).logits_per_image
        alone = torch.cat([model(pixel_values=image[None], **words).logits_per_image for image in x])
        torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


def test_equal_members_share_a_row():
    model, rows = wrap_clip("clip", SQUARE), []
    model.unwrap().vision_model.register_forward_pre_hook(
        lambda module, inputs, named: rows.append(len(named["pixel_values"] if not inputs else inputs[0])),
        with_kwargs=True,
    )
    with torch.no_grad():
        model(pixel_values=ragged(), **texts())
    assert rows == [8 + 1 + 4]


def test_equizero_learns_by_the_mean_of_features():
    model = wrap_clip("clip", TURNS, "equizero")
    features = torch.randn(2, 4, 12, requires_grad=True)
    words, direction = torch.randn(3, 12), torch.randn(12)
    out = model.get_image_features(orbit_features=features, text_features=words).pooler_output
    (received,) = torch.autograd.grad((out @ direction).sum(), features)
    torch.testing.assert_close(received, (direction / 4).expand(2, 4, 12))
    for row in range(2):
        assert min((out[row] - features[row, g]).abs().max() for g in range(4)) < 1e-6


@pytest.mark.parametrize("method", ["lambda", "attention"])
def test_contrastive_training_reaches_all_weights(method):
    model = wrap_clip("clip", TURNS, method, lambda_units=4)
    model(pixel_values=images(3), return_loss=True, **texts()).loss.backward()
    unused = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    # A bias of keys moves all scores of a query alike, which a softmax does not see.
    assert [name for name in unused if "k_proj.bias" not in name] == []


@pytest.mark.parametrize("family", CLIPS)
def test_code_written_for_the_base_finds_its_parts(family):
    model = wrap_clip(family)
    base = model.unwrap()
    parts = {**dict(base.named_children()), **dict(base.named_parameters(recurse=False))}
    assert {"vision_model", "text_model", "temperature" if family == "align" else "logit_scale"} <= parts.keys()
    for name, part in parts.items():
        assert getattr(model, name) is part
    assert hasattr(model, "logit_bias") == (family == "siglip")
    assert model.config.vision_config is base.config.vision_config
    assert model.config.text_config is base.config.text_config
    assert all(name.startswith("base.") for name in model.state_dict())


def test_siglip_has_a_type_of_its_own():
    model = wrap_clip("siglip")
    assert type(model) is EquiSiglipModel
    assert type(model.config) is EquiSiglipConfig
    assert type(wrap_clip("clip")) is EquiCLIPModel


def test_what_such_a_model_does_not_do():
    model, x, words = wrap_clip("clip"), images(2), texts()
    with pytest.raises(ConfigurationError, match="needs pixel_values, or orbit_features"):
        model(**words)
    with pytest.raises(ConfigurationError, match="needs input_ids, or text_features"):
        model(pixel_values=x)
    with pytest.raises(ConfigurationError, match="chooses a member of each image by its similarity to texts"):
        wrap_clip("clip", TURNS, "equizero").get_image_features(x)
    for settings in ({"level": "logits"}, {"level": "probabilities"}, CLASS):
        refused, known = wrap_clip("clip", **settings), torch.randn(3, 12)
        with pytest.raises(ConfigurationError, match="images have no features"):
            refused.get_image_features(x, text_features=known)
    with pytest.raises(ConfigurationError, match="compares images with texts"):
        wrap_clip("clip", level="logits").get_image_features(x)
    with pytest.raises(ActionError, match="must be square; received H = 32, W = 40"):
        model(pixel_values=images(1, (32, 40)), **words)
    spatial = wrap_clip("clip", level="spatial")
    with pytest.raises(ConfigurationError, match="the spatial level combines feature maps"):
        spatial(orbit_features=spatial.get_orbit_features(x), **words)
    with pytest.raises(ActionError, match=r"have the shape \(batch, 4, features\)"):
        model(orbit_features=torch.randn(2, 8, 12), **words)


def test_which_bases_there_are():
    config = EquiCLIPConfig(base_config=clip("clip").config, group=TURNS.to_dict())
    with pytest.raises(
        UnsupportedModelError, match="Known families are CLIPModel, SiglipModel, AlignModel, ChineseCLIPModel"
    ):
        EquiCLIPModel(config, base_model())
    new = EquiSiglipModel(EquiSiglipConfig(base_config=clip("siglip").config, group=TURNS.to_dict()))
    assert new(pixel_values=images(2), **texts()).logits_per_image.shape == (2, 3)


def test_probabilities_over_texts_have_no_contrastive_loss():
    inputs = {"pixel_values": images(3), "return_loss": True, **texts()}
    for settings in ({"level": "probabilities"}, CLASS):
        with pytest.raises(ConfigurationError, match='use level="features" or level="logits", or pass labels='):
            wrap_clip("clip", TURNS, **settings)(**inputs)
    pairs = wrap_clip("siglip", level="probabilities")(**inputs)  # each pair is a question of its own
    signs = 2 * torch.eye(3) - 1
    torch.testing.assert_close(pairs.loss, -torch.nn.functional.logsigmoid(signs * pairs.logits_per_image).sum() / 3)


def test_texts_and_features_of_them_are_not_both_read():
    with pytest.raises(ConfigurationError, match="input_ids= and text_features= describe the same texts in two forms"):
        wrap_clip("clip")(pixel_values=images(2), text_features=torch.randn(3, 12), **texts())


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_the_contrastive_loss_is_of_pairs(family):
    model = wrap_clip(family)
    for images_, texts_ in ((2, 3), (3, 2), (3, 1)):
        with pytest.raises(ConfigurationError, match=f"received {images_} images and {texts_} texts"):
            model(pixel_values=images(images_), return_loss=True, **texts(texts_))
    assert model(pixel_values=images(2), return_loss=True, **texts(2)).loss.shape == ()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (torch.ones(12), r"Tensor of torch\.float32 \(12,\)"),
        (torch.ones(1, 2, 12), r"\(1, 2, 12\), but features of texts are a tensor of floats"),
        (torch.ones(2, 12).long(), r"torch\.int64 \(2, 12\)"),
        (torch.ones(0, 12), r"\(0, 12\)"),
        (numpy.ones((2, 12)), "ndarray, but"),
    ],
)
def test_what_are_no_features_of_texts(given, named):
    for ask in (wrap_clip("clip"), wrap_clip("clip", TURNS, "equizero").get_image_features):
        with pytest.raises(ConfigurationError, match=f"text_features= is a .*{named}"):
            ask(pixel_values=images(2), text_features=given)


def test_only_what_all_families_take_has_a_place():
    model, words = wrap_clip("clip"), texts()
    ids, mask = words["input_ids"], words["attention_mask"]
    placed = model(ids, images(2), mask).logits_per_image
    assert torch.equal(placed, model(pixel_values=images(2), **words).logits_per_image)
    with pytest.raises(TypeError, match="positional arguments"):
        model(ids, images(2), mask, torch.arange(6)[None])  # the positions of CLIPModel
    moved = torch.arange(6)[None] + 3
    received = model(ids, images(2), mask, position_ids=moved).text_embeds
    required = normalize(model.base.get_text_features(ids, mask, position_ids=moved).pooler_output, dim=-1)
    torch.testing.assert_close(received, required)
    assert (received - model(ids, images(2), mask).text_embeds).abs().max() > 1e-3


def test_tuples_are_given_where_the_base_gives_them():
    base, x, words = clip("clip"), images(2), texts()
    model = wrap_clip(base)
    for by_config in (True, False):
        base.config.return_dict = model.config.return_dict = by_config
        for asked in ({}, {"return_dict": None}, {"return_dict": False}, {"return_dict": True}):
            given, received = base.get_image_features(x, **asked), model.get_image_features(x, **asked)
            assert isinstance(received, tuple) == isinstance(given, tuple)
            # The forward of the base itself does not run where its config asks for tuples.
            assert isinstance(model(pixel_values=x, **words, **asked), tuple) == isinstance(given, tuple)
    model.config.return_dict = True
    (features,) = model.get_image_features(x, return_dict=False)
    assert torch.equal(features, model.get_image_features(x).pooler_output)

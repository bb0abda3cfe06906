"""Invariant features of images: by a classifier without its head, from a checkpoint, an object, and in pipelines."""

from __future__ import annotations

import json

import pytest
import torch
from small_processors import image_processor
from small_vision import images
from transformers import AutoModel, AutoModelForImageClassification
from wrapped_vision import METHODS, SQUARE, TURNS, wrap

from hf_equi import EquiForImageClassification, EquiImageModel
from hf_equi.errors import ConfigurationError
from hf_equi.models.cards.measuring import measure
from hf_equi.testing import assert_equivariant


@pytest.mark.parametrize("family", ["resnet", "vit"])
@torch.no_grad()
def test_features_are_those_of_the_classifier(family):
    x = images(2)
    for settings in (*METHODS.values(), {**METHODS["lambda"], "lambda_features": "frozen"}, {"method": "identity"}):
        for level in ("features", "spatial"):
            model = wrap(family, TURNS, level=level, **settings)
            alone = model.feature_model()
            required = model(x).image_features
            assert torch.equal(alone(x).pooler_output, required)
            assert torch.equal(alone(x, return_dict=False)[0], required)
            assert {w.data_ptr() for w in alone.parameters()} == {w.data_ptr() for w in model.parameters()}
    alone.config.level = "features"
    known = model.get_orbit_features(x)
    assert torch.equal(alone(orbit_features=known).pooler_output, known[:, 0])


def test_features_do_not_turn_with_the_image():
    model = wrap("resnet", SQUARE).feature_model()
    assert_equivariant(lambda x: model(x).pooler_output, images(2), model.action, tolerance=1e-5)
    assert model(images(2)).pooler_output.shape == (2, 16)


@torch.no_grad()
def test_a_checkpoint_is_one_of_both(tmp_path):
    classifier, x = wrap("vit", TURNS, "lambda", lambda_units=5, processor=image_processor()), images(2)
    required = classifier(x)
    classifier.save_pretrained(tmp_path / "classifier")
    classifier.feature_model().save_pretrained(tmp_path / "features")
    for folder in (tmp_path / "classifier", tmp_path / "features"):
        features, information = AutoModel.from_pretrained(folder, output_loading_info=True)
        assert not any(information.values())
        assert type(features) is EquiImageModel
        assert not features.training
        torch.testing.assert_close(features(x).pooler_output, required.image_features, atol=1e-6, rtol=1e-6)
        again = AutoModelForImageClassification.from_pretrained(folder)
        assert type(again) is EquiForImageClassification
        torch.testing.assert_close(again(x).logits, required.logits, atol=1e-6, rtol=1e-6)
        loaders = json.loads((folder / "config.json").read_text())["auto_map"]
        assert loaders == {
            "AutoConfig": "import_hf_equi.EquiImageClassificationConfig",
            "AutoModel": "import_hf_equi.EquiImageModel",
            "AutoModelForImageClassification": "import_hf_equi.EquiForImageClassification",
        }
        assert all(name.rpartition(".")[2] in (folder / "import_hf_equi.py").read_text() for name in loaders.values())


@pytest.mark.parametrize("level", ["logits", "probabilities"])
def test_levels_without_features_are_refused(tmp_path, level):
    model = wrap("vit", TURNS, level=level)
    model.save_pretrained(tmp_path)

    def refused():
        return pytest.raises(ConfigurationError, match=f"level='{level}' combines what the head .* level=\"features\"")

    with refused():
        AutoModel.from_pretrained(tmp_path)
    with refused():
        model.feature_model()
    loaded = AutoModel.from_pretrained(tmp_path, level="features")
    assert loaded(images(1)).pooler_output.shape == (1, 16)
    loaded.config.level = level
    with refused():
        loaded(images(1))


def test_its_card_is_of_features():
    model = wrap("vit", TURNS).feature_model()
    card = model.card_kind
    assert card.pipeline_tag == "image-feature-extraction"
    assert "AutoModel.from_pretrained" in card.usage(model, '"me/x"')
    found = measure(model)
    assert found.error < 1e-5
    assert found.base_error > 1e-3

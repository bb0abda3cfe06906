from __future__ import annotations

import pytest
from small_models import GENDER, base_model, tokenizer
from small_processors import image_processor
from small_vision import classifier, clip
from transformers import ViTForImageClassification
from wrapped_vision import SQUARE, TURNS

import hf_equi
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.registration import tasks

TASK = tasks()["image_classification"]


class OwnForImageClassification(ViTForImageClassification):
    """Known by its name."""


def test_classifiers_are_found():
    assert all(TASK.owns(classifier(family)) for family in ("resnet", "vit", "deit-teacher", "clip"))
    assert TASK.owns(OwnForImageClassification(classifier("vit").config))
    assert not any(TASK.owns(model) for model in (classifier("vit").vit, clip("clip"), base_model()))
    assert TASK.knows(classifier("swin").config)


def test_symmetrize_gives_a_classifier_with_its_processor():
    processor = image_processor()
    model = hf_equi.symmetrize(
        classifier("vit"), SQUARE, "lambda", lambda_units=7, lambda_dropout=0.5, level="logits", processor=processor
    )
    assert type(model) is hf_equi.EquiForImageClassification
    assert model.processor is processor
    assert model.lambda_network.layers[0].out_features == 7
    assert model.lambda_network.layers[2].p == 0.5
    assert model.config.level == "logits"
    assert model.group == SQUARE
    assert not model.training
    assert hf_equi.symmetrize(classifier("vit").train(), SQUARE).training


def test_texts_and_images_have_their_own_groups():
    with pytest.raises(
        ConfigurationError, match=r"classifies images must be of the class ImageGroup, SO2 or O2, not Dem"
    ):
        hf_equi.symmetrize(classifier("vit"), GENDER)
    with pytest.raises(ConfigurationError, match="DemographicGroup, not ImageGroup"):
        hf_equi.symmetrize(base_model(), TURNS, tokenizer=tokenizer())


def test_settings_of_other_tasks_are_refused():
    for name, value in (("selection", "class"), ("tokenizer", tokenizer()), ("decoding", "independent")):
        with pytest.raises(ConfigurationError, match=f"{name}: a model that classifies images does not use"):
            hf_equi.symmetrize(classifier("vit"), TURNS, **{name: value})


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(UnsupportedModelError, match="is not a model that classifies images"):
        hf_equi.symmetrize(base_model(), TURNS, task="image_classification")
    with pytest.raises(UnsupportedModelError, match="AutoModelForImageClassification"):
        hf_equi.symmetrize(classifier("vit").vit, TURNS)

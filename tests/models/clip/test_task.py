from __future__ import annotations

import pytest
from small_models import GENDER, base_model
from small_processors import clip_processor
from small_vision import CLIPS, classifier, clip
from transformers import BertConfig, BertModel
from wrapped_vision import TURNS

import hf_equi
from hf_equi import EquiCLIPModel, EquiSiglipModel
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.registration import tasks

TASK = tasks()["clip"]


@pytest.mark.parametrize("family", CLIPS)
def test_clips_are_found(family):
    base = clip(family)
    assert TASK.owns(base)
    assert TASK.knows(base.config)
    processor = clip_processor("clip")
    model = hf_equi.symmetrize(base, TURNS, "equizero", processor=processor)
    assert type(model) is (EquiSiglipModel if family == "siglip" else EquiCLIPModel)
    assert model.processor is processor
    assert model.group == TURNS
    assert model.unwrap() is base


def test_classifiers_are_others():
    assert not TASK.owns(classifier("clip"))
    assert not TASK.owns(classifier("vit"))


def test_by_class_means_by_probabilities():
    model = hf_equi.symmetrize(clip("clip"), TURNS, "equizero", selection="class")
    assert model.config.level == "probabilities"
    with pytest.raises(ConfigurationError, match='level="probabilities"'):
        hf_equi.symmetrize(clip("clip"), TURNS, "equizero", selection="class", level="logits")


def test_what_is_no_clip_is_refused():
    bert = BertModel(
        BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=9)
    )
    for base in (bert, base_model()):
        with pytest.raises(UnsupportedModelError, match=f"{type(base).__name__} is not a model that compares images"):
            hf_equi.symmetrize(base, TURNS, task="clip")
    with pytest.raises(UnsupportedModelError, match="BertModel does not serve any of the known tasks"):
        hf_equi.symmetrize(bert, TURNS)


def test_groups_and_settings_of_texts_are_refused():
    with pytest.raises(ConfigurationError, match=r"of the class ImageGroup.*rotations\(4\)"):
        hf_equi.symmetrize(clip("clip"), GENDER)
    with pytest.raises(ConfigurationError, match="loss: a model that compares images with texts does not use"):
        hf_equi.symmetrize(clip("clip"), TURNS, "equizero", loss="entropy")

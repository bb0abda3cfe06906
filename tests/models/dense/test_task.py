from __future__ import annotations

import copy

import pytest
from small_dense import SQUARE, TURNS, dense
from transformers import (
    AutoModelForDepthEstimation,
    AutoModelForPoseEstimation,
    AutoModelForSemanticSegmentation,
    DPTConfig,
    PreTrainedConfig,
    SegformerConfig,
    SegformerForImageClassification,
    SegformerForSemanticSegmentation,
    SegformerImageProcessorPil,
    VideoMAEConfig,
    ViTConfig,
)

import hf_equi
from hf_equi import ImageGroup
from hf_equi.errors import ActionError, ConfigurationError, UnsupportedModelError
from hf_equi.registration import tasks

TASK = tasks()["dense"]


class OwnForSemanticSegmentation(SegformerForSemanticSegmentation):
    """Known by its name."""


def test_bases_of_all_kinds_are_found():
    assert all(TASK.owns(dense(family)) for family in ("segformer", "glpn", "vitpose"))
    assert TASK.owns(OwnForSemanticSegmentation(dense("segformer").config))
    assert not TASK.owns(SegformerForImageClassification(dense("segformer").config))
    assert all(TASK.knows(dense(family).config) for family in ("segformer", "glpn", "vitpose"))
    assert TASK.knows(PreTrainedConfig(auto_map={"AutoModelForDepthEstimation": "code.Model"}))
    assert not any(TASK.knows(config) for config in (ViTConfig(), VideoMAEConfig(), PreTrainedConfig()))
    assert {one.__name__ for one in TASK.classes(DPTConfig())} == {
        "DPTForSemanticSegmentation",
        "DPTForDepthEstimation",
    }
    assert len(TASK.mapping) == len([*TASK.mapping]) > 15
    with pytest.raises(KeyError):
        TASK.mapping[ViTConfig]


@pytest.mark.parametrize(
    ("family", "loader"),
    [
        ("dpt", AutoModelForSemanticSegmentation),
        ("dpt-depth", AutoModelForDepthEstimation),
        ("sapiens", AutoModelForPoseEstimation),
    ],
)
def test_a_folder_is_loaded_by_the_auto_class_of_what_it_predicts(family, loader, tmp_path):
    base = dense(family)
    base.save_pretrained(tmp_path / "base")
    model = hf_equi.symmetrize(tmp_path / "base", TURNS)
    assert type(model.unwrap()) is type(base)
    model.save_pretrained(tmp_path / "whole")
    loaded = loader.from_pretrained(tmp_path / "whole")
    assert type(loaded) is hf_equi.EquiForDensePrediction
    assert type(loaded.base) is type(base)
    assert loaded.config.predicts == model.config.predicts


def test_a_config_that_serves_several_outputs_needs_a_choice(tmp_path):
    config = copy.deepcopy(dense("dpt").config)
    config.architectures = None
    config.save_pretrained(tmp_path)
    message = r"A 'dpt' model predicts one of several things: choose predicts='segmentation' or predicts='depth'"
    with pytest.raises(ConfigurationError, match=message):
        hf_equi.symmetrize(tmp_path, TURNS)
    with pytest.raises(ConfigurationError, match="safetensors"):
        hf_equi.symmetrize(tmp_path, TURNS, predicts="depth")
    with pytest.raises(ConfigurationError, match="predicts='depth', but a DPTForSemanticSegmentation segments images"):
        hf_equi.symmetrize(dense("dpt"), TURNS, predicts="depth")
    with pytest.raises(ConfigurationError, match="predicts='boxes' is not known"):
        hf_equi.symmetrize(dense("dpt"), TURNS, predicts="boxes")


def test_pairs_come_from_the_labels_the_config_or_the_call():
    named = hf_equi.symmetrize(dense("vitpose"), SQUARE)
    assert named.config.flip_pairs == [[1, 2], [3, 4]]
    assert hf_equi.symmetrize(dense("vitpose"), TURNS).config.flip_pairs is None
    base = dense("sapiens")
    base.config.flip_pairs = [[0, 4]]
    assert hf_equi.symmetrize(base, SQUARE).config.flip_pairs == [[0, 4]]
    assert hf_equi.symmetrize(base, SQUARE, flip_pairs=[]).config.flip_pairs == []
    base = dense("vitpose")
    base.config.id2label = {n: f"LABEL_{n}" for n in range(5)}
    with pytest.raises(ConfigurationError, match="mirrors images, which makes a left hand a right one"):
        hf_equi.symmetrize(base, SQUARE)


def test_what_does_not_fit_is_refused_before_weights_are_loaded():
    with pytest.raises(ConfigurationError, match=r"the processor makes images of 32 × 48: set a square size"):
        hf_equi.symmetrize(
            dense("segformer"), TURNS, processor=SegformerImageProcessorPil(size={"height": 32, "width": 48})
        )
    model = hf_equi.symmetrize(
        dense("segformer"),
        ImageGroup.flips("both"),
        processor=SegformerImageProcessorPil(size={"height": 32, "width": 48}),
    )
    assert model.processor.size["width"] == 48
    portrait = dense("vitpose")
    portrait.config.backbone_config.image_size = [64, 48]
    with pytest.raises(ActionError, match="must be square; received H = 64, W = 48"):
        hf_equi.symmetrize(portrait, TURNS)
    with pytest.raises(ConfigurationError, match="confidence: the method 'equitune' does not use these settings"):
        hf_equi.symmetrize(dense("segformer"), TURNS, confidence="image")
    with pytest.raises(ConfigurationError, match="objective: a model with an output for each pixel does not use"):
        hf_equi.symmetrize(dense("segformer"), TURNS, objective="cross_entropy")
    with pytest.raises(UnsupportedModelError, match="is not a model with an output for each pixel"):
        hf_equi.symmetrize(SegformerForImageClassification(SegformerConfig()), TURNS, task="dense")

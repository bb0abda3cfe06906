from __future__ import annotations

import pytest
import small_sam
from transformers import AutoModelForMaskGeneration, Sam2VideoConfig, Sam2VideoModel

import hf_equi
from hf_equi import EquiSamModel, ImageGroup
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.groups import SO2

TURNS = ImageGroup.rotations(4)


@pytest.mark.parametrize("family", small_sam.FAMILIES)
def test_the_task_is_found(family: str) -> None:
    assert type(hf_equi.symmetrize(small_sam.base(family), TURNS)) is EquiSamModel


def test_a_checkpoint_of_a_video_model_gives_the_model_of_images(tmp_path: object) -> None:
    parts = small_sam.base("sam2").config
    names = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    config = Sam2VideoConfig(**{name: getattr(parts, name).to_dict() for name in names})
    with pytest.raises(UnsupportedModelError, match="Sam2VideoModel follows objects through videos"):
        hf_equi.symmetrize(Sam2VideoModel(config), TURNS)
    AutoModelForMaskGeneration.from_config(config).save_pretrained(tmp_path)
    model = hf_equi.symmetrize(tmp_path, TURNS, "canonical")
    assert type(model.base).__name__ == "Sam2Model"
    assert model.input_shape() == (3, small_sam.SIDE, small_sam.SIDE)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "logits"}, "level: a model that segments images by prompts does not use"),
        ({"lambda_units": 5}, "lambda_units: the method 'equitune' does not use"),
        ({"method": "canonical", "task_weight": 0.5}, "task_weight=0.5: .* use 1, or 0 to train"),
        ({"lambda_features": "frozen"}, "lambda_features: a model that segments images by prompts does not use"),
        ({"objective": "cross_entropy"}, "objective: a model that segments images by prompts does not use"),
        ({"method": "canonical", "theta": ["90°"]}, "theta: a model that segments images by prompts does not use"),
        ({"method": "attention"}, "use one of 'canonical', 'equitune', 'equizero', 'identity', 'lambda'"),
    ],
)
def test_settings_without_effect_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"(?i){message}"):
        hf_equi.symmetrize(small_sam.base(), TURNS, **settings)


def test_groups_of_all_angles_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="must be of the class ImageGroup, not SO2"):
        hf_equi.symmetrize(small_sam.base(), SO2(), "canonical")

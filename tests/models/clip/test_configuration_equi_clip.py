from __future__ import annotations

import pytest
from small_vision import clip
from transformers import AutoConfig
from wrapped_vision import TURNS

from hf_equi import EquiCLIPConfig, EquiSiglipConfig
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import ClassMaximum

KINDS = {"clip": EquiCLIPConfig, "siglip": EquiSiglipConfig}


@pytest.mark.parametrize("family", KINDS)
def test_round_trip(tmp_path, family):
    first = KINDS[family](
        base_config=clip(family).config,
        group=TURNS.to_dict(),
        method="equizero",
        level="probabilities",
        selection="class",
    )
    first.save_pretrained(tmp_path)
    second = AutoConfig.from_pretrained(tmp_path)
    assert type(second) is KINDS[family]
    assert (second.method, second.level, second.selection) == ("equizero", "probabilities", "class")
    assert second.read_group() == TURNS
    assert second.base_config.to_dict() == first.base_config.to_dict()
    assert type(second.create_method()) is ClassMaximum
    assert second.vision_config.image_size == 32
    assert second.get_text_config().vocab_size == 40


def test_defaults():
    config = EquiCLIPConfig(base_config=clip("clip").config, group=TURNS.to_dict())
    assert (config.method, config.level, config.selection, config.projection_dim) == (
        "equitune",
        "features",
        "image",
        12,
    )
    assert config.vision_config is config.base_config.vision_config
    assert not EquiCLIPConfig().has_group


def test_by_class_needs_the_probabilities_of_equizero():
    for settings in ({"method": "equizero"}, {"level": "probabilities"}, {"method": "lambda", "level": "logits"}):
        with pytest.raises(ConfigurationError, match='use it with method="equizero" and level="probabilities"'):
            EquiCLIPConfig(selection="class", **settings)
    with pytest.raises(ConfigurationError, match="use one of 'image', 'class'"):
        EquiCLIPConfig(selection="word")
    with pytest.raises(
        ConfigurationError, match="'attention', 'canonical', 'canonical_lambda', 'equitune', 'equizero'"
    ):
        EquiCLIPConfig(method="magic")

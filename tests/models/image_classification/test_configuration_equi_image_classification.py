from __future__ import annotations

import pytest
from small_vision import classifier
from transformers import AutoConfig
from wrapped_vision import SQUARE

from hf_equi import EquiImageClassificationConfig, symmetrize
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Entropy


def config(**settings):
    return EquiImageClassificationConfig(base_config=classifier("vit").config, group=SQUARE.to_dict(), **settings)


def test_round_trip(tmp_path):
    first = config(method="equizero", loss="entropy", level="logits", orbit_chunk_size=2, padding="circular")
    first.save_pretrained(tmp_path)
    second = AutoConfig.from_pretrained(tmp_path)
    assert type(second) is EquiImageClassificationConfig
    for name in ("method", "loss", "level", "orbit_chunk_size", "padding", "group", "lambda_units", "objective"):
        assert getattr(second, name) == getattr(first, name)
    assert second.read_group() == SQUARE
    assert second.base_config.to_dict() == {**first.base_config.to_dict(), **{}}
    assert isinstance(second.create_method().loss, Entropy)


def test_what_tools_look_for_comes_from_the_base():
    base = classifier("vit").config
    base.problem_type = "single_label_classification"
    base.id2label, base.label2id = {0: "cat", 1: "dog", 2: "bird", 3: "fish"}, {"cat": 0, "dog": 1}
    outer = EquiImageClassificationConfig(base_config=base, group=SQUARE.to_dict())
    assert (outer.image_size, outer.num_channels, outer.num_labels) == (32, 3, 4)
    assert outer.problem_type == "single_label_classification"
    assert outer.id2label[2] == "bird"
    assert outer.id2label is not base.id2label


def test_defaults():
    default = config()
    assert (default.method, default.level, default.loss) == ("equitune", "features", "max_probability")
    assert default.has_group
    assert not EquiImageClassificationConfig().has_group


@pytest.mark.parametrize("level", ["features", "logits", "probabilities", "spatial"])
def test_levels_say_what_is_averaged(level):
    expected = "probabilities" if level == "probabilities" else "logits"
    assert config(level=level).create_method().combine.average == expected


def test_what_is_not_known_is_refused():
    with pytest.raises(ConfigurationError, match=r"loss='max_similarity' is not known: .*Use one of 'max_prob"):
        config(loss="max_similarity")
    with pytest.raises(
        ConfigurationError, match="'attention', 'canonical', 'canonical_lambda', 'equitune', 'equizero'"
    ):
        config(method="mixture")


def test_a_base_that_names_its_classes_by_number_alone_is_wrapped():
    """As `ResNetConfig(id2label={...})` does: transformers leaves `label2id` empty then."""
    base = classifier("resnet-basic")
    base.config.id2label, base.config.label2id = {0: "cat", 1: "dog", 2: "cow", 3: "hen"}, None
    config = symmetrize(base, SQUARE).config
    assert config.label2id == base.config.label2id == {"cat": 0, "dog": 1, "cow": 2, "hen": 3}

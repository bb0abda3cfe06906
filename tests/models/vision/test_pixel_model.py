"""What wrapped models of images have in common, whatever they say of an image."""

from __future__ import annotations

import pytest
import torch
from small_dense import wrap as wrap_dense
from wrapped_vision import TURNS, wrap, wrap_clip

from hf_equi import ImageGroup, PixelAction
from hf_equi.canonicalization import FixedRule, GroupConvolution
from hf_equi.errors import ConfigurationError

MAKERS = {"vit": wrap, "clip": wrap_clip, "segformer": wrap_dense}


def test_the_action_is_that_of_the_config():
    model = wrap("resnet-basic", ImageGroup.rotations(8), padding="circular")
    assert isinstance(model.action, PixelAction)
    assert (model.group, model.action.padding) == (ImageGroup.rotations(8), "circular")
    assert model.main_input_name == "pixel_values"


@pytest.mark.parametrize("family", MAKERS)
def test_a_canonicalizer_is_held_described_and_counted(family):
    network = GroupConvolution(TURNS, channels=4, layers=2, kernel=5)
    model = MAKERS[family](family, TURNS, "canonical", canonicalizer=network)
    assert model.select_network is network
    assert model.config.canonicalizer_settings["channels"] == 4
    assert model.base_forwards == 1
    assert MAKERS[family](family, TURNS).base_forwards == 4
    with pytest.raises(ConfigurationError, match="canonicalizer: the method 'equitune' does not use these settings"):
        MAKERS[family](family, TURNS, canonicalizer=network)
    rule = FixedRule(lambda x: torch.zeros(len(x), dtype=torch.long), TURNS)  # which follows nothing
    with pytest.raises(ConfigurationError, match="canonicalizer= does not fit"):
        MAKERS[family](family, TURNS, "canonical", canonicalizer=rule)


@pytest.mark.parametrize("family", MAKERS)
def test_frozen_parts_evaluate_while_others_train(family):
    model = MAKERS[family](family, TURNS, "canonical")
    model.base.requires_grad_(False)
    model.train()
    assert not any(part.training for part in model.base.modules())
    assert model.select_network.training

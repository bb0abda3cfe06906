"""Whether a group acts on the feature maps of a base, told from its config."""

from __future__ import annotations

import pytest
from small_vision import classifier
from transformers import CvtConfig, ViTConfig

from hf_equi import ImageGroup
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.models.vision.classification_cuts import known_cut
from hf_equi.models.vision.logits_cut import LogitsCut
from hf_equi.models.vision.map_check import check_maps

G4 = ImageGroup.rotations(4)


@pytest.mark.parametrize("family", ["vit", "resnet", "swin", "convnext"])
def test_known_maps_pass(family):
    base = classifier(family)
    check_maps(known_cut(type(base), base.config), type(base), G4, base.config)


@pytest.mark.parametrize("cut", [None, LogitsCut()])
def test_unknown_maps_are_refused(cut):
    with pytest.raises(ConfigurationError, match=r'unknown how int pools its feature maps.*level="features"'):
        check_maps(cut, int, G4, CvtConfig())


def test_grids_that_break_the_symmetry_are_refused():
    kind, config = type(classifier("vit")), ViTConfig(image_size=(32, 64), patch_size=16)
    cut = known_cut(kind, config)
    check_maps(cut, kind, ImageGroup.flips("both"), config)
    with pytest.raises(ActionError):
        check_maps(cut, kind, G4, config)
    with pytest.raises(ActionError):
        check_maps(cut, kind, ImageGroup.rotations(8), ViTConfig())

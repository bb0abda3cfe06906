from __future__ import annotations

import pytest
import torch
from small_vision import classifier, images

from hf_equi import ImageGroup
from hf_equi.errors import UnsupportedModelError
from hf_equi.models.vision.logits_cut import LogitsCut


@torch.no_grad()
def test_logits_are_features():
    base, cut = classifier("vit"), LogitsCut()
    features = cut.features(base, images())
    assert torch.equal(features, base(images()).logits)
    assert cut.head(base, features) is features
    large = cut.features(base, images(1, (48, 48)), interpolate_pos_encoding=True, unknown=1)
    assert torch.equal(large, base(images(1, (48, 48)), interpolate_pos_encoding=True).logits)


def test_there_are_no_maps():
    base, cut = classifier("vit"), LogitsCut()
    assert not cut.has_maps
    with pytest.raises(UnsupportedModelError, match="no spatial level"):
        cut.map_action(ImageGroup.rotations(4), base, (32, 32))

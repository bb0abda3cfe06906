from __future__ import annotations

import pytest
import torch
from small_dense import BASES, dense
from transformers import SegformerForImageClassification, ViTModel

from hf_equi.errors import UnsupportedModelError
from hf_equi.models.dense.kinds import KINDS, kind_of


@pytest.mark.parametrize("family", BASES)
def test_a_base_is_of_the_kind_of_its_auto_class(family):
    kind = kind_of(dense(family))
    assert kind.name == BASES[family][0]
    assert type(dense(family).config) in kind.mapping
    assert kind.channels(dense(family).config) == (1 if kind.name == "depth" else 5)


@pytest.mark.parametrize("base", [SegformerForImageClassification, ViTModel])
def test_other_models_are_refused_and_the_auto_classes_listed(base):
    message = (
        rf"{base.__name__} has no output for each pixel .*AutoModelForSemanticSegmentation, .* or AutoModelForPose"
    )
    with pytest.raises(UnsupportedModelError, match=message):
        kind_of(base)


def test_kinds_that_cannot_choose_say_so():
    assert [kind.name for kind in KINDS.values() if not kind.losses] == ["depth"]
    with pytest.raises(NotImplementedError):
        KINDS["depth"].member_losses(torch.zeros(1, 1, 2, 2), None, "pixel")

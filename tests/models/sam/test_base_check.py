from __future__ import annotations

import pytest
import small_sam
from small_vision import classifier
from transformers import Sam3Model, SamVisionModel

from hf_equi.errors import UnsupportedModelError
from hf_equi.models.sam.base_check import check_sam


def test_families_that_share_the_interface_pass() -> None:
    for family in small_sam.FAMILIES:
        check_sam(small_sam.base(family))


@pytest.mark.parametrize("kind", [Sam3Model, SamVisionModel, type(classifier("vit"))])
def test_others_are_refused_by_what_they_lack(kind: type) -> None:
    with pytest.raises(UnsupportedModelError, match=f"{kind.__name__} takes no .*input_points"):
        check_sam(kind)

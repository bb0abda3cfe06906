from __future__ import annotations

import pytest
from small_models import base_model
from small_vision import classifier

from hf_equi.errors import UnsupportedModelError
from hf_equi.models.image_classification.base_check import check_classifier


def test_a_classifier_takes_images():
    check_classifier(classifier("resnet"))
    check_classifier(type(classifier("vit")))


@pytest.mark.parametrize("of_class", [False, True])
def test_what_takes_no_images_is_refused(of_class):
    base = base_model()
    with pytest.raises(UnsupportedModelError, match=rf"{type(base).__name__} takes no pixel_values"):
        check_classifier(type(base) if of_class else base)

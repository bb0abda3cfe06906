"""Small copies of pictures: the middle, in every view."""

from __future__ import annotations

import io
from base64 import b64decode

import numpy as np
from PIL import Image

from hf_equi import ImageGroup
from hf_equi.image_audit.report.thumbnails import SIDE, thumbnails
from hf_equi.image_audit.views import make_views


def test_the_middle_is_turned() -> None:
    picture = np.zeros((100, 300, 3), dtype=np.uint8)
    picture[:50, :, 0] = 255  # red above
    made = thumbnails(picture, make_views(ImageGroup.rotations(8)))
    images = [np.asarray(Image.open(io.BytesIO(b64decode(one.partition(",")[2])))) for one in made]
    assert {image.shape for image in images} == {(SIDE, SIDE, 3)}
    red = [image[..., 0] > 128 for image in images]
    assert red[0][: SIDE // 2 - 4].all()
    assert red[2][:, : SIDE // 2 - 4].all()  # by 90° counter-clockwise
    assert red[4][SIDE // 2 + 4 :].all()

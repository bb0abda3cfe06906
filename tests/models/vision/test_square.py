from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from hf_equi import square_picture


@pytest.mark.parametrize("size", [(40, 24), (24, 41), (33, 33)])
def test_a_picture_may_be_turned_before_or_after(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    upright = square_picture(picture)
    assert upright.size == (max(size),) * 2
    for move in (lambda x: x.rotate(90, expand=True), ImageOps.mirror, ImageOps.flip):
        assert np.array_equal(square_picture(move(picture)), move(upright))


def test_a_picture_lies_in_the_middle_and_is_not_changed() -> None:
    picture = Image.new("L", (6, 4), 200)
    made = np.asarray(square_picture(picture, fill=(1, 2, 3)))
    assert (made[1:5] == 200).all()
    assert (made[[0, 5]] == (1, 2, 3)).all()

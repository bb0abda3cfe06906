from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from hf_equi.models.vision.resizing import FILTERS, resized

SIZES = {"smaller": ((90, 61), (48, 33)), "larger": ((13, 20), (50, 77)), "as it is": ((31, 31), (31, 31))}


def picture(height: int, width: int, kind: str = "noise") -> torch.Tensor:
    noise = torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    # Black and white need the most digits: every product is as large as it can be.
    return {
        "noise": noise,
        "extremes": (noise > 127) * torch.tensor(255, dtype=torch.uint8),
        "floats": noise / 77 - 1,
    }[kind]


@pytest.mark.parametrize("kind", ["noise", "extremes", "floats"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", FILTERS)
def test_moves_first_or_last_give_the_same_bits(method, size, kind):
    (height, width), (rows, columns) = SIZES[size]
    given = picture(height, width, kind)
    for crop in (None, (24, 31)):
        made = resized(given, (rows, columns), crop, method)
        assert tuple(made.shape[-2:]) == (crop or (rows, columns))
        turned_size, turned_crop = (columns, rows), crop and crop[::-1]
        assert torch.equal(resized(given.rot90(1, (1, 2)), turned_size, turned_crop, method), made.rot90(1, (1, 2)))
        for axes in ([-1], [-2], [-2, -1]):
            assert torch.equal(resized(given.flip(axes), (rows, columns), crop, method), made.flip(axes))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", [1, 2, 3, 5])
def test_it_is_pillow_s_resize_without_its_rounding(method, size):
    (height, width), (rows, columns) = SIZES[size]
    smooth = resized(picture(5, 5), (height, width), method=2).clamp(80, 180).byte()  # where no filter overshoots
    pillow = Image.fromarray(smooth.permute(1, 2, 0).numpy()).resize((columns, rows), method)
    difference = resized(smooth, (rows, columns), method=method) - torch.from_numpy(np.array(pillow)).permute(2, 0, 1)
    assert difference.abs().max() < 1.25  # half a byte of each pass, the first spread by the second
    assert difference.abs().mean() < 0.4


@pytest.mark.parametrize("method", FILTERS)
def test_what_is_the_same_everywhere_stays_to_the_bit(method):
    grey = torch.full((1, 37, 53), 77, dtype=torch.uint8)
    assert (resized(grey, (24, 41), (24, 24), method) == 77).all()
    assert (resized(grey / 255, (99, 120), (10, 10), method) - 77 / 255).abs().max() < 2e-6


def test_a_crop_that_no_whole_pixels_centre_lies_between_them():
    ramp = torch.arange(40.0).expand(1, 2, 40)
    assert torch.equal(resized(ramp, (2, 40), (2, 39))[0, 0], torch.arange(39) + 0.5)
    assert torch.equal(resized(ramp, (2, 20), (2, 10))[0, 0], torch.arange(10) * 2 + 10.5)

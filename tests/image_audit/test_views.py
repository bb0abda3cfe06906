"""Views of pictures: by a symmetric processor the pixels are moved, by any other the picture is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from small_processors import image_processor

from hf_equi import ImageGroup
from hf_equi.image_audit.views import Viewer, make_views

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 47, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("group", "names"),
    [
        (ImageGroup.rotations(4), ["upright", "90°", "180°", "270°", "mirrored"]),
        (ImageGroup.flips("horizontal"), ["upright", "horizontal"]),
        (ImageGroup.flips("vertical"), ["upright", "vertical", "mirrored"]),
    ],
)
def test_the_mirror_is_a_view_of_every_group(group: ImageGroup, names: list[str]) -> None:
    views = make_views(group)
    assert [view.name for view in views] == names
    assert [view.inside for view in views] == [True] * group.order + [False] * (len(names) - group.order)


def test_pictures_and_pixels_are_moved_alike(processor: Any) -> None:
    views = make_views(ImageGroup.dihedral(4))
    pixels = Viewer(processor, views).pixels(PICTURE)
    of_pictures = [processor(images=view.of_picture(PICTURE), return_tensors="pt").pixel_values[0] for view in views]
    assert torch.equal(pixels, torch.stack(of_pictures))
    assert len({one.numpy().tobytes() for one in pixels}) == len(views)


def test_a_plain_processor_sees_the_turned_picture() -> None:
    plain, views = image_processor(), make_views(ImageGroup.rotations(4))
    viewer = Viewer(plain, views)
    assert not viewer.symmetric
    turned = plain(images=np.rot90(PICTURE).copy(), return_tensors="pt").pixel_values[0]
    assert torch.equal(viewer.pixels(PICTURE)[1], turned)


def test_turns_that_resample_move_the_pixels() -> None:
    views = make_views(ImageGroup.rotations(8))
    pixels = Viewer(image_processor(), views).pixels(PICTURE)
    assert torch.equal(pixels[1], views[1].of_pixels(pixels[0]))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 3), (3, 9), (9, 3)])
def test_rows_of_a_low_picture_are_no_channels(processor: Any, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    views = make_views(ImageGroup.rotations(4))
    for made in (processor, image_processor()):
        pixels = Viewer(made, views).pixels(picture)
        expected = made(images=np.moveaxis(picture, -1, 0).copy(), input_data_format="channels_first").pixel_values[0]
        assert torch.equal(pixels[0], torch.as_tensor(np.asarray(expected)))

from __future__ import annotations

import pytest
import torch

from hf_equi import ImageGroup
from hf_equi.actions import PixelAction
from hf_equi.errors import ConfigurationError
from hf_equi.models.sam.padding import check_padding


def padded(rows: int, columns: int, top: int = 0, left: int = 0) -> torch.Tensor:
    image = torch.zeros(1, 3, 16, 16)
    image[:, :, top : top + rows, left : left + columns] = torch.rand(1, 3, rows, columns) + 0.1
    return image


@pytest.mark.parametrize(
    ("group", "image", "refused"),
    [
        (ImageGroup.rotations(4), padded(12, 16), True),
        (ImageGroup.rotations(2), padded(16, 12), True),
        (ImageGroup.dihedral(4), padded(16, 16), False),
        (ImageGroup.rotations(4), padded(12, 16, top=2), False),  # evenly
        (ImageGroup.flips("horizontal"), padded(12, 16), False),  # the mirror leaves the padding where it is
        (ImageGroup.flips("vertical"), padded(12, 16), True),
        (ImageGroup.flips("horizontal"), padded(16, 12), True),
        (ImageGroup.rotations(4), torch.zeros(1, 3, 16, 16), False),
        (ImageGroup.rotations(8), padded(12, 16), True),
        (ImageGroup.trivial(), padded(12, 16), False),
    ],
)
def test_padding_on_one_side_is_refused_if_the_group_moves_that_side(
    group: ImageGroup, image: torch.Tensor, refused: bool
) -> None:
    action = PixelAction(group)
    if not refused:
        check_padding(image, action)
        return
    with pytest.raises(ConfigurationError, match=r"Image 0 has .* padded right or below .*square_picture\(picture\)"):
        check_padding(image, action)


def test_a_drawing_on_zeros_is_not_taken_for_padding_and_sizes_are_believed() -> None:
    action, drawing = PixelAction(ImageGroup.rotations(4)), padded(12, 16)
    drawing[:, :, 3, 4] = 0
    check_padding(drawing, action)
    with pytest.raises(ConfigurationError, match="Image 1 has 12 × 16 pixels"):
        check_padding(torch.cat([padded(16, 16), drawing]), action, torch.tensor([[16, 16], [12, 16]]))

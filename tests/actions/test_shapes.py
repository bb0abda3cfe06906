"""Points and boxes, which move with the pixels under them."""

from __future__ import annotations

import pytest
import torch

from hf_equi import ImageGroup, PixelAction
from hf_equi.actions import ImageBoxAction, ImagePointAction
from hf_equi.errors import ActionError
from hf_equi.testing import assert_action

SQUARE = ImageGroup.dihedral(4)


def test_they_are_actions():
    points = torch.rand(8, 3, 2, dtype=torch.float64) * 7
    for group in (SQUARE, ImageGroup.rotations(8), ImageGroup.dihedral(3)):
        assert_action(ImagePointAction(group, (7, 7)), [points])
    assert_action(ImagePointAction(ImageGroup.flips("both"), (5, 9)), [points])
    for form in ("cxcywh", "xywh", "xyxy"):
        boxes = torch.rand(8, 3, 4, dtype=torch.float64).sort(-1).values  # corners in order, and sizes above 0
        assert_action(ImageBoxAction(SQUARE, (7, 7), form), [boxes, boxes[:, 0]])


@pytest.mark.parametrize("group", [SQUARE, ImageGroup.flips("both")], ids=repr)
def test_they_move_with_the_pixels(group):
    """A lit pixel, its middle, and the box around it; for points that number pixels too."""
    height, width = (6, 6) if group.needs_square else (5, 8)
    pixels = PixelAction(group)
    for row, column in ((0, 0), (1, 4), (4, 2)):
        image = torch.zeros(1, 1, height, width)
        image[0, 0, row, column] = 1
        for g in range(group.order):
            to_row, to_column = pixels.apply(g, image)[0, 0].nonzero()[0].tolist()
            middle = ImagePointAction(group, (height, width)).apply(g, torch.tensor([[column + 0.5, row + 0.5]]))
            assert middle.tolist() == [[to_column + 0.5, to_row + 0.5]]
            number = ImagePointAction(group, (height - 1, width - 1)).apply(
                g, torch.tensor([[float(column), float(row)]])
            )
            assert number.tolist() == [[to_column, to_row]]
            box = torch.tensor([[column, row, column + 1, row + 1]], dtype=torch.float32)
            moved = ImageBoxAction(group, (height, width)).apply(g, box)
            assert moved.tolist() == [[to_column, to_row, to_column + 1, to_row + 1]]


def test_forms_of_boxes_are_one_box():
    corners = torch.tensor([[1.0, 2.0, 4.0, 7.0]])
    sized, centred = torch.tensor([[1.0, 2.0, 3.0, 5.0]]), torch.tensor([[2.5, 4.5, 3.0, 5.0]])
    for g in range(8):
        x0, y0, x1, y1 = ImageBoxAction(SQUARE, (10, 10)).apply(g, corners)[0].tolist()
        assert ImageBoxAction(SQUARE, (10, 10), "xywh").apply(g, sized)[0].tolist() == [x0, y0, x1 - x0, y1 - y0]
        middle = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]
        assert ImageBoxAction(SQUARE, (10, 10), "cxcywh").apply(g, centred)[0].tolist() == middle


def test_what_cannot_move_is_refused():
    with pytest.raises(ActionError, match=r"must be square; received size=\(4, 5\)"):
        ImagePointAction(SQUARE, (4, 5))
    with pytest.raises(ActionError, match="a turned box is not a box"):
        ImageBoxAction(ImageGroup.rotations(8), (4, 4))
    with pytest.raises(ActionError, match="form='xxyy' is not known"):
        ImageBoxAction(SQUARE, (4, 4), "xxyy")
    with pytest.raises(ActionError, match=r"Boxes are xyxy: floating numbers of the shape \(R, ..., 4\)"):
        ImageBoxAction(SQUARE, (4, 4)).apply(0, torch.zeros(2, 3))
    with pytest.raises(ActionError, match=r"Points are \(x, y\): floating .* received torch.int64"):
        ImagePointAction(SQUARE, (4, 4)).apply(0, torch.zeros(2, 2, dtype=torch.long))

from __future__ import annotations

from typing import Any

import pytest
import torch

from hf_equi import ImageGroup
from hf_equi.actions import PixelAction
from hf_equi.errors import ActionError
from hf_equi.models.sam.prompts import PromptReader

POINTS, BOX = torch.full((2, 3, 2, 2), 7.0), torch.tensor([1.0, 2.0, 9.0, 8.0]).expand(2, 3, 4)
READER = PromptReader(PixelAction(ImageGroup.rotations(4)), 64, 32)


def test_points_that_nobody_looks_at_stay() -> None:
    labels = torch.tensor([[[1, -10], [0, -1], [1, 1]]]).expand(2, -1, -1)
    points = POINTS.masked_fill((labels == -10)[..., None], -10.0)
    found = READER.read(2, input_points=points, input_labels=labels)
    moved = READER.actions(found)["input_points"].apply(1, found["input_points"])
    counts = labels >= 0
    assert torch.equal(moved[~counts], found["input_points"][~counts])
    assert torch.equal(moved[counts], torch.tensor([7.0, 56.0]).expand(8, 2))
    assert READER.read(2) == {}
    assert READER.read(2, input_points=POINTS.long())["input_labels"].eq(1).all()


def test_half_precision_and_integers_are_moved_in_float32() -> None:
    found = READER.read(2, input_points=POINTS.bfloat16(), input_boxes=BOX.long())
    assert {value.dtype for name, value in found.items() if name != "input_labels"} == {torch.float32}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input_points": [[[[1, 2]]]]}, "input_points= is a list"),
        ({"input_points": POINTS[0]}, r"input_points needs the shape \(images, objects, points, 2\)"),
        ({"input_points": POINTS[..., :1]}, "input_points needs the shape"),
        ({"input_points": POINTS[:1]}, "input_points has prompts for 1 images, but there are 2"),
        (
            {"input_points": POINTS, "input_labels": torch.ones(2, 3, 1)},
            r"input_labels has the shape .*needs one label",
        ),
        ({"input_labels": torch.ones(2, 3, 1)}, "there are no input_points"),
        ({"input_points": POINTS, "input_labels": torch.full((2, 3, 2), 2)}, r"input_labels holds 2 to 2: a label is"),
        ({"input_points": POINTS, "input_boxes": BOX[:, :2]}, "has 3 objects and input_boxes 2"),
        ({"input_points": POINTS * 10}, "input_points lies outside of the image: 70 to 70, .*pixels 0 to 63"),
        ({"input_boxes": BOX - 4}, "input_boxes lies outside of the image: -3 to 5"),
        ({"input_boxes": BOX.flip(-1)}, "box with x1 < x0 or y1 < y0"),
        ({"input_masks": torch.zeros(2, 1, 32, 32).bool()}, "input_masks needs logits"),
        ({"input_masks": torch.zeros(2, 1, 16, 16)}, r"shape \(images, 1, 32, 32\)"),
        ({"input_masks": torch.zeros(2, 3, 32, 32)}, "one mask for each image"),
    ],
)
def test_bad_prompts_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ActionError, match=message):
        READER.read(2, **given)


def test_boxes_and_angles_that_resample_do_not_go_together() -> None:
    reader = READER._replace(action=PixelAction(ImageGroup.rotations(8)))
    assert "input_points" in reader.actions(reader.read(2, input_points=POINTS))
    with pytest.raises(ActionError, match="a turned box is not a box"):
        reader.actions(reader.read(2, input_boxes=BOX))

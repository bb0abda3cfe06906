"""What an EquiSamModel says, member by member: turned by formulas of their own, one call of the base for each."""

from __future__ import annotations

from typing import Any

import torch
from small_sam import SIDE
from torch import Tensor

from hf_equi import ImageGroup


def moved(group: ImageGroup, g: int, x: Tensor) -> Tensor:
    """Turn maps `(..., H, W)`: mirror left-right first, then turn counter-clockwise."""
    mirrored, quarters, _ = group.motions[g]
    return (x.flip(-1) if mirrored else x).rot90(quarters, (-2, -1))


def moved_back(group: ImageGroup, g: int, x: Tensor) -> Tensor:
    """Undo it."""
    mirrored, quarters, _ = group.motions[g]
    x = x.rot90(-quarters, (-2, -1))
    return x.flip(-1) if mirrored else x


def moved_points(group: ImageGroup, g: int, points: Tensor) -> Tensor:
    """Turn numbers of pixels x and y, whose last is SIDE - 1."""
    (x, y), last = points.unbind(-1), SIDE - 1
    mirrored, quarters, _ = group.motions[g]
    x = last - x if mirrored else x
    for _ in range(quarters):
        x, y = y, last - x
    return torch.stack([x, y], -1)


def moved_prompts(group: ImageGroup, g: int, prompts: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn prompts; points that are padding stay."""
    found = dict(prompts)
    if "input_points" in found:
        kept = found["input_labels"][..., None] == -10
        found["input_points"] = torch.where(kept, found["input_points"], moved_points(group, g, found["input_points"]))
    if "input_boxes" in found:
        first, second = (moved_points(group, g, corner) for corner in found["input_boxes"].split(2, -1))
        found["input_boxes"] = torch.cat([first.minimum(second), first.maximum(second)], -1)
    if "input_masks" in found:
        found["input_masks"] = moved(group, g, found["input_masks"])
    return found


@torch.no_grad()
def members(base: Any, group: ImageGroup, images: Tensor, prompts: dict[str, Tensor], **settings: Any) -> list[Any]:
    """Return masks, moved back, and predicted overlaps of each member."""
    said = []
    for g in range(group.order):
        out = base(pixel_values=moved(group, g, images), **moved_prompts(group, g, prompts), **settings)
        said.append((moved_back(group, g, out["pred_masks"]), out["iou_scores"]))
    return said

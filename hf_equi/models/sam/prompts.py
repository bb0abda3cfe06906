"""Prompts of SAM: what they may be, and how they move with an image.

A coordinate counts pixels of the processed image, whose middles SAM reads: it embeds (c + 0.5) / S for an image of S
pixels. So a mirror takes c to S - 1 - c, for points and for the corners of boxes alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from hf_equi.actions import Action, ImageBoxAction, ImagePointAction, PixelAction
from hf_equi.bases.orbit_reader import check_batch
from hf_equi.errors import ActionError

__all__ = ["PromptReader"]

_BACKGROUND, _PADDING = -1, -10
_LABELS = (1, 0, _BACKGROUND, _PADDING)
_AXES = {
    "input_points": (4, "(images, objects, points, 2)"),
    "input_labels": (3, "(images, objects, points)"),
    "input_boxes": (3, "(images, objects, 4)"),
    "input_masks": (4, "(images, 1, height, width)"),
}
_LAST = {"input_points": 2, "input_boxes": 4}


class PromptReader(NamedTuple):
    """Checks prompts, and says how they move.

    Args:
        action: The group on pixels.
        side: The height and width of processed images.
        mask_side: The height and width of masks; `None` if the base resizes them.
    """

    action: PixelAction
    side: int
    mask_side: int | None

    def read(self, samples: int, **given: Any) -> dict[str, torch.Tensor]:
        """Return checked prompts, without those that are `None`.

        Points that the base does not look at (labels -1 and -10) are put in the middle of the image, which no element
        moves.

        Args:
            samples: The number of images.
            **given: `input_points`, `input_labels`, `input_boxes` and `input_masks`.

        Raises:
            ActionError: For a prompt of another shape, for another number of images or objects, and for one that lies
                outside of the image.
        """
        prompts = {name: value for name, value in given.items() if value is not None}
        for name, value in prompts.items():
            self._check_shape(name, value, samples)
        self._check_together(prompts)
        if (points := prompts.get("input_points")) is not None:
            points = points.to(torch.promote_types(points.dtype, torch.float32))
            labels = prompts.setdefault("input_labels", torch.ones_like(points[..., 0], dtype=torch.int))
            counts = (labels >= 0)[..., None]
            prompts["input_points"] = torch.where(counts, points, (self.side - 1) / 2)
        if (boxes := prompts.get("input_boxes")) is not None:
            prompts["input_boxes"] = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
        if not torch.compiler.is_exporting():  # a graph that is traced has no values yet
            self._check_values(prompts)
        return prompts

    def actions(self, prompts: dict[str, torch.Tensor]) -> dict[str, Action]:
        """Return how each prompt moves, by name.

        Raises:
            ActionError: For boxes and a group with angles other than quarter turns.
        """
        group, size = self.action.group, (self.side - 1, self.side - 1)
        found: dict[str, Action] = {}
        if "input_points" in prompts:
            found["input_points"] = ImagePointAction(group, size)
        if "input_boxes" in prompts:
            found["input_boxes"] = ImageBoxAction(group, size)
        if "input_masks" in prompts:
            found["input_masks"] = self.action
        return found

    def _check_shape(self, name: str, value: Any, samples: int) -> None:
        check_batch(value, name, "prompts")
        axes, described = _AXES[name]
        if value.dim() != axes or value.shape[-1] != _LAST.get(name, value.shape[-1]):
            raise ActionError(f"{name} needs the shape {described}; received {tuple(value.shape)}.")
        if value.shape[0] != samples:
            raise ActionError(
                f"{name} has prompts for {value.shape[0]} images, but there are {samples}: pass one row for each of "
                "them."
            )
        if name != "input_masks":
            return
        if not value.is_floating_point():
            raise ActionError(f"input_masks needs logits, floating numbers; received {value.dtype}.")
        if value.shape[1] != 1 or (self.mask_side and value.shape[2:] != (self.mask_side, self.mask_side)):
            wanted = f"(images, 1, {self.mask_side}, {self.mask_side})" if self.mask_side else described
            raise ActionError(
                f"input_masks needs the shape {wanted}, one mask for each image; received {tuple(value.shape)}."
            )

    @staticmethod
    def _check_together(prompts: dict[str, torch.Tensor]) -> None:
        points, labels, boxes = (prompts.get(f"input_{name}") for name in ("points", "labels", "boxes"))
        if labels is not None and (points is None or labels.shape != points.shape[:3]):
            there = "there are no input_points" if points is None else f"input_points has {tuple(points.shape)}"
            raise ActionError(
                f"input_labels has the shape {tuple(labels.shape)}, but {there}: each point needs one label."
            )
        if points is not None and boxes is not None and points.shape[1] != boxes.shape[1]:
            raise ActionError(
                f"input_points has {points.shape[1]} objects and input_boxes {boxes.shape[1]}: give each object one "
                "box and its points. Mark missing points with the label -10."
            )

    def _check_values(self, prompts: dict[str, torch.Tensor]) -> None:
        labels, boxes = prompts.get("input_labels"), prompts.get("input_boxes")
        if labels is not None and not bool(torch.isin(labels, torch.tensor(_LABELS, device=labels.device)).all()):
            raise ActionError(
                f"input_labels holds {int(labels.min())} to {int(labels.max())}: a label is 1 (on the object), 0 (not "
                "on it), -1 (no point) or -10 (padding). Give the corners of boxes as input_boxes."
            )
        for name in ("input_points", "input_boxes"):
            value = prompts.get(name)
            # An edge of the image lies half a pixel outside of the middle of the last one.
            if value is not None and not bool(((value >= -1) & (value <= self.side)).all()):
                least, most = (float(end) for end in value.aminmax())
                raise ActionError(
                    f"{name} lies outside of the image: {least:g} to {most:g}, but a processed image has the pixels 0 "
                    f"to {self.side - 1}. Pass what the processor returns, and clip it."
                )
        if boxes is not None and bool((boxes[..., 2:] < boxes[..., :2]).any()):
            raise ActionError("input_boxes has a box with x1 < x0 or y1 < y0: give it as (x0, y0, x1, y1).")

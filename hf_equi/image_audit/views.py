"""The views of a picture: upright, moved by each element of a group, and mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_equi.actions import PixelAction
from hf_equi.groups import ImageGroup
from hf_equi.models.vision.symmetric_processor import is_symmetric

__all__ = ["View", "Viewer", "make_views"]

_MIRROR = (True, 0, 0.0)  # left-right, as `ImageGroup.motions` has it


@dataclass(frozen=True)
class View:
    """One way of showing a picture.

    Args:
        name: Its name.
        group: A group that contains the motion.
        element: The element of that group.
        inside: Whether the motion is an element of the audited group.
    """

    name: str
    group: ImageGroup
    element: int
    inside: bool = True

    @property
    def exact(self) -> bool:
        """Whether it moves pixels onto pixels."""
        return not self.group.motions[self.element][2]

    def of_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """The pixels `(..., C, H, W)`, moved."""
        return PixelAction(self.group).apply(self.element, pixels)

    def of_picture(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture `(H, W, 3)`, mirrored and turned by quarter turns."""
        mirrored, quarters, _ = self.group.motions[self.element]
        return np.ascontiguousarray(np.rot90(picture[:, ::-1] if mirrored else picture, quarters))


def make_views(group: ImageGroup) -> tuple[View, ...]:
    """Return the elements of a group, the identity first, and the left-right mirror if it is not one of them.

    Example:
        >>> [view.name for view in make_views(ImageGroup.rotations(4))]
        ['upright', '90°', '180°', '270°', 'mirrored']
    """
    names = ["upright", *group.names[1:]]
    views = [View(name, group, element) for element, name in enumerate(names)]
    if _MIRROR not in group.motions:
        views.append(View("mirrored", ImageGroup.flips("horizontal"), 1, inside=False))
    return tuple(views)


class Viewer:
    """Makes the pixels of all views of a picture.

    With a symmetric processor the pixels are moved, which gives the same result to the bit. With any other processor
    the picture is moved before the processor sees it, like a photo held the wrong way up. Turns that resample always
    move the pixels.

    Args:
        processor: The image processor.
        views: The views.
    """

    def __init__(self, processor: Any, views: Sequence[View]) -> None:
        self.processor, self.views = processor, tuple(views)
        self.symmetric = is_symmetric(processor)

    def pixels(self, picture: np.ndarray) -> torch.Tensor:
        """Return the views of a picture `(H, W, 3)`, as `(views, C, height, width)`."""
        upright = self._processed(picture)
        return torch.stack([self._viewed(view, picture, upright) for view in self.views])

    def _viewed(self, view: View, picture: np.ndarray, upright: torch.Tensor) -> torch.Tensor:
        if self.symmetric or not view.exact or not view.element:
            return view.of_pixels(upright)
        return self._processed(view.of_picture(picture))

    def _processed(self, picture: np.ndarray) -> torch.Tensor:
        # transformers takes one row, or three, for channels if nobody says which axis they are
        layout = {"input_data_format": "channels_last"} if len(picture) in (1, 3) else {}
        pixels: torch.Tensor = self.processor(images=picture, return_tensors="pt", **layout)["pixel_values"][0]
        return pixels

"""The check that images of SAM were not padded on one side."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.actions import PixelAction
from hf_equi.errors import ConfigurationError

__all__ = ["check_padding"]

_ADVICE = (
    "so a turned picture would be padded elsewhere, and the model would not be symmetric. Pad pictures to squares "
    "first, evenly: hf_equi.square_picture(picture). Or use a group that does not exchange these sides."
)


def check_padding(pixels: torch.Tensor, action: PixelAction, sizes: Any = None) -> None:
    """Refuse images that a processor padded right or below, if the group moves that side to the opposite one.

    SAM's processor resizes a picture to 1024 pixels along its longer side, and fills the rest with zeros. No other
    pixel of a picture is zero in all channels, because zero is the mean that it subtracts, which no byte has. So
    padding is seen from pixels alone.

    Args:
        pixels: `(B, C, H, W)`.
        action: The group on pixels.
        sizes: The processor's `reshaped_input_sizes`, `(B, 2)`, if they are known.

    Raises:
        ConfigurationError: For such images.
    """
    height, width = pixels.shape[-2:]
    down, across = _exchanged(action)
    if not (down or across) or torch.compiler.is_exporting():  # a graph that is traced has no values yet
        return
    found = [(height, width)] * len(pixels) if sizes is None else [(int(h), int(w)) for h, w in sizes]
    found = [_filled(one) if size == (height, width) else size for one, size in zip(pixels, found, strict=True)]
    for number, (rows, columns) in enumerate(found):
        if (rows < height and down) or (columns < width and across):
            raise ConfigurationError(
                f"Image {number} has {rows} × {columns} pixels and was padded right or below to {height} × {width}, "
                f"{_ADVICE}"
            )


def _exchanged(action: PixelAction) -> tuple[bool, bool]:
    """Return whether some element moves something at the upper edge to the lower one, and from left to right."""
    corner = torch.zeros(1, 2, 2, device="cpu")
    corner[0, 0, 0] = 1
    motions = action.group.motions
    moved = [action.apply(g, corner)[0] for g, motion in enumerate(motions) if not motion[-1]]
    return any(bool(x[1].any()) for x in moved), any(bool(x[:, 1].any()) for x in moved)


def _filled(image: torch.Tensor) -> tuple[int, int]:
    """Return the rows and columns of the part before the padding: all if there is none."""
    height, width = image.shape[-2:]
    filled = (image != 0).any(0)  # (H, W)
    if bool(filled[-1].any()) and bool(filled[:, -1].any()):
        return height, width
    rows, columns = (int(filled.any(axis).sum()) for axis in (1, 0))
    # Any other image with an empty last row or column is one that the user has drawn.
    return (rows, columns) if rows and bool(filled[:rows, :columns].all()) else (height, width)

"""Make a picture square, so that a processor that pads on one side has nothing to pad."""

from __future__ import annotations

import numpy as np
import PIL.Image
import torch

from hf_equi.models.vision.resizing import resized

__all__ = ["square_picture"]

_MEAN = (124, 116, 104)


def square_picture(picture: PIL.Image.Image, fill: tuple[int, int, int] = _MEAN) -> PIL.Image.Image:
    r"""Pad a picture evenly to a square, so that it can be turned before or after.

    $$ S(gx) = g S(x) $$

    A point (x, y) of the picture comes to (x + (side - width) / 2, y + (side - height) / 2), where side is the longer
    side. If width and height differ by an odd number, the padding cannot be even: then the shorter side is first made
    longer by one pixel.

    Args:
        picture: A picture of PIL.
        fill: The colour of the padding; by default the mean of ImageNet, which SAM's processor pads with too.

    Returns:
        A new picture, in RGB.

    Guarantee: exact, to the bit, for quarter turns and mirrors.

    Example:
        >>> from PIL import Image
        >>> square_picture(Image.new("RGB", (640, 427))).size
        (640, 640)
    """
    pixels = torch.tensor(np.asarray(picture.convert("RGB"))).permute(2, 0, 1)  # (3, H, W)
    height, width = pixels.shape[1:]
    side = max(height, width)
    if (height - width) % 2:
        height, width = (side if length == side else length + 1 for length in (height, width))
        pixels = resized(pixels, (height, width)).round().to(torch.uint8)
    canvas = torch.tensor(fill, dtype=torch.uint8)[:, None, None].repeat(1, side, side)
    top, left = (side - height) // 2, (side - width) // 2
    canvas[:, top : top + height, left : left + width] = pixels
    return PIL.Image.fromarray(canvas.permute(1, 2, 0).contiguous().numpy())

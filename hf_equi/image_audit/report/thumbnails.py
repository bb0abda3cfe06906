"""Small copies of pictures for a page, in all views."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps

from hf_equi.image_audit.views import View

__all__ = ["SIDE", "thumbnails"]

SIDE = 96
"""The side in pixels. The middle square of a picture is shown."""
_QUALITY = 80


def thumbnails(picture: np.ndarray, views: Sequence[View]) -> list[str]:
    """Return the middle of a picture `(H, W, 3)` in each view, as the URL of an image in a page.

    Example:
        >>> from hf_equi import ImageGroup
        >>> from hf_equi.image_audit.views import make_views
        >>> made = thumbnails(np.zeros((8, 9, 3), dtype=np.uint8), make_views(ImageGroup.rotations(4)))
        >>> len(made), made[0][:23]
        (5, 'data:image/jpeg;base64,')
    """
    small = np.asarray(ImageOps.fit(Image.fromarray(picture), (SIDE, SIDE)))
    pixels = torch.from_numpy(small.copy()).permute(2, 0, 1).float()  # (C, H, W)
    return [_address(view.of_pixels(pixels)) for view in views]


def _address(pixels: torch.Tensor) -> str:
    file = io.BytesIO()
    colours = pixels.round().clamp(0, 255).byte().permute(1, 2, 0).contiguous()
    Image.fromarray(colours.numpy()).save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode('ascii')}"

"""Rules that say the pose of an image: some that follow it, and some that do not."""

from __future__ import annotations

import torch
from torch import Tensor


def brightest_corner(x: Tensor) -> Tensor:
    """The quarter turn that takes the upper left corner to the brightest one. It follows turns."""
    bright = x.mean(1)
    corners = [bright[:, 0, 0], bright[:, -1, 0], bright[:, -1, -1], bright[:, 0, -1]]  # counter-clockwise
    return torch.stack(corners, 1).argmax(1)


def clockwise(x: Tensor) -> Tensor:
    """The same, turned the wrong way round."""
    return -brightest_corner(x) % 4

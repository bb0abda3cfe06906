r"""Convolutions over the plane and a finite group of its rotations and mirrors.

Letters: B batch, C channels, G group, k kernel. A feature map is a function on the group and the plane,
`(B, C, G, H, W)`, on which an element u acts by $(uf)(g, p) = f(u^{-1}g, u^{-1}p)$.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from hf_equi.actions import PixelAction
from hf_equi.actions.shapes import pixel_matrices
from hf_equi.groups import ImageGroup

__all__ = ["GroupLayer", "disc", "halved"]

_WIDTH = 0.7
"""The standard deviation, in pixels, of the Gaussians of which filters for other angles consist."""


class GroupLayer(nn.Module):
    r"""A group convolution, batch norm and ReLU. The size of images stays.

    $$ (f \star w)(g, p) = \sum_{h, q} f(h, p + q)\, w(g^{-1}h, g^{-1}q) $$

    A lifting layer reads images, which are functions on the plane alone: there h is absent. Filters are moved by
    `PixelAction` if it is exact; for other angles they are sampled from smooth functions of the plane.

    Args:
        group: The group.
        inputs: The channels that it reads.
        outputs: The channels that it writes.
        kernel: The side of the filters, odd.
        lifting: Whether it reads images.
    """

    def __init__(self, group: ImageGroup, inputs: int, outputs: int, kernel: int, lifting: bool = False) -> None:
        super().__init__()
        self.group = group
        self.lifting = lifting
        slots = 1 if lifting else group.order
        self.weight = nn.Parameter(torch.empty(outputs, inputs, slots, kernel, kernel))
        self.norm = nn.BatchNorm2d(outputs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new filters, as torch does for convolutions before a ReLU."""
        nn.init.normal_(self.weight, std=math.sqrt(2 / self.weight[0].numel()))

    def filters(self) -> torch.Tensor:
        """Return the filters of all elements, `(C * G, inputs * slots, k, k)`."""
        inputs, slots = self.weight.shape[1:3]
        flat = self.weight.flatten(1, 2)  # (C, inputs * slots, k, k)
        turned = PixelAction(self.group).orbit(flat) if self.group.exact else _sampled(self.group, flat)
        if self.lifting:
            return turned.flatten(0, 1)
        order = self.group.order
        # Entry (g, h): g⁻¹h.
        places = self.group.product[self.group.inverse(torch.arange(order, device="cpu"))].to(turned.device)
        apart = turned.view(-1, order, inputs, slots, *turned.shape[-2:])  # (C, G, inputs, slots, k, k)
        ordered = apart.gather(3, places.view(1, order, 1, slots, 1, 1).expand_as(apart))
        return ordered.flatten(2, 3).flatten(0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `(B, C, G, H, W)` of images `(B, inputs, H, W)` or feature maps `(B, inputs, G, H, W)`."""
        x = x if self.lifting else x.flatten(1, 2)
        maps = F.conv2d(x, self.filters(), padding=self.weight.shape[-1] // 2)
        (height, width), order = maps.shape[-2:], self.group.order
        # The norm's numbers are those of a channel, over the group and the plane.
        flat: torch.Tensor = self.norm(maps.reshape(x.shape[0], -1, order * height, width))
        return flat.view(x.shape[0], -1, order, height, width).relu()


def _sampled(group: ImageGroup, weight: torch.Tensor) -> torch.Tensor:
    """Return the filters of all elements, `(C, G, N, k, k)`, as samples of smooth functions of the plane.

    A weight is the height of a Gaussian at its place, which an element moves. So no direction is sharper than another.
    Filters on the grid itself would be blurred by a turn of 45 degrees, and score lower than those that stay.
    """
    side = weight.shape[-1]
    steps = torch.arange(side, dtype=torch.float64, device="cpu") - (side - 1) / 2
    grid = torch.cartesian_prod(steps, steps).flip(-1)  # (k * k, 2), each place as (x, y)
    centres = grid @ pixel_matrices(group).mT  # (G, k * k, 2)
    waves = (-(centres[:, :, None] - grid).square().sum(-1) / (2 * _WIDTH**2)).exp() / (2 * math.pi * _WIDTH**2)
    waves = waves * (grid.norm(dim=-1) <= max((side - 2) / 2, 0.5))[:, None]  # the others would not fit when turned
    sampled: torch.Tensor = torch.einsum("cnp,gpq->cgnq", weight.flatten(-2), waves.to(weight))
    return sampled.view(*sampled.shape[:-1], side, side)


def halved(x: torch.Tensor) -> torch.Tensor:
    """Return feature maps `(..., H, W)` of about half the size, by means that treat both ends of an axis alike.

    A window of 2 fits an even axis, a window of 3 an odd one. With another window the last pixel would be left out,
    and turned images would give other maps. Axes below 4 pixels stay.

    Example:
        >>> halved(torch.zeros(1, 9, 4)).shape
        torch.Size([1, 4, 2])
    """
    sizes = x.shape[-2:]
    windows = [1 if size < 4 else 2 + size % 2 for size in sizes]
    steps = [1 if size < 4 else 2 for size in sizes]
    pooled = F.avg_pool2d(x.reshape(-1, 1, *sizes), windows, steps)
    return pooled.view(*x.shape[:-2], *pooled.shape[-2:])


def disc(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """Return 1 where a place is inside the disc that no turn moves out of an image, and 0 elsewhere, `(H, W)`.

    Example:
        >>> disc(3, 3, torch.zeros(1)).tolist()
        [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]
    """
    down, across = (
        torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2 for size in (height, width)
    )
    radius = (min(height, width) - 1) / 2
    inside = down[:, None].square() + across.square() <= radius**2 + 1e-3
    return inside.to(like.dtype)

"""Edge convolutions: what points and their nearest neighbours say together.

Letters: B batch, N points, C channels, k neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hf_equi.bases.neighbours import AT_ONCE, gathered, nearest, slices
from hf_equi.networks.point_clouds.layers import SLOPE, MaskedBatchNorm, PointLayers

__all__ = ["EdgeConvolution"]


class EdgeConvolution(nn.Module):
    r"""What a point and each of its neighbours say together, and the largest of it.

    $$ y_i = \max_{j \in \mathcal{N}(i)} \sigma\big(\text{norm}(W (x_j - x_i, x_i))\big) $$

    The neighbours are found among the channels that the layer reads, so that the graph changes from layer to layer.
    $W (x_j - x_i, x_i) = W_1 x_j + (W_2 - W_1) x_i$ is computed of points, not of pairs. In evaluation, norm and σ
    keep the order of numbers, or turn it around, so the maximum is taken before them, and no pair is ever read.

    Args:
        channels: C.
        sizes: The channels of each layer: one, or more as in part segmentation.
        neighbours: k.

    References:
        Wang et al. 2019, arXiv 1801.07829, equation 8 and section 3.2.
    """

    def __init__(self, channels: int, sizes: Sequence[int], neighbours: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.linear = nn.Linear(2 * channels, sizes[0], bias=False)
        self.norm = MaskedBatchNorm(sizes[0])
        self.activation = nn.LeakyReLU(SLOPE)
        self.layers = PointLayers(sizes, SLOPE) if len(sizes) > 1 else None

    def forward(self, x: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        """Return `(B, N, C)` of `(B, N, C)`."""
        neighbours = nearest(x, kept, self.neighbours)
        change, own = torch.split(self.linear.weight, x.shape[2], 1)
        near, own = nn.functional.linear(x, change), nn.functional.linear(x, own - change)
        if self.training:
            return self._pairs(near, own, neighbours, kept)
        norm: Any = self.norm  # which torch allows to have no statistics
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        near, own = near * scale, own * scale + (norm.bias - norm.running_mean * scale)
        sizes = slices(x.shape[0], x.shape[1], self.neighbours * near.shape[2], AT_ONCE)
        parts: dict[int, list[torch.Tensor]] = {}
        for cloud, rows in sizes:
            some = gathered(near[cloud], neighbours[cloud, rows])
            if self.layers is None:
                found = self.activation(some.amax(2) + own[cloud, rows])
            else:
                found = self.layers(self.activation(some + own[cloud, rows, None])).amax(2)
            parts.setdefault(cloud.start, []).append(found)
        return torch.cat([torch.cat(some, 1) for some in parts.values()])

    def _pairs(
        self, near: torch.Tensor, own: torch.Tensor, neighbours: torch.Tensor, kept: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the same in training, where the norm reads all pairs."""
        there = None if kept is None else kept.unsqueeze(2).expand(neighbours.shape)
        pairs = self.activation(self.norm(gathered(near, neighbours) + own.unsqueeze(2), there))
        said: torch.Tensor = pairs if self.layers is None else self.layers(pairs, there)
        return said.amax(2)

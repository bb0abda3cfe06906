r"""The nearest neighbours of points, and layers that read them.

Letters: B batch, N points, C channels, k neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from hf_equi.networks.point_clouds.layers import SLOPE, MaskedBatchNorm, PointLayers

__all__ = ["EdgeConvolution", "gathered", "nearest", "slices"]

AT_ONCE = 2**22
"""The most numbers of distances, or of neighbours' channels, that are held at once in evaluation."""


@torch.no_grad()
def nearest(x: torch.Tensor, kept: torch.Tensor | None, count: int, at_once: int = AT_ONCE) -> torch.Tensor:
    r"""Return the `count` nearest neighbours of each point, itself included, by $\lVert x_i - x_j \rVert$.

    Distances of a few points at a time are held, so that memory is bounded. Those of points in space are computed
    directly. With more channels they come from products, as published. The mean is subtracted first, which keeps
    digits. In half precision they are computed in float32.

    Args:
        x: `(B, N, C)`.
        kept: `(B, N)` bool, which points there are; the others are nobody's neighbours.
        count: k, at most the number of points of the smallest cloud.
        at_once: How many distances are held.

    Returns:
        `(B, N, k)` int64, in no particular order.

    Cost: N² distances for each cloud.

    Example:
        >>> nearest(torch.tensor([[[0.0], [1.0], [5.0]]]), None, 2).sort().values
        tensor([[[0, 1],
                 [0, 1],
                 [1, 2]]])
    """
    x = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    direct = x.shape[2] <= 3
    if not direct:
        x = x - x.mean(1, keepdim=True)
    found = torch.empty(*x.shape[:2], count, dtype=torch.long, device=x.device)
    for cloud, rows in slices(x.shape[0], x.shape[1], x.shape[1], at_once):
        some = x[cloud]
        if direct:
            apart = torch.cdist(some[:, rows], some, compute_mode="donot_use_mm_for_euclid_dist")
        else:
            apart = torch.baddbmm(some.square().sum(2)[:, None], some[:, rows], some.mT, alpha=-2)
        if kept is not None:
            apart = apart.masked_fill(~kept[cloud, None], torch.inf)
        found[cloud, rows] = apart.topk(count, dim=-1, largest=False, sorted=False).indices
    return found


def slices(batch: int, points: int, width: int, at_once: int) -> Iterator[tuple[slice, slice]]:
    """Return ranges of clouds and of their points that hold at most `at_once` numbers, `width` for each point.

    Example:
        >>> list(slices(2, 4, 1, 6))
        [(slice(0, 1, None), slice(0, 4, None)), (slice(1, 2, None), slice(0, 4, None))]
        >>> [rows for _, rows in slices(1, 4, 2, 6)]
        [slice(0, 3, None), slice(3, 4, None)]
    """
    if torch.compiler.is_exporting() or torch.compiler.is_compiling():  # one graph for any size
        yield slice(0, batch), slice(0, points)
        return
    clouds = max(at_once // (points * width), 1)
    rows = min(max(at_once // width, 1), points)
    for start in range(0, batch, clouds):
        for first in range(0, points, rows):
            yield slice(start, min(start + clouds, batch)), slice(first, min(first + rows, points))


def gathered(x: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
    """Return the channels of neighbours, `(B, N, C)` and `(B, n, k)` to `(B, n, k, C)`."""
    first = torch.arange(x.shape[0], device=x.device)[:, None, None] * x.shape[1]
    rows = x.reshape(-1, x.shape[2]).index_select(0, (neighbours + first).flatten())
    return rows.view(*neighbours.shape, x.shape[2])


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

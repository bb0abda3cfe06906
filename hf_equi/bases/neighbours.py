"""The nearest neighbours of points, found with bounded memory.

Letters: B batch, N points, C channels, k neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

__all__ = ["AT_ONCE", "gathered", "nearest", "slices"]

AT_ONCE = 2**22
"""The most numbers of distances, or of neighbours' channels, that are held at once in evaluation."""


@torch.no_grad()
def nearest(
    x: torch.Tensor, kept: torch.Tensor | None, count: int, ordered: bool = False, at_once: int = AT_ONCE
) -> torch.Tensor:
    r"""Return the `count` nearest neighbours of each point, itself included, by $\lVert x_i - x_j \rVert$.

    Distances of a few points at a time are held, so that memory is bounded. Those of points in space are computed
    directly. With more channels they come from products, as published. The mean is subtracted first, which keeps
    digits. In half precision they are computed in float32.

    Args:
        x: `(B, N, C)`.
        kept: `(B, N)` bool, which points there are. The others are neighbours only where there are fewer than `count`.
        count: k, at most N.
        ordered: Whether they come by their distance.
        at_once: How many distances are held.

    Returns:
        `(B, N, k)` int64.

    Cost: N² distances for each cloud.

    Example:
        >>> nearest(torch.tensor([[[0.0], [1.0], [5.0]]]), None, 2).sort().values
        tensor([[[0, 1],
                 [0, 1],
                 [1, 2]]])
    """
    x = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    direct = x.shape[2] <= 3
    traced = torch.compiler.is_exporting() or torch.compiler.is_compiling()
    if kept is not None and kept.device.type == "cpu" and not traced and bool(kept.all()):
        kept = None
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
            apart.masked_fill_(~kept[cloud, None], torch.inf)
        found[cloud, rows] = apart.topk(count, dim=-1, largest=False, sorted=ordered).indices
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

"""The centre of a cloud, which translations move along."""

from __future__ import annotations

import torch
from torch import nn

from hf_equi.canonicalization.points import read_points

__all__ = ["Centre"]


class Centre(nn.Module):
    r"""The mean of the points: where a cloud lies.

    $$ c(x) = \frac{1}{N} \sum_i x_i, \qquad c(gx) = g\, c(x) $$

    for rotations, mirrors and translations g. `Composed` takes it away before it looks for a rotation.

    Example:
        >>> Centre()(torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]]]), torch.tensor([[1, 1, 0]]))
        tensor([[2., 2.]])
    """

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean of the points that are not padded, `(B, N, n)` to `(B, n)`.

        Raises:
            ConfigurationError: As `read_points`.
        """
        points, kept = read_points(x, mask, x.shape[-1])
        mean: torch.Tensor = points.sum(1) / kept.sum(1, keepdim=True)
        return mean

r"""Layers of networks that read every point alike, with clouds of different sizes in one batch.

Letters: B batch, N points, C channels. `kept` is `(B, N)` bool, which points there are; `None` for all.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["SLOPE", "MaskedBatchNorm", "PointLayers", "SmallLinear", "Transform", "pooled_maximum", "pooled_mean"]

SLOPE = 0.2
"""The slope of the leaky ReLUs."""


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch norm over all axes but the last; in training, places that are padded count for nothing.

    Example:
        >>> norm, x = MaskedBatchNorm(1), torch.tensor([[[1.0], [3.0], [99.0]]])
        >>> norm(x, torch.tensor([[True, True, False]]))[0, :, 0].tolist()
        [-0.9999949932098389, 0.9999949932098389, 0.0]
    """

    def forward(self, x: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Return `(..., C)` of `(..., C)`; `kept` is `(...)`."""
        if kept is None or not self.training:  # in evaluation each place is read by itself
            return super().forward(x.reshape(-1, x.shape[-1])).view(x.shape)
        found = torch.zeros_like(x)
        found[kept] = super().forward(x[kept]).to(x.dtype)
        return found


class PointLayers(nn.Module):
    """A multilayer perceptron that reads every point by itself: a linear map, batch norm and a ReLU in each layer.

    Args:
        sizes: The channels, from those that are read to those of the last layer.
        slope: The slope of the ReLUs below zero.
        dropout: The dropout after each layer, in training.
    """

    def __init__(self, sizes: Sequence[int], slope: float = 0.0, dropout: float = 0.0) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(sizes))
        self.linears = nn.ModuleList([nn.Linear(before, after, bias=False) for before, after in pairs])
        self.norms = nn.ModuleList([MaskedBatchNorm(after) for _, after in pairs])
        self.activation = nn.LeakyReLU(slope) if slope else nn.ReLU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Return `(..., C)` of `(..., C)`."""
        return self.each(x, kept)[-1]

    def each(self, x: torch.Tensor, kept: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Return what every layer gives."""
        found = []
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = self.dropout(self.activation(norm(linear(x), kept)))
            found.append(x)
        return found


class SmallLinear(nn.Linear):
    """A linear map that is zero before it is trained."""


class Transform(nn.Module):
    r"""A small PointNet that reads a cloud and returns a matrix, the identity before it is trained: a T-net.

    $$ A(x) = 1 + W \max_i f(x_i) $$

    Args:
        channels: The channels of each point, and the side of the matrix.
        slope: As in `PointLayers`.

    References:
        Qi et al. 2017, arXiv 1612.00593, section 4.2 and appendix C.
    """

    def __init__(self, channels: int, slope: float = 0.0) -> None:
        super().__init__()
        self.channels = channels
        self.points = PointLayers([channels, 64, 128, 1024], slope)
        self.cloud = PointLayers([1024, 512, 256], slope)
        self.matrix = SmallLinear(256, channels * channels)

    def forward(self, x: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        """Return the matrix of each cloud, `(B, N, C)` to `(B, C, C)`."""
        return self.of_points(x, kept)

    def of_points(self, x: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        """Return the matrix of each cloud, from what is known of its points, `(B, N, C)`."""
        entries = self.matrix(self.cloud(pooled_maximum(self.points(x, kept), kept)))
        matrices: torch.Tensor = entries.view(-1, self.channels, self.channels)
        return matrices + torch.eye(self.channels, dtype=x.dtype, device=x.device)


def pooled_maximum(x: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
    """Return the largest value of each channel among the points there are, `(B, N, C)` to `(B, C)`."""
    if kept is not None:
        x = x.masked_fill(~kept.unsqueeze(-1), -torch.inf)
    return x.amax(1)


def pooled_mean(x: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
    """Return the mean over the points there are, `(B, N, C)` to `(B, C)`."""
    if kept is None:
        return x.mean(1)
    shares = kept.to(x.dtype).unsqueeze(-1)
    return (x * shares).sum(1) / shares.sum(1)

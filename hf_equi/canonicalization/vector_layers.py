r"""Layers of vector neurons: features are vectors, which turn with the input.

Letters: B batch, C channels, n dimension. A feature is `(..., C, n)`, where an element g acts on the last axis, and a
layer f satisfies $f(gv) = g f(v)$. The axes before C are places: samples, points, neighbours.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["VectorLayer", "VectorLinear", "VectorNorm", "weighted_mean"]

_FADE = 1e-2
"""The share of the longest vector of a sample below which a direction fades."""
_FLAT = 1e-6
"""The share of the longest squared length that a ReLU adds to the squared length it divides by."""


class VectorLinear(nn.Linear):
    r"""A linear map of channels, $w_c = \sum_d W_{cd} v_d$, without bias, because rotations keep no vector but 0."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return `(..., outputs, n)` of `(..., inputs, n)`."""
        return self.weight @ input


class VectorNorm(nn.Module):
    r"""Batch norm of lengths, which do not turn; directions stay.

    $$ v_c \mapsto \frac{v_c}{|v_c|} \Big(\gamma_c \frac{|v_c| - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}} + \beta_c\Big) $$

    In training, means and variances are those of the batch, in which each place counts by its weight, so that padding
    counts for nothing. The direction $v / |v|$ of a vector much shorter than the longest one of its sample, s, fades:
    it has the factor $|v|^2 / (|v| + s / 100)^2$. What is 0 but for rounding, as in the middle of a regular body,
    would otherwise become a vector like any other.

    Args:
        channels: C.
        momentum: The share of a batch in the statistics that are kept for evaluation.
        epsilon: ε.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def reset_parameters(self) -> None:
        """Start with γ = 1, β = 0 and the statistics of lengths that need no change."""
        for values, value in ((self.weight, 1), (self.bias, 0), (self.mean, 0), (self.variance, 1)):
            nn.init.constant_(values, value)

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return vectors of other lengths.

        Args:
            x: `(B, ..., C, n)`.
            weights: `(B, ...)` how much each place counts.
        """
        lengths = torch.linalg.vector_norm(x, dim=-1)  # (B, ..., C)
        mean, variance = self._statistics(lengths, weights) if self.training else (self.mean, self.variance)
        normed = (lengths - mean) / (variance + self.epsilon).sqrt() * self.weight + self.bias
        limit = (lengths + _FADE * _longest(lengths, weights)).clamp_min(torch.finfo(x.dtype).tiny)
        result: torch.Tensor = x / limit.unsqueeze(-1) * (lengths / limit * normed).unsqueeze(-1)
        return result

    def _statistics(self, lengths: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the means and variances of a batch, and take them into those that are kept."""
        flat, counts = lengths.flatten(0, -2), weights.flatten().unsqueeze(-1)
        total = counts.sum()
        mean = (counts * flat).sum(0) / total
        variance = (counts * (flat - mean).square()).sum(0) / total
        with torch.no_grad():
            unbiased = variance * total / (total - 1).clamp_min(1)
            self.mean.lerp_(mean.to(self.mean.dtype), self.momentum)
            self.variance.lerp_(unbiased.to(self.variance.dtype), self.momentum)
        return mean, variance


class VectorLayer(nn.Module):
    r"""A linear map, batch norm, and a ReLU that cuts off what points against a learned direction.

    $$ q = \text{norm}(Wv), \qquad k = Uv, \qquad
    q \mapsto q - \frac{\min(\langle q, k \rangle, 0)}{|k|^2 + 10^{-6} s^2} k $$

    with s the longest k of the sample.

    Args:
        inputs: The channels that it reads.
        outputs: The channels that it writes.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = VectorLinear(inputs, outputs)
        self.norm = VectorNorm(outputs)
        self.direction = VectorLinear(inputs, outputs)

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return `(..., outputs, n)` of `(..., inputs, n)`, with `(...)` weights of the places as in `VectorNorm`."""
        query, key = self.norm(self.linear(x), weights), self.direction(x)
        along = (query * key).sum(-1, keepdim=True).clamp_max(0)
        squares = key.square().sum(-1)
        limit = (squares + _FLAT * _longest(squares, weights)).clamp_min(torch.finfo(x.dtype).tiny)
        result: torch.Tensor = query - along / limit.unsqueeze(-1) * key
        return result


def _longest(lengths: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the largest length of each sample where places count, `(B, ...)` to `(B, 1, ...)`."""
    counted = lengths.masked_fill((weights == 0).unsqueeze(-1), 0)
    return counted.flatten(1).amax(1).view(-1, *[1] * (lengths.dim() - 1))


def weighted_mean(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean over the last axis of places, `(..., N, C, n)` with `(..., N)` weights to `(..., C, n)`."""
    shares = weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    return (x * shares[..., None, None]).sum(-3)

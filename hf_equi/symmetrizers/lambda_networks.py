"""The networks of λ-equitune: how much one member of an orbit counts, read off its features."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import softplus

__all__ = ["LambdaNetwork"]


class LambdaNetwork(nn.Module):
    r"""Two hidden layers and a positive output, the weight.

    $$ \lambda(x) = \text{softplus}(\text{MLP}(f(x))) > 0 $$

    Args:
        features: The size of the features f(x).
        units: The units of each of the two hidden layers.
        dropout: The dropout of the hidden layers, in training. The authors' code uses 0.5.

    References:
        arXiv 2305.09900, §5.1 and appendix D: two hidden layers of 100 units. The softplus is ours, because the
        authors' weights may be negative.

    Example:
        >>> network = LambdaNetwork(8)
        >>> network(torch.zeros(3, 2, 8)).shape
        torch.Size([3, 2])
    """

    def __init__(self, features: int, units: int = 100, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, units),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(units, units),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(units, 1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return log λ of features: `(..., features)` to `(...)`, in float32 at least."""
        weight: Any = self.layers[0].weight  # asked for by name: replicas of `DataParallel` have no parameters
        raw = self.layers(features.to(weight.dtype)).squeeze(-1)
        raw = raw.to(torch.promote_types(raw.dtype, torch.float32))
        # softplus(x) tends to exp(x) and underflows; its logarithm must not.
        return torch.where(raw < -20, raw, softplus(raw.clamp(min=-20)).log())

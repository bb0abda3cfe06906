"""The network of attention over an orbit: how much all members attend to each."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

__all__ = ["OrbitAttention"]


class OrbitAttention(nn.Module):
    r"""One head of self-attention over the members of an orbit. A member's weight is how much it is attended to.

    $$ a_k = \frac{1}{K} \sum_q \text{softmax}_k\Big(\frac{\langle W_Q f_q + b,\; W_K f_k \rangle}{\sqrt{d}}\Big) > 0,
    \qquad \sum_k a_k = 1 $$

    Suppose the values of attention are the members' pulled back outputs, and its result is averaged over the queries.
    That is the mean of the values with these weights. The network knows no positions, so members that change places
    keep their weights. Keys have no bias: it would add the same to all scores of a query, and a softmax ignores that.

    Args:
        features: The size of the features f of a member.
        units: The size d of queries and keys.
        dropout: The dropout of queries and keys, in training. Weights stay positive and add up to 1.

    Cost: K² products of d numbers for each orbit, besides the two projections.

    References:
        Vlasenko et al. 2024, "equiattention": https://github.com/iasonsky/EfficientEquivariantTransferLearning. There
        features are maps below convolutions; here they are vectors.

    Example:
        >>> network = OrbitAttention(8)
        >>> network(torch.zeros(3, 2, 8)).exp()
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000],
                [0.5000, 0.5000]], grad_fn=<ExpBackward0>)
    """

    def __init__(self, features: int, units: int = 100, dropout: float = 0.0) -> None:
        super().__init__()
        self.queries = nn.Linear(features, units)
        self.keys = nn.Linear(features, units, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return log weights of members of whole orbits: `(..., K, features)` to `(..., K)`, in float32 at least."""
        weight: Any = self.queries.weight  # asked for by name: replicas of `DataParallel` have no parameters
        features = features.to(weight.dtype)
        dtype = torch.promote_types(weight.dtype, torch.float32)
        queries = self.dropout(self.queries(features)).to(dtype)  # (..., K, units)
        keys = self.dropout(self.keys(features)).to(dtype)
        scores = queries @ keys.mT / math.sqrt(keys.shape[-1])  # (..., K of queries, K of keys)
        attention = scores.to(dtype).log_softmax(-1)  # autocast computes products in lower precision
        # In logarithms, because a member that gets hardly any attention must keep a finite weight.
        total: torch.Tensor = attention.logsumexp(-2)
        return total - math.log(attention.shape[-1])

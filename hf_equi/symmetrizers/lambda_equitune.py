"""λ-equitune: a mean that weighs the members of the orbit."""

from __future__ import annotations

import math

import torch
from torch import nn

from hf_equi.symmetrizers.equitune import Equitune
from hf_equi.symmetrizers.lambda_networks import LambdaNetwork

__all__ = ["LambdaEquitune", "normalise_log_weights"]


class LambdaEquitune(Equitune):
    r"""The weighted group average of λ-equitune.

    $$ M^\lambda_G(x) = \frac{1}{\sum_g \lambda(gx)} \sum_{g \in G} \lambda(gx)\, g^{-1} M(gx), \qquad \lambda > 0 $$

    λ is a network that the model holds (`hf_equi.symmetrizers.LambdaNetwork`); a constant λ gives equi-tuning, and one
    that is large for a single member gives equizero.

    Args:
        average: `"logits"` or `"probabilities"`, as in `Equitune`.

    Cost: one base forward a distinct member of the orbit, at most |G|.

    References:
        arXiv 2305.09900, equation 4.

    Example:
        >>> LambdaEquitune().weighs_members
        True
    """

    name = "lambda"
    weighs_members = True
    relaxable = False

    def create_network(self, features: int, units: int, dropout: float) -> nn.Module | None:
        """The network of λ, which reads each member alone."""
        return LambdaNetwork(features, units, dropout)


def normalise_log_weights(log_weights: torch.Tensor) -> torch.Tensor:
    """Shift log λ of whole orbits, `(B, K)`, so that the mean of λ over each orbit is 1.

    Example:
        >>> normalise_log_weights(torch.tensor([[1.0, 3.0]]).log()).exp()
        tensor([[0.5000, 1.5000]])
    """
    return log_weights.log_softmax(1) + math.log(log_weights.shape[1])

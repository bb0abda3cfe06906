"""How much each member of an orbit counts: the second part of a method."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

__all__ = ["EqualWeights", "HistoryWeights", "NetworkWeights", "Weigh", "normalise_log_weights"]


class Weigh:
    """How much each member counts. Subclasses say by what."""


class EqualWeights(Weigh):
    """All members count the same."""


class NetworkWeights(Weigh):
    """A network that reads the features of the members; the model registers it as `lambda_network`.

    Args:
        network_class: Makes the network from the size of the features, the units of its hidden layers and their
            dropout. It maps features of whole orbits, `(B, K, features)`, to log weights, `(B, K)`.

    Example:
        >>> from hf_equi.symmetrizers.lambda_networks import LambdaNetwork
        >>> NetworkWeights(LambdaNetwork).create_network(8, units=4, dropout=0.0)(torch.zeros(3, 2, 8)).shape
        torch.Size([3, 2])
    """

    def __init__(self, network_class: Callable[[int, int, float], nn.Module]) -> None:
        self.network_class = network_class

    def create_network(self, features: int, units: int, dropout: float) -> nn.Module:
        """Make a new network.

        Args:
            features: Size of the features of a member.
            units: Of its hidden layers.
            dropout: Of its hidden layers, in training.
        """
        return self.network_class(features, units, dropout)


class HistoryWeights(Weigh):
    r"""The probability that a member gave to the tokens after the prompt, as those of a mixture of whole texts.

    $$ \log w_t = \sum_{s < t} \log p(y_s) $$

    Example:
        >>> HistoryWeights().log_weights(torch.tensor([[0.0, -1.0, -2.0]]))
        tensor([[ 0., -1., -3.]])
    """

    def log_weights(self, taken: torch.Tensor) -> torch.Tensor:
        """Log weights of the members after what was read, `(R, T)`.

        Args:
            taken: `(R, T)` the log-probability that each row gave to the token it read at each place, 0 in the prompt.
        """
        return taken.cumsum(-1)


def normalise_log_weights(log_weights: torch.Tensor) -> torch.Tensor:
    """Shift log λ of whole orbits, `(B, K)`, so that the mean of λ over each orbit is 1.

    Example:
        >>> normalise_log_weights(torch.tensor([[1.0, 3.0]]).log()).exp()
        tensor([[0.5000, 1.5000]])
    """
    return log_weights.log_softmax(1) + math.log(log_weights.shape[1])

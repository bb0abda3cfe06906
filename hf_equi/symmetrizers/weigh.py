"""How much each member of an orbit counts: the second part of a method."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import nn

from hf_equi.symmetrizers.part import Part

__all__ = ["EqualWeights", "FeatureWeights", "HistoryWeights", "NetworkWeights", "Weigh", "normalise_log_weights"]


class Weigh(Part):
    """How much each member counts. Its kinds say by what, and tasks say which kinds they run."""

    role = "weighs"
    network_name = "lambda_network"


class EqualWeights(Weigh):
    """All members count the same."""

    @property
    def relaxable(self) -> bool:
        """Those of the identity too."""
        return True


class FeatureWeights(Weigh):
    """Weights by the features of the members, which a task reads off its base.

    A network of its own is made by `create_network(features, units, dropout)`: the size of the features of a member,
    and the units and the dropout of its hidden layers, from the config.

    Example:
        >>> class Brightest(FeatureWeights):
        ...     def log_weights(self, features):
        ...         return features.mean(-1)
        >>> Brightest().log_weights(torch.tensor([[[0.0, 2.0], [4.0, 6.0]]]))
        tensor([[1., 5.]])
    """

    @abstractmethod
    def log_weights(self, features: torch.Tensor) -> torch.Tensor:
        """Log weights of the members of whole orbits, up to a constant an orbit: `(B, K, features)` to `(B, K)`."""


class NetworkWeights(FeatureWeights):
    """Weights by a network that reads the features of the members.

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

    def log_weights(self, features: torch.Tensor) -> torch.Tensor:
        """What the network says, `(B, K)`."""
        log_weights: torch.Tensor = self.network(features)
        return log_weights


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

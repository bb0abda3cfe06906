"""How much each member of an orbit counts: the second part of a method."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import nn

from hf_equi.symmetrizers.part import Part

__all__ = [
    "EqualWeights",
    "FeatureWeights",
    "HistoryWeights",
    "NetworkWeights",
    "Weigh",
    "joint_log_weights",
    "normalise_log_weights",
]


class Weigh(Part):
    """How much each member counts. Its kinds differ in what they read; tasks declare which kinds they run."""

    role = "weighs"
    network_name = "lambda_network"


class EqualWeights(Weigh):
    """All members count the same."""

    @property
    def relaxable(self) -> bool:
        """Whether the identity keeps its weight: yes, all members have the same."""
        return True


class FeatureWeights(Weigh):
    """Weights from the features of the members, which a task reads off its base.

    A kind with a network defines `create_network(features, units, dropout)`. The arguments are the size of a member's
    features, and the units and dropout of the hidden layers, from the config.

    Example:
        >>> class Brightest(FeatureWeights):
        ...     def log_weights(self, features):
        ...         return features.mean(-1)
        >>> Brightest().log_weights(torch.tensor([[[0.0, 2.0], [4.0, 6.0]]]))
        tensor([[1., 5.]])
    """

    @abstractmethod
    def log_weights(self, features: torch.Tensor) -> torch.Tensor:
        """Return log weights of whole orbits, up to a constant for each orbit: `(B, K, features)` to `(B, K)`."""


class NetworkWeights(FeatureWeights):
    """Weights from a network that reads the features of the members.

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
            features: The size of a member's features.
            units: The units of its hidden layers.
            dropout: The dropout of its hidden layers, in training.
        """
        return self.network_class(features, units, dropout)

    def log_weights(self, features: torch.Tensor) -> torch.Tensor:
        """Return the network's output, `(B, K)`."""
        log_weights: torch.Tensor = self.network(features)
        return log_weights


class HistoryWeights(Weigh):
    r"""Weights of a mixture of whole texts: the probability that a member gave to the tokens after the prompt.

    $$ \log w_t = \sum_{s < t} \log p(y_s) $$

    Example:
        >>> HistoryWeights().log_weights(torch.tensor([[0.0, -1.0, -2.0]]))
        tensor([[ 0., -1., -3.]])
    """

    def log_weights(self, taken: torch.Tensor) -> torch.Tensor:
        """Return log weights of the members after the tokens read so far, `(R, T)`.

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


def joint_log_weights(*parts: torch.Tensor | None) -> torch.Tensor | None:
    """Return the log of the product of weights, `(B, K)`, shifted by `normalise_log_weights`; `None` without weights.

    Args:
        *parts: `(B, K)` log-weights up to a constant for each orbit: those of `Weigh`, and those that a selection
            gives its members.

    Example:
        >>> joint_log_weights(torch.tensor([[1.0, 3.0]]).log(), None, torch.tensor([[3.0, 1.0]]).log()).exp()
        tensor([[1., 1.]])
        >>> joint_log_weights(None, None) is None
        True
    """
    given = [part for part in parts if part is not None]
    return normalise_log_weights(sum(given[1:], given[0])) if given else None

"""What the three parts of a method have in common: each may have a network."""

from __future__ import annotations

import copy
from abc import ABC
from typing import Any, ClassVar, Self

from torch import nn

__all__ = ["Part"]


class Part(ABC):
    """One of the three parts of a method.

    It may have a network: then it writes `create_network`, and reads `self.network`. The model registers that network,
    trains it and saves it.
    """

    role: ClassVar[str]
    """What it does to members, as a verb."""
    network_name: ClassVar[str]
    """The name that a model registers the network by."""
    network: Any = None
    """What `create_network` made, with its trained weights: in the method of a model, where a part has a network."""

    def create_network(self, *args: Any, **kwargs: Any) -> nn.Module | None:
        """Make the network; `None` for a part without one.

        Args:
            *args: What each kind of part is told of the model.
            **kwargs: None.
        """
        return None

    @property
    def has_network(self) -> bool:
        """Whether it has a network, which `create_network` makes."""
        return type(self).create_network is not Part.create_network

    def with_network(self, network: nn.Module | None) -> Self:
        """The same part with the network of a model."""
        held = copy.copy(self)
        held.network = network
        return held

    @property
    def relaxable(self) -> bool:
        """Whether general words can keep the scores of the identity beside it, as all members are averaged alike."""
        return False

"""What the three parts of a method have in common: each may have a network."""

from __future__ import annotations

import copy
from abc import ABC
from typing import Any, ClassVar, Self

from torch import nn

__all__ = ["Part"]


class Part(ABC):
    """One of the three parts of a method.

    A part may have a network. Then it defines `create_network` and reads `self.network`. The model registers that
    network, trains it and saves it.
    """

    role: ClassVar[str]
    """A verb that says what the part does to members."""
    network_name: ClassVar[str]
    """The name under which a model registers the network."""
    network: Any = None
    """The network from `create_network`, with trained weights: set in a model's method if the part has a network."""

    def create_network(self, *args: Any, **kwargs: Any) -> nn.Module | None:
        """Make the network; `None` for a part without one.

        Args:
            *args: What each kind of part needs to know about the model.
            **kwargs: None.
        """
        return None

    @property
    def has_network(self) -> bool:
        """Whether it has a network, which `create_network` makes."""
        return type(self).create_network is not Part.create_network

    @property
    def needs_training(self) -> bool:
        """Whether it has a network that must be trained before its output means anything: by default if it has one."""
        return self.has_network

    def with_network(self, network: nn.Module | None) -> Self:
        """Return the same part with the network of a model."""
        held = copy.copy(self)
        held.network = network
        return held

    @property
    def relaxable(self) -> bool:
        """Whether general words can keep the scores of the identity with this part: it treats all members alike."""
        return False

"""The network by which a wrapped model weighs the members of an orbit."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hf_equi.symmetrizers import Symmetrizer

__all__ = ["WeighingMixin"]


class WeighingMixin:
    """Holds the network of methods that have one. Comes before `PreTrainedModel` in the bases of a model."""

    base: Any
    config: Any
    lambda_network: nn.Module

    def _add_network(self, method: Symmetrizer, features: int) -> None:
        """Make the method's network for features of a size, in float32 at least; of a method without, none."""
        network = method.create_network(features, self.config.lambda_units, self.config.lambda_dropout)
        if network is not None:
            self.lambda_network = network.to(torch.promote_types(self.base.dtype, torch.float32))

    @property
    def _network(self) -> Any:
        """The network, or `None`."""
        return getattr(self, "lambda_network", None)

    def _init_weights(self, module: nn.Module) -> None:
        """The network as torch initialises it; all else as the base initialises it."""
        network = self._network
        if network is None or not any(module is part for part in network.modules()):
            super()._init_weights(module)  # type: ignore[misc]
        elif isinstance(module, nn.Linear):  # of a checkpoint that lacks it
            module.reset_parameters()

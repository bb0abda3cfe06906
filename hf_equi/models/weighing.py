"""The network by which a wrapped model weighs the members of an orbit."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hf_equi.models.offloading import computing_device
from hf_equi.symmetrizers import Symmetrizer

__all__ = ["WeighingMixin"]


class WeighingMixin:
    """Holds the network of methods that have one. Comes before `PreTrainedModel` in the bases of a model."""

    base: Any
    config: Any
    lambda_network: nn.Module

    def _add_network(self, method: Symmetrizer, features: int) -> None:
        """Make the method's network for features of a size, where the base computes; of a method without, none.

        It is in float32 at least.
        """
        network = method.create_network(features, self.config.lambda_units, self.config.lambda_dropout)
        if network is not None:
            # While a checkpoint is loaded all weights are made without numbers, and get a device with them.
            empty = any(weight.is_meta for weight in network.parameters())
            device = None if empty else computing_device(self.base)
            self.lambda_network = network.to(device=device, dtype=torch.promote_types(self.base.dtype, torch.float32))

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

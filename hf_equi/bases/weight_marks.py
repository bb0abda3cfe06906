"""Whether a model has the weights that it was loaded with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

__all__ = ["mark_weights", "weights_changed"]

SAMPLED = 64
"""How many values of each weight are compared. The actual number may be up to twice as large."""

_Mark = tuple[int, torch.Tensor | None]


def mark_weights(model: nn.Module) -> dict[str, _Mark]:
    """Record marks that show later if the weights of a model have changed.

    The marks are torch's count of writes to each weight, and values spread over the weight, because merging an adapter
    and some optimizers write without being counted. Moving a model to another device or type changes neither.

    Args:
        model: The model.

    Returns:
        The marks, for `weights_changed`.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> marks = mark_weights(layer)
        >>> layer.weight.data += 1
        >>> weights_changed(layer, marks)
        True
    """
    return {name: (_writes(tensor), _sample(tensor)) for name, tensor in _tensors(model).items()}


def weights_changed(model: nn.Module, marks: Mapping[str, _Mark]) -> bool:
    """Whether the weights of a model have changed since they were marked.

    Args:
        model: The model.
        marks: The result of `mark_weights`.
    """
    tensors = _tensors(model)
    return tensors.keys() != marks.keys() or any(_differs(tensors[name], mark) for name, mark in marks.items())


def _tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return weights and stored buffers, such as the running means of a batch norm."""
    state: dict[str, Any] = model.state_dict(keep_vars=True)
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _writes(tensor: torch.Tensor) -> int:
    # On another device a buffer is a new tensor, whose count starts at zero.
    return tensor._version if isinstance(tensor, nn.Parameter) else 0


def _sample(tensor: torch.Tensor) -> torch.Tensor | None:
    if tensor.device.type == "meta" or type(tensor.data) is not torch.Tensor:  # offloaded, or a backend's own kind
        return None
    return tensor.detach().reshape(-1)[:: max(1, tensor.numel() // SAMPLED)].to("cpu", copy=True)


def _differs(tensor: torch.Tensor, mark: _Mark) -> bool:
    writes, before = mark
    now = _sample(tensor)
    if writes != _writes(tensor):
        return True
    return now is not None and before is not None and not torch.equal(now, before.to(now.dtype))

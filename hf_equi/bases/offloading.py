"""Bases whose weights accelerate brings to their device for each call, and leaves on `meta` in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

__all__ = ["computing_device", "input_device", "tensor_of"]


def computing_device(model: Any) -> torch.device | None:
    """The device of a model's weights, or the one that accelerate brings them to.

    Returns:
        The device, or `None` of a model that has no numbers: where that will compute is not known.

    Example:
        >>> computing_device(nn.Linear(2, 2)), computing_device(nn.Linear(2, 2, device="meta"))
        (device(type='cpu'), None)
    """
    weight = next(model.parameters(), None)
    if weight is not None and not weight.is_meta:
        device: torch.device = weight.device
        return device
    for module in model.modules():
        for hook in _hooks(module):
            if getattr(hook, "execution_device", None) is not None:
                return torch.device(hook.execution_device)
    return None


def input_device(model: Any) -> torch.device:
    """Where a model takes its inputs: unlike `model.device` never `meta`, where the weights of an offloaded one lie.

    Args:
        model: The model; one without numbers takes them on the CPU.

    Example:
        >>> input_device(nn.Linear(2, 2))
        device(type='cpu')
    """
    return computing_device(model) or torch.device("cpu")


def tensor_of(module: Any, name: str) -> torch.Tensor:
    """A tensor that a module holds by itself, read from outside of its forward.

    Accelerate fetches what it has offloaded when a module is called. Of a bare weight of a model that is used without
    calling the model, nobody fetches it.

    Args:
        module: The module.
        name: The name of the tensor in the module.

    Returns:
        The tensor; of an offloaded one what accelerate has stored, on any device.

    Example:
        >>> tensor_of(nn.Linear(2, 3), "bias").shape
        torch.Size([3])
    """
    tensor: torch.Tensor = getattr(module, name)
    if tensor.is_meta:
        for hook in _hooks(module):
            if getattr(hook, "weights_map", None) is not None:
                stored: torch.Tensor = hook.weights_map[name]
                return stored
    return tensor


def _hooks(module: nn.Module) -> Iterator[Any]:
    """The hooks of accelerate on a module, one by one."""
    hook = getattr(module, "_hf_hook", None)
    if hook is not None:
        yield from getattr(hook, "hooks", (hook,))

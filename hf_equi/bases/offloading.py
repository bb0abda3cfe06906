"""Support for bases whose weights accelerate loads to their device for each call and keeps on `meta` in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

__all__ = ["computing_device", "input_device", "tensor_of"]


def computing_device(model: Any) -> torch.device | None:
    """Return the device of a model's weights, or the device that accelerate loads them to.

    Returns:
        The device, or `None` for a model without values: it is not known where such a model will compute.

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
    """Return the device for a model's inputs. Unlike `model.device` it is never `meta`, even for an offloaded model.

    Args:
        model: The model; one without values takes its inputs on the CPU.

    Example:
        >>> input_device(nn.Linear(2, 2))
        device(type='cpu')
    """
    return computing_device(model) or torch.device("cpu")


def tensor_of(module: Any, name: str) -> torch.Tensor:
    """Return a tensor that a module holds directly, read from outside its forward.

    Accelerate fetches offloaded weights when a module is called. It does not fetch a weight that is used without a
    call of its module.

    Args:
        module: The module.
        name: The name of the tensor in the module.

    Returns:
        The tensor. If it is offloaded, this is the tensor that accelerate has stored, on any device.

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
    """Yield the hooks of accelerate on a module, one by one."""
    hook = getattr(module, "_hf_hook", None)
    if hook is not None:
        yield from getattr(hook, "hooks", (hook,))

"""Buffers that no checkpoint stores: transformers loads a model without values, and gives these none."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from transformers import PreTrainedModel

__all__ = ["put_back", "unsaved_buffers"]


def unsaved_buffers(module: nn.Module, of_models: bool = True) -> dict[str, torch.Tensor]:
    """Return the buffers of a module that are not saved with its weights, by name.

    Args:
        module: The module.
        of_models: Whether those inside models of transformers count, which compute theirs again when they are loaded.

    Example:
        >>> module = nn.Module()
        >>> module.register_buffer("grid", torch.zeros(2), persistent=False)
        >>> unsaved_buffers(nn.Sequential(module, nn.BatchNorm2d(1)))  # statistics of batches are saved
        {'0.grid': tensor([0., 0.])}
    """
    saved = module.state_dict(keep_vars=True)
    models = [name for name, part in module.named_modules() if name and isinstance(part, PreTrainedModel)]
    left_out = () if of_models else tuple(f"{name}." for name in models)
    return {
        name: buffer for name, buffer in module.named_buffers() if name not in saved and not name.startswith(left_out)
    }


def put_back(module: nn.Module, buffers: Mapping[str, torch.Tensor]) -> None:
    """Give buffers of a module their values again, in the dtype and on the device that they have now.

    Args:
        module: The module.
        buffers: What `unsaved_buffers` returned.
    """
    for name, value in buffers.items():
        place, _, own = name.rpartition(".")
        part = module.get_submodule(place)
        setattr(part, own, value.to(getattr(part, own)))

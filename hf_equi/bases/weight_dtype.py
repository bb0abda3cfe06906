"""The dtype in which a model computes."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["weight_dtype"]


def weight_dtype(model: nn.Module, default: torch.dtype) -> torch.dtype:
    """Return the dtype of a model's weights, which may have none: replicas of `DataParallel` do not list them.

    Args:
        model: The model.
        default: What to return for a model without floating weights.

    Example:
        >>> weight_dtype(nn.Linear(2, 3).half(), torch.float32), weight_dtype(nn.Flatten(), torch.float32)
        (torch.float16, torch.float32)
    """
    return next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), default)

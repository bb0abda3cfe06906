"""Tensors with one entry per sample, repeated to one per row of its orbit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["repeat_rows"]


def repeat_rows(values: Mapping[str, Any], batch: torch.Tensor, samples: int) -> dict[str, Any]:
    """Return the arguments of a call on samples as those of a call on rows.

    Args:
        values: The arguments by name. Tensors with one entry per sample get one per row; anything else stays as it is.
        batch: `(R,)` the sample of each row.
        samples: The number of samples.

    Example:
        >>> repeat_rows({"mask": torch.tensor([0, 1]), "scale": torch.tensor(2.0)}, torch.tensor([0, 1, 1]), 2)
        {'mask': tensor([0, 1, 1]), 'scale': tensor(2.)}
    """
    return {
        name: value.to(batch.device)[batch]
        if isinstance(value, torch.Tensor) and value.shape[:1] == (samples,)
        else value
        for name, value in values.items()
    }

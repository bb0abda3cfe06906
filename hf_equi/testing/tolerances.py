"""The one table of tolerances."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TOLERANCES", "tolerance_of"]

TOLERANCES: Mapping[torch.dtype, float] = MappingProxyType(
    {torch.float64: 1e-10, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 1e-1}
)
"""The largest absolute difference between the two sides of an equation that counts as equal, for each dtype.

The bounds are meant for log-probabilities and normalised outputs: those of half precision are the spacing of numbers
between 8 and 16 (rounded up).
"""


def tolerance_of(dtype: torch.dtype) -> float:
    """Return the tolerance of a dtype: 0 for integers and booleans."""
    return TOLERANCES.get(dtype, 0.0)

"""The parameters of functions, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

__all__ = ["parameters"]


@lru_cache(maxsize=64)
def parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the parameters of a function.

    Example:
        >>> sorted(parameters(lambda text, seed=0: None))
        ['seed', 'text']
    """
    return frozenset(inspect.signature(function).parameters)

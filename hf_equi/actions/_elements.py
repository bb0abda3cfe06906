"""The checks of elements that are given to actions."""

from __future__ import annotations

import operator
from typing import Any

import torch

from hf_equi.errors import ActionError
from hf_equi.groups import FiniteGroup

__all__ = ["checked_element", "read_elements"]


def checked_element(group: FiniteGroup, g: Any) -> int:
    """Return the element as an index; raise `ActionError` if the group has no such element."""
    try:
        index = operator.index(g)
    except TypeError:
        index = -1
    if not 0 <= index < group.order:
        raise ActionError(f"No element {g!r} in {group!r}: elements are integers from 0 to {group.order - 1}.")
    return index


def read_elements(group: Any, elements: Any, x: Any) -> Any:
    """Return elements of a finite group, checked: one as an int, or `(R,)`, one per sample, on the samples' device.

    Elements of other groups are returned as they are.

    Raises:
        ActionError: If the group has no such element, or there is not one for each sample.
    """
    if not isinstance(group, FiniteGroup):
        return elements
    if not isinstance(elements, torch.Tensor) or elements.dim() == 0:
        return checked_element(group, elements)
    first = x
    while isinstance(first, (tuple, dict)):  # samples of several parts
        first = next(iter(first.values() if isinstance(first, dict) else first))
    samples = first.shape[:1] if isinstance(first, torch.Tensor) else (len(first),)
    if elements.dtype != torch.long or elements.shape != samples:
        raise ActionError(
            f"One element per sample is needed, int64 of shape {tuple(samples)}; received {elements.dtype} of shape "
            f"{tuple(elements.shape)}."
        )
    if elements.numel() and not torch.compiler.is_exporting():  # a graph that is being traced has no values yet
        for bound in elements.aminmax():
            checked_element(group, int(bound))
    return elements.to(first.device) if isinstance(first, torch.Tensor) else elements

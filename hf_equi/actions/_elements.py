"""What actions check of the elements that they are given."""

from __future__ import annotations

import operator

import torch

from hf_equi.errors import ActionError
from hf_equi.groups import FiniteGroup

__all__ = ["checked_element", "checked_elements"]


def checked_element(group: FiniteGroup, g: int) -> int:
    """The element as an index; raises `ActionError` if the group has no such element."""
    try:
        index = operator.index(g)
    except TypeError:
        index = -1
    if not 0 <= index < group.order:
        raise ActionError(f"No element {g!r} in {group!r}: elements are integers from 0 to {group.order - 1}.")
    return index


def checked_elements(group: FiniteGroup, elements: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """One element a sample, `(R,)` on the device of the samples; raises `ActionError` for anything else."""
    if elements.dtype != torch.long or elements.shape != x.shape[:1]:
        raise ActionError(
            f"One element a sample is needed, int64 of shape {tuple(x.shape[:1])}; received {elements.dtype} of shape "
            f"{tuple(elements.shape)}."
        )
    if elements.numel():
        lowest, highest = (int(bound) for bound in elements.aminmax())
        checked_element(group, lowest)
        checked_element(group, highest)
    return elements.to(x.device)

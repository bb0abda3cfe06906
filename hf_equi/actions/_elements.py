"""The checks of elements that are given to actions."""

from __future__ import annotations

import operator
from typing import Any

import torch

from hf_equi.errors import ActionError, GroupError
from hf_equi.groups import ContinuousGroup, FiniteGroup

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
    """Return elements, checked, on the samples' device: one for all samples, or one per sample.

    Those of a finite group are an int, or `(R,)`. Those of a continuous group are `(side, side)` or `(R, side, side)`,
    float64 if the samples are, and float32 otherwise. Elements of groups from elsewhere are returned as they are.

    Raises:
        ActionError: If the group has no such element, or there is not one for each sample.
    """
    if isinstance(group, ContinuousGroup):
        return _read_matrices(group, elements, x)
    if not isinstance(group, FiniteGroup):
        return elements
    if not isinstance(elements, torch.Tensor) or elements.dim() == 0:
        return checked_element(group, elements)
    first = _first_part(x)
    if elements.dtype != torch.long or elements.shape != _samples(first):
        raise ActionError(
            f"One element per sample is needed, int64 of shape {tuple(_samples(first))}; received {elements.dtype} of "
            f"shape {tuple(elements.shape)}."
        )
    if elements.numel() and not torch.compiler.is_exporting():  # a graph that is being traced has no values yet
        for bound in elements.aminmax():
            checked_element(group, int(bound))
    return elements.to(first.device) if isinstance(first, torch.Tensor) else elements


def _read_matrices(group: ContinuousGroup, elements: Any, x: Any) -> torch.Tensor:
    try:
        found = group.check(elements)
    except GroupError as error:
        raise ActionError(f"No such element in {group!r}. {error}") from error
    first = _first_part(x)
    if found.shape[:-2] not in (torch.Size([]), _samples(first)):
        raise ActionError(
            f"One element per sample is needed, of shape {(*_samples(first), *found.shape[-2:])}, or one for all; "
            f"received {tuple(found.shape)}."
        )
    if not isinstance(first, torch.Tensor):
        return found
    # First the dtype: not every device has float64, in which elements are drawn.
    return found.to(torch.float64 if first.dtype == torch.float64 else torch.float32).to(first.device)


def _first_part(x: Any) -> Any:
    """Return the first part of samples of several parts."""
    while isinstance(x, (tuple, dict)):
        x = next(iter(x.values() if isinstance(x, dict) else x))
    return x


def _samples(part: Any) -> torch.Size:
    """Return the number of samples, as a shape."""
    return part.shape[:1] if isinstance(part, torch.Tensor) else torch.Size([len(part)])

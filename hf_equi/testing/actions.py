"""Check an action by enumeration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from hf_equi.actions import Action
from hf_equi.errors import ActionError
from hf_equi.groups import FiniteGroup, Group
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["Action", "assert_action", "elements_of"]

DRAWN = 5
"""The number of elements of a continuous group to try besides the identity."""


def elements_of(group: Group) -> list[Any]:
    """Return the elements to try: all of a finite group, otherwise the identity and a few drawn with a fixed seed."""
    if isinstance(group, FiniteGroup):
        return list(range(group.order))
    return [group.identity, *group.sample(DRAWN, torch.Generator().manual_seed(0))]


def assert_action(action: Action, samples: Iterable[Any]) -> None:
    r"""Check on samples that an action is a left action, with one element for all samples and with one for each.

    $$e x = x, \qquad (gh) x = g (h x), \qquad g^{-1} (g x) = x = g (g^{-1} x)$$

    Floating tensors are compared up to `TOLERANCES`, everything else exactly.

    Args:
        action (`Action`):
            The action.
        samples (`Iterable`):
            Batches of what the action acts on: tensors with one sample in each row, or lists, tuples and dictionaries
            of these. Anything else, such as a string, is one sample.

    Raises:
        ActionError: If an equation fails; the message gives elements and sample. Also if there are no samples.

    Example:
        ```python
        >>> from hf_equi import DemographicGroup, WordAction
        >>> assert_action(WordAction(DemographicGroup([["man", "woman"]])), [["The man, a Woman.", ""], "One man"])

        ```
    """
    samples = list(samples)
    if not samples:
        raise ActionError("assert_action needs at least one sample: without one it would check nothing.")
    elements = elements_of(action.group)
    for x in samples:
        _require(action.apply(elements[0], x), x, "the identity 0 must not move a sample", x)
        _check_products(action, elements, x)
        _check_each(action, elements, x)


def _check_products(action: Action, elements: list[Any], x: Any) -> None:
    orbit = [action.apply(g, x) for g in elements]
    for i, g in enumerate(elements):
        _require(action.invert(g, orbit[i]), x, f"invert({g}, apply({g}, x)) must be x", x)
        _require(action.apply(g, action.invert(g, x)), x, f"apply({g}, invert({g}, x)) must be x", x)
        for j, h in enumerate(elements):
            gh = action.group.compose(g, h)
            equation = f"apply({g}, apply({h}, x)) must be apply({gh}, x), as product[{g}, {h}] is {gh}"
            _require(action.apply(g, orbit[j]), action.apply(gh, x), equation, x)


def _check_each(action: Action, elements: list[Any], x: Any) -> None:
    """Check that one element for each sample acts on each as it does on that sample alone."""
    count = _count(x)
    for start in range(len(elements) if count else 0):
        each = [elements[(start + row) % len(elements)] for row in range(count)]
        together = torch.stack(list(map(torch.as_tensor, each)))
        moved = action.apply(together, x)
        equation = f"invert(elements, apply(elements, x)) must be x, with elements = {each}"
        _require(action.invert(together, moved), x, equation, x)
        for row, g in enumerate(each):
            equation = f"with elements = {each}, row {row} of apply(elements, x) must be apply({g}, x[{row}])"
            _require(_row(moved, row), action.apply(g, _row(x, row)), equation, x)


def _count(x: Any) -> int:
    """Return the number of samples in a batch; 0 if it is not a batch."""
    if isinstance(x, (tuple, dict)):
        return _count(next(iter(x.values() if isinstance(x, dict) else x)))
    if isinstance(x, torch.Tensor):
        return len(x) if x.dim() else 0
    return len(x) if isinstance(x, list) else 0


def _row(x: Any, row: int) -> Any:
    """Return a batch of one sample."""
    if isinstance(x, dict):
        return {name: _row(part, row) for name, part in x.items()}
    if isinstance(x, tuple):
        return tuple(_row(part, row) for part in x)
    return x[row : row + 1]


def _require(received: Any, required: Any, equation: str, sample: Any) -> None:
    if not _same(received, required):
        raise ActionError(
            f"Not an action: {equation}. For x = {sample!r} received {received!r}, required {required!r}."
        )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        tolerance = tolerance_of(a.dtype)
        return torch.allclose(a, b, rtol=0.0, atol=tolerance) if tolerance else torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)

"""Check an action with all elements of a finite group, or with some of a continuous one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch

from hf_equi.actions import Action
from hf_equi.errors import ActionError
from hf_equi.groups import FiniteGroup, Group
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["Action", "assert_action", "elements_of", "shown_element"]

DRAWN = 5
"""The number of elements of a continuous group to try besides the identity."""


def elements_of(group: Group) -> list[Any]:
    """Return the elements to try: all of a finite group, otherwise the identity and a few drawn with a fixed seed."""
    if isinstance(group, FiniteGroup):
        return list(range(group.order))
    return [group.identity, *group.sample(DRAWN, torch.Generator().manual_seed(0))]


def assert_action(action: Action, samples: Iterable[Any], *, tolerance: float | None = None) -> None:
    r"""Check on samples that an action is a left action, with one element for all samples and with one for each.

    $$e x = x, \qquad (gh) x = g (h x), \qquad g^{-1} (g x) = x = g (g^{-1} x)$$

    Floating tensors are compared up to `TOLERANCES`, everything else exactly. Of a continuous group, the identity and
    a few elements are tried, which are drawn with a fixed seed.

    Args:
        action (`Action`):
            The action.
        samples (`Iterable`):
            Batches of what the action acts on: tensors with one sample in each row, or lists, tuples and dictionaries
            of these. Anything else, such as a string, is one sample.
        tolerance (`float`, *optional*):
            The largest difference to accept between floating tensors, for actions that interpolate; by default that of
            their dtype in `TOLERANCES`.

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
        require = partial(_require, sample=x, tolerance=tolerance)
        require(action.apply(elements[0], x), x, f"the identity {shown_element(elements[0])} must not move a sample")
        _check_products(action, elements, x, require)
        _check_each(action, elements, x, require)


def _check_products(action: Action, elements: list[Any], x: Any, require: Callable[[Any, Any, str], None]) -> None:
    orbit = [action.apply(g, x) for g in elements]
    for i, g in enumerate(elements):
        g_ = shown_element(g)
        require(action.invert(g, orbit[i]), x, f"invert({g_}, apply({g_}, x)) must be x")
        require(action.apply(g, action.invert(g, x)), x, f"apply({g_}, invert({g_}, x)) must be x")
        for j, h in enumerate(elements):
            gh = action.group.compose(g, h)
            h_, gh_ = shown_element(h), shown_element(gh)
            equation = f"apply({g_}, apply({h_}, x)) must be apply({gh_}, x), as the product of the two is {gh_}"
            require(action.apply(g, orbit[j]), action.apply(gh, x), equation)


def _check_each(action: Action, elements: list[Any], x: Any, require: Callable[[Any, Any, str], None]) -> None:
    """Check that one element for each sample acts on each as it does on that sample alone."""
    count = _count(x)
    for start in range(len(elements) if count else 0):
        each = [elements[(start + row) % len(elements)] for row in range(count)]
        named = f"elements = [{', '.join(map(shown_element, each))}]"
        together = torch.stack(list(map(torch.as_tensor, each)))
        moved = action.apply(together, x)
        require(action.invert(together, moved), x, f"invert(elements, apply(elements, x)) must be x, with {named}")
        for row, g in enumerate(each):
            equation = f"with {named}, row {row} of apply(elements, x) must be apply({shown_element(g)}, x[{row}])"
            require(_row(moved, row), action.apply(g, _row(x, row)), equation)


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


def shown_element(g: Any) -> str:
    """Return how messages write an element: an index as it is, a matrix by its rows, to four decimals."""
    if not isinstance(g, torch.Tensor) or not g.dim():
        return str(g if not isinstance(g, torch.Tensor) else g.item())
    return str((g.double().round(decimals=4) + 0.0).tolist())


def _require(received: Any, required: Any, equation: str, sample: Any, tolerance: float | None) -> None:
    if not _same(received, required, tolerance):
        raise ActionError(
            f"Not an action: {equation}. For x = {sample!r} received {received!r}, required {required!r}."
        )


def _same(a: Any, b: Any, tolerance: float | None) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        limit = tolerance_of(a.dtype) if tolerance is None or not a.is_floating_point() else tolerance
        return torch.allclose(a, b, rtol=0.0, atol=limit) if limit else torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key], tolerance) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return (
            type(a) is type(b) and len(a) == len(b) and all(_same(*two, tolerance) for two in zip(a, b, strict=True))
        )
    return bool(a == b)

"""Checking an action by enumeration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch

from hf_equi.errors import ActionError
from hf_equi.groups import FiniteGroup
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["Action", "assert_action"]


class Action(Protocol):
    """What the kit needs of an action: a group, `apply(g, x)` and `invert(g, x)` for one element g."""

    @property
    def group(self) -> FiniteGroup:
        """The group that acts."""

    def apply(self, g: int, x: Any, /) -> Any:
        """Return g x."""

    def invert(self, g: int, x: Any, /) -> Any:
        """Return g⁻¹x."""


def assert_action(action: Action, samples: Iterable[Any]) -> None:
    r"""Check on samples that an action is a left action of its group.

    $$e x = x, \qquad (gh) x = g (h x), \qquad g^{-1} (g x) = x = g (g^{-1} x)$$

    Floating tensors are compared up to `TOLERANCES`, all else exactly.

    Args:
        action (`Action`):
            Any object with `group`, `apply(g, x)` and `invert(g, x)`.
        samples (`Iterable`):
            Strings, tensors, or whatever else the action acts on and `==` compares.

    Raises:
        ActionError: If an equation fails; the message gives elements and sample. Also if there is no sample.

    Example:
        ```python
        >>> from hf_equi import DemographicGroup, WordAction
        >>> assert_action(WordAction(DemographicGroup([["man", "woman"]])), ["The man, a Woman.", ""])

        ```
    """
    samples = list(samples)
    if not samples:
        raise ActionError("assert_action needs at least one sample: without any it would check nothing.")
    for x in samples:
        _require(action.apply(0, x), x, "the identity 0 must not move a sample", x)
        _check_products(action, x)


def _check_products(action: Action, x: Any) -> None:
    product = action.group.product.tolist()
    orbit = [action.apply(g, x) for g in range(len(product))]
    for g, row in enumerate(product):
        _require(action.invert(g, orbit[g]), x, f"invert({g}, apply({g}, x)) must be x", x)
        _require(action.apply(g, action.invert(g, x)), x, f"apply({g}, invert({g}, x)) must be x", x)
        for h, gh in enumerate(row):
            equation = f"apply({g}, apply({h}, x)) must be apply({gh}, x), as product[{g}, {h}] is {gh}"
            _require(action.apply(g, orbit[h]), orbit[gh], equation, x)


def _require(received: Any, required: Any, equation: str, sample: Any) -> None:
    if not _same(received, required):
        raise ActionError(f"No action: {equation}. For x = {sample!r} received {received!r}, required {required!r}.")


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

"""Check that a function says the pose of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from hf_equi.actions import Action, ColumnAction
from hf_equi.errors import EquivarianceError
from hf_equi.groups import FiniteGroup
from hf_equi.testing.equivariance import equivariance_error
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["assert_canonicalizer"]


def assert_canonicalizer(
    canonicalizer: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    action: Action,
    elements: Iterable[int] | None = None,
    *,
    tolerance: float | None = None,
) -> None:
    r"""Check that a canonicalizer of a finite group follows its inputs.

    $$ \text{scores}(gx)[gh] = \text{scores}(x)[h] \qquad\text{or}\qquad h(gx) = g\, h(x) $$

    Args:
        canonicalizer (`Callable`):
            A `hf_equi.canonicalization.Canonicalizer`, or any function from inputs `(B, ...)` to scores `(B, G)` or to
            elements `(B,)`. It must be deterministic, so without dropout.
        x (`torch.Tensor` of shape `(B, ...)`):
            Inputs without a symmetry of their own: a symmetric one has several canonical elements.
        action (`Action`):
            The group's action on inputs.
        elements (`Iterable[int]`, *optional*):
            The elements g to try; by default all.
        tolerance (`float`, *optional*):
            The largest difference of scores to accept; by default that of their dtype in `TOLERANCES`. For a rule that
            returns elements it is the largest share of inputs with a wrong element, by default 0.

    Raises:
        EquivarianceError: If an equation fails, or a score is NaN; the message names the worst element and by how much
            it fails. Also for a group that is not finite, or outputs of another shape.

    Example:
        ```python
        >>> from hf_equi import ImageGroup, PixelAction
        >>> from hf_equi.canonicalization import GroupConvolution
        >>> turns = ImageGroup.rotations(4)
        >>> assert_canonicalizer(GroupConvolution(turns).eval(), torch.rand(2, 3, 16, 16), PixelAction(turns))

        ```
    """
    group = action.group
    if not isinstance(group, FiniteGroup):
        raise EquivarianceError(f"{group!r} is not a finite group, so its elements cannot be scored.")
    function = getattr(canonicalizer, "scores", canonicalizer)
    tried = list(range(group.order) if elements is None else elements)
    with torch.no_grad():
        rule = _names_elements(found := function(x), len(x), group)
        errors = (_shares_wrong if rule else _differences)(function, x, action, tried)
    limit = tolerance_of(found.dtype) if tolerance is None else tolerance
    if bool((errors <= limit).all()):
        return
    worst = int(errors.nan_to_num(nan=torch.inf).argmax())
    g, error = tried[worst], float(errors[worst])
    said = f"scores(gx)[gh] and scores(x)[h] differ by up to {error:.3g}, but at most {limit:.3g} is allowed"
    said = f"h(gx) is not g h(x) for {error:.0%} of the inputs" if rule else said
    raise EquivarianceError(
        f"Not a canonicalizer of {group!r}: for element {g} ({group.names[g]}), {said}. Score every member of the "
        "orbit by one network instead (hf_equi.canonicalization.OrbitScorer), or switch off dropout."
    )


def _differences(function: Any, x: torch.Tensor, action: Action, elements: list[int]) -> torch.Tensor:
    """Return the largest difference of scores for each element. They move as the elements do when multiplied by g."""
    group = action.group
    return equivariance_error(function, x, action, ColumnAction(group, group.product), elements)


def _shares_wrong(function: Any, x: torch.Tensor, action: Action, elements: list[int]) -> torch.Tensor:
    """Return the share of inputs with a wrong element for each element."""
    found = function(x).cpu()
    wrong = [function(action.apply(g, x)).cpu() != action.group.product[g, found] for g in elements]
    return torch.stack(wrong).double().mean(1)


def _names_elements(found: Any, count: int, group: FiniteGroup) -> bool:
    """Return whether an output names elements; refuse what neither scores nor names them."""
    shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
    if shape == (count,) and not found.is_floating_point():
        return True
    if shape == (count, group.order) and found.is_floating_point():
        return False
    raise EquivarianceError(
        f"For {count} inputs a canonicalizer of {group!r} returns floating scores ({count}, {group.order}) or integer "
        f"elements ({count},); received {shape}."
    )

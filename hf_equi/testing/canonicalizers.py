"""Check that a function says the pose of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from hf_equi.actions import Action, ColumnAction
from hf_equi.errors import EquivarianceError, GroupError
from hf_equi.groups import ContinuousGroup, FiniteGroup
from hf_equi.testing.actions import elements_of, shown_element
from hf_equi.testing.equivariance import equivariance_error
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["assert_canonicalizer"]


def assert_canonicalizer(
    canonicalizer: Callable[[torch.Tensor], Any],
    x: torch.Tensor,
    action: Action,
    elements: Iterable[Any] | None = None,
    *,
    tolerance: float | None = None,
) -> None:
    r"""Check that a canonicalizer follows its inputs.

    $$ \text{scores}(gx)[gh] = \text{scores}(x)[h] \qquad\text{or}\qquad h(gx) = g\, h(x) $$

    Several elements are compared as a set with weights: by the weighted means of 16 functions of an element, cosines
    of random linear ones.

    Args:
        canonicalizer (`Callable`):
            A `hf_equi.canonicalization.Canonicalizer`, or any function. For a finite group it maps inputs `(B, ...)`
            to scores `(B, G)` or to elements `(B,)`. For a continuous group it maps them to elements `(B, n, n)`, or
            to a pair: several elements `(B, K, n, n)`, and their log-weights `(B, K)` or `None`. It must be
            deterministic, so without dropout.
        x (`torch.Tensor` of shape `(B, ...)`):
            Inputs without a symmetry of their own: a symmetric one has several canonical elements.
        action (`Action`):
            The group's action on inputs.
        elements (`Iterable`, *optional*):
            The elements g to try; by default all of a finite group, and a few of a continuous one, drawn with a fixed
            seed.
        tolerance (`float`, *optional*):
            The largest difference to accept, of scores or of numbers in matrices; by default that of their dtype in
            `TOLERANCES`. For a rule that returns elements of a finite group it is the largest share of inputs with a
            wrong element, by default 0.

    Raises:
        EquivarianceError: If an equation fails, or a number is NaN; the message names the worst element and by how
            much it fails. Also for matrices that are not in the group, for a group that is neither finite nor
            continuous, or outputs of another shape.

    Example:
        ```python
        >>> from hf_equi import ImageGroup, PixelAction
        >>> from hf_equi.canonicalization import GroupConvolution
        >>> turns = ImageGroup.rotations(4)
        >>> assert_canonicalizer(GroupConvolution(turns).eval(), torch.rand(2, 3, 16, 16), PixelAction(turns))

        ```
    """
    group = action.group
    if isinstance(group, FiniteGroup):
        failed = _failure(canonicalizer, x, action, elements, tolerance)
    elif isinstance(group, ContinuousGroup):
        failed = _failure_of_poses(canonicalizer, x, action, elements, tolerance)
    else:
        raise EquivarianceError(f"{group!r} is neither a finite nor a continuous group of this library.")
    if failed is not None:
        raise EquivarianceError(f"Not a canonicalizer of {group!r}: for element {failed}")


def _failure(
    canonicalizer: Any, x: torch.Tensor, action: Action, elements: Iterable[int] | None, tolerance: float | None
) -> str | None:
    """Return the worst element of a finite group, and what fails; `None` if nothing does."""
    group = action.group
    function = getattr(canonicalizer, "scores", canonicalizer)
    tried = list(range(group.order) if elements is None else elements)
    with torch.no_grad():
        rule = _names_elements(found := function(x), len(x), group)
        errors = (_shares_wrong if rule else _differences)(function, x, action, tried)
    limit = tolerance_of(found.dtype) if tolerance is None else tolerance
    if bool((errors <= limit).all()):
        return None
    worst = _worst(errors)
    g, error = tried[worst], float(errors[worst])
    said = f"scores(gx)[gh] and scores(x)[h] differ by up to {error:.3g}, but at most {limit:.3g} is allowed"
    said = f"h(gx) is not g h(x) for {error:.0%} of the inputs" if rule else said
    return (
        f"{g} ({group.names[g]}), {said}. Score every member of the orbit by one network instead "
        "(hf_equi.canonicalization.OrbitScorer), or switch off dropout."
    )


def _failure_of_poses(
    canonicalizer: Any, x: torch.Tensor, action: Action, elements: Iterable[Any] | None, tolerance: float | None
) -> str | None:
    """Return the worst element of a continuous group, and what fails; `None` if nothing does."""
    function = getattr(canonicalizer, "poses", canonicalizer)
    tried = elements_of(action.group) if elements is None else list(elements)
    with torch.no_grad():
        poses, log_weights = _read_poses(function(x), len(x), action.group)
        errors = []
        for g in tried:
            expected = action.group.compose(g.to(poses.dtype).to(poses.device), poses)
            moved = _read_poses(function(action.apply(g, x)), len(x), action.group)
            errors.append((_said(*moved) - _said(expected, log_weights)).abs().max().double().cpu())
    limit = tolerance_of(poses.dtype) if tolerance is None else tolerance
    if bool((torch.stack(errors) <= limit).all()):
        _check_elements(poses, action.group)
        return None
    worst = _worst(torch.stack(errors))
    several = " (sets with weights, compared by means)" if poses.shape[1] > 1 else ""
    return (
        f"g = {shown_element(tried[worst])}, h(gx) and g h(x){several} differ by up to {float(errors[worst]):.3g}, "
        f"but at most {limit:.3g} is allowed. Make h of vectors that turn with the input (hf_equi.canonicalization."
        "GramSchmidt), or switch off dropout."
    )


def _check_elements(poses: torch.Tensor, group: ContinuousGroup) -> None:
    """Refuse matrices that follow their inputs but are not in the group, such as scaled ones."""
    try:
        group.check(poses)
    except GroupError as error:
        raise EquivarianceError(f"Not a canonicalizer of {group!r}: it returns other matrices. {error}") from error


def _worst(errors: torch.Tensor) -> int:
    """Return the place of the largest error; NaN is the largest."""
    return int(errors.nan_to_num(nan=torch.inf).argmax())


def _read_poses(found: Any, count: int, group: ContinuousGroup) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return elements `(B, K, n, n)` and their log-weights; refuse what is neither of the two forms."""
    poses, log_weights = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    shape = tuple(poses.shape) if isinstance(poses, torch.Tensor) else type(poses).__name__
    single, side = isinstance(poses, torch.Tensor) and poses.dim() == 3, group.side
    fits = len(shape) == 4 - single and shape[0] == count and shape[-2:] == (side, side)
    if not fits or not poses.is_floating_point() or (log_weights is not None and log_weights.shape != shape[:2]):
        raise EquivarianceError(
            f"For {count} inputs a canonicalizer of {group!r} returns floating elements ({count}, {side}, {side}), or "
            f"({count}, K, {side}, {side}) and log-weights ({count}, K); received {shape}."
        )
    return (poses.unsqueeze(1) if single else poses), log_weights


def _said(poses: torch.Tensor, log_weights: torch.Tensor | None) -> torch.Tensor:
    """Return numbers that differ if elements `(B, K, n, n)` do, as a set with weights."""
    if poses.shape[1] == 1:
        return poses
    noise, size = torch.Generator().manual_seed(0), poses.shape[2] * poses.shape[3]
    directions = torch.randn(size, 16, generator=noise, device="cpu")
    phases = torch.rand(16, generator=noise, device="cpu") * (2 * torch.pi)
    waves = (poses.flatten(2) @ directions.to(poses) + phases.to(poses)).cos()  # (B, K, 16)
    shares = torch.full_like(waves[..., 0], 1 / poses.shape[1]) if log_weights is None else log_weights.softmax(1)
    return (shares.unsqueeze(-1) * waves).sum(1)


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

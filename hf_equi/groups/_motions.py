"""Matrices that keep distances, and what can be wrong with them."""

from __future__ import annotations

import torch

from hf_equi.errors import GroupError
from hf_equi.groups.rotations import multiply

__all__ = ["first_fault", "first_index", "has_values", "homogeneous", "name_of", "require_floats"]

_TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-6}
"""How far an entry of R Rᵀ may be from that of 1. The second admits matrices that were converted from float32."""


def homogeneous(linear: torch.Tensor, translation: torch.Tensor) -> torch.Tensor:
    """Return the matrices (R, t; 0, 1), `(..., d + 1, d + 1)`, of R `(..., d, d)` and t `(..., d)`."""
    zero, one = torch.zeros_like(translation), torch.ones_like(translation[..., :1])
    upper = torch.cat([linear, translation.unsqueeze(-1)], -1)
    return torch.cat([upper, torch.cat([zero, one], -1).unsqueeze(-2)], -2)


def require_floats(what: str, values: object) -> None:
    """Refuse anything but a tensor of single or double precision; `what` names it in the message."""
    if isinstance(values, torch.Tensor) and values.dtype in _TOLERANCES:
        return
    if not isinstance(values, torch.Tensor):
        raise GroupError(f"{what} of a continuous group is a tensor, float32 or float64; received {values!r}.")
    raise GroupError(
        f"{what} of a continuous group is float32 or float64; received {values.dtype}. Half precision holds a "
        "rotation to two or three digits only: convert the numbers that it is made from, for example with x.float()."
    )


@torch.no_grad()
def first_fault(elements: torch.Tensor, linear: torch.Tensor, mirrors: bool) -> tuple[int, str] | None:
    """Return the first of some matrices that does not keep distances, and why; `None` if all do.

    Args:
        elements: `(..., side, side)` the matrices, homogeneous if they are larger than R.
        linear: `(..., d, d)` their linear parts R.
        mirrors: Whether R may mirror.
    """
    d, limit = linear.shape[-1], _TOLERANCES[elements.dtype]
    if (index := first_index(~elements.isfinite().all(-1).all(-1))) is not None:
        return index, "it holds NaN or infinity."
    apart = (multiply(linear, linear.mT) - torch.eye(d, dtype=linear.dtype, device=linear.device)).abs().amax((-2, -1))
    if (index := first_index(apart > limit)) is not None:
        worst = float(apart.flatten()[index])
        return (
            index,
            f"R Rᵀ differs from the identity by {worst:.2g}. Orthonormalise R, for example by torch.linalg.qr.",
        )
    if not mirrors and (index := first_index(torch.linalg.det(linear) < 0)) is not None:
        return index, "its determinant is -1, so it mirrors. Use a group with mirrors, or change the sign of a column."
    bottom = torch.eye(elements.shape[-1], dtype=linear.dtype, device=linear.device)[-1]
    odd = (elements[..., -1, :] - bottom).abs().amax(-1) > limit
    if elements.shape[-1] > d and (index := first_index(odd)) is not None:
        return index, "the last row of a homogeneous matrix is 0, ..., 0, 1, and its is not."
    return None


def has_values(elements: torch.Tensor) -> bool:
    """Return whether there is anything to check: not on the meta device, nor while a graph is traced."""
    return bool(elements.numel()) and not torch.compiler.is_compiling() and not elements.is_meta


def first_index(wrong: torch.Tensor) -> int | None:
    """Return the first place that is true, in a flattened tensor."""
    return int(wrong.flatten().long().argmax()) if bool(wrong.any()) else None


def name_of(index: int, linear: torch.Tensor) -> str:
    """Return how a message calls one of some matrices."""
    return f"Element {index} of {linear[..., 0, 0].numel()}" if linear.dim() > 2 else "The element"

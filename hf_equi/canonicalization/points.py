"""Clouds of points, as canonicalizers read them."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2Z, ContinuousGroup

__all__ = ["check_group", "read_points"]


def check_group(group: Any, what: str, *, translates: bool = False) -> None:
    """Refuse a group of which a canonicalizer finds no elements.

    Args:
        group: The group.
        what: The name of the canonicalizer.
        translates: Whether the group has to translate; if not, it must not.

    Raises:
        ConfigurationError: For a group that is not continuous, and for one with too few or too many motions.
    """
    if not isinstance(group, ContinuousGroup):
        raise ConfigurationError(
            f"A {what} finds elements of continuous groups, but {group!r} is not one: use SO2(), O2(), SO3() or O3()"
        )
    if isinstance(group, SO2Z):
        raise ConfigurationError(
            f"A {what} finds elements that turn about any axis, but those of {group!r} turn about z: use "
            "AboutAxis(VectorNeurons(SO2())), which reads what is seen from above"
        )
    if group.translates != translates:
        advice = (
            f"use {what} itself without a centre"
            if translates
            else f"use Composed(group, {what}(...)), which takes the centre away first"
        )
        raise ConfigurationError(
            f"{group!r} {'translates' if group.translates else 'does not translate'}, but a {what} finds elements of "
            f"groups that {'do' if translates else 'do not'}: {advice}"
        )


def read_points(
    x: torch.Tensor, mask: torch.Tensor | None, dimension: int, what: str = "points"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return points in float32 at least, with zeros where they are padded, and which there are.

    Args:
        x: `(B, N, n)`.
        mask: `(B, N)`, 0 where points are padded; `None` for no padding.
        dimension: n.
        what: The points in words, for messages.

    Returns:
        `(B, N, n)`, and `(B, N)` bool.

    Raises:
        ConfigurationError: For another shape, a mask of another shape, a cloud without points, or NaN. The message
            names the sample.
    """
    if x.dim() != 3 or x.shape[2] != dimension or not x.shape[1] or not x.is_floating_point():
        raise ConfigurationError(
            f"The canonicalizer reads {what}, (batch, {what}, {dimension}) floating numbers; received {x.dtype} of "
            f"the shape {tuple(x.shape)}"
        )
    if mask is None:
        kept = torch.ones_like(x[..., 0], dtype=torch.bool)
    elif mask.shape != x.shape[:2]:
        raise ConfigurationError(
            f"mask= says which {what} there are, {tuple(x.shape[:2])}; received the shape {tuple(mask.shape)}"
        )
    else:
        kept = mask.to(x.device) > 0
    wide = torch.where(kept.unsqueeze(-1), x, 0).to(torch.promote_types(x.dtype, torch.float32))
    if not torch.compiler.is_compiling() and not x.is_meta:
        for wrong, why in (
            (~kept.any(1), f"has no {what}"),
            (~wide.isfinite().all(2).all(1), "holds NaN or infinity"),
        ):
            if bool(wrong.any()):
                raise ConfigurationError(
                    f"Sample {int(wrong.int().argmax())} {why}, so it has no canonical member: leave it out"
                )
    return wide, kept

"""A fixed rule for a continuous group: any function from inputs to elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hf_equi.canonicalization.continuous import ContinuousCanonicalizer
from hf_equi.canonicalization.fixed_rule import A_RULE
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup

__all__ = ["FixedPose"]


class FixedPose(ContinuousCanonicalizer):
    r"""A rule h of a continuous group that somebody has written, without weights: what `FixedRule` is for finite ones.

    $$ h(gx) = g\, h(x) $$

    The rule must satisfy this equation. Models check it on a few random inputs when they are made, as
    `hf_equi.testing.assert_canonicalizer` does. A config does not store code, so whoever loads the symmetrised model
    passes the rule again.

    Args:
        rule: From inputs `(B, ...)`, and the mask if there is one, to the element of each, `(B, n, n)`: the one that
            takes the canonical member to the input. Gradients flow through it.
        group: The group.

    Raises:
        ConfigurationError: If the rule cannot be called, or the group is not continuous.

    Example:
        >>> from hf_equi.groups import SO2
        >>> def brighter_side(x):
        ...     half = x.shape[-1] // 2
        ...     right = x[..., -half:].mean((1, 2, 3)) - x[..., :half].mean((1, 2, 3))
        ...     above = x[..., :half, :].mean((1, 2, 3)) - x[..., -half:, :].mean((1, 2, 3))
        ...     return SO2().exp(torch.atan2(above, right).unsqueeze(-1))
        >>> image = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
        >>> elements, _ = FixedPose(brighter_side, SO2()).poses(image.rot90(1, (2, 3)))
        >>> SO2().log(elements).rad2deg()
        tensor([[[90.]]])
    """

    learns = False
    limit = A_RULE

    def __init__(self, rule: Callable[..., torch.Tensor], group: ContinuousGroup) -> None:
        if not callable(rule):
            raise ConfigurationError(f"canonicalizer={rule!r} cannot be called: pass a function of inputs, (B, ...)")
        if not isinstance(group, ContinuousGroup):
            raise ConfigurationError(
                f"{group!r} is not a continuous group: a rule that returns indices is a FixedRule"
            )
        super().__init__()
        self.rule = rule
        self.group = group

    @property
    def cost(self) -> str:
        """That of the rule."""
        return "the rule of the canonicalizer"

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        """Return the element of each input, `(B, 1, n, n)`, and no weights.

        Raises:
            ConfigurationError: If the rule does not return one matrix for each input.
        """
        found: Any = self.rule(x) if mask is None else self.rule(x, mask)
        wanted = (x.shape[0], self.group.side, self.group.side)
        if not isinstance(found, torch.Tensor) or tuple(found.shape) != wanted or not found.is_floating_point():
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ConfigurationError(
                f"A canonicalizer of {self.group!r} returns the element of each input, {wanted} floating numbers; "
                f"received {shape}"
            )
        return found.to(torch.promote_types(found.dtype, torch.float32)).unsqueeze(1), None

    def extra_repr(self) -> str:
        """Return the group."""
        return repr(self.group)

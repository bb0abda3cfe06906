"""A fixed rule as a canonicalizer: any function from inputs to elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hf_equi.canonicalization.finite import FiniteCanonicalizer
from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup

__all__ = ["A_RULE", "FixedRule"]

A_RULE = (
    "**A rule.** The symmetry is as exact as the rule that finds the pose. It was tried on random inputs, with "
    "elements that do not resample."
)
"""The limit of what a rule says, for a card."""


class FixedRule(FiniteCanonicalizer):
    r"""A rule h that somebody has written, without weights.

    $$ h(gx) = g\, h(x) $$

    The rule must satisfy this equation. Models check it on a few random inputs when they are made, as
    `hf_equi.testing.assert_canonicalizer` does. A config does not store code, so whoever loads the symmetrised model
    passes the rule again.

    Args:
        rule: From inputs `(B, ...)` to the element of each, `(B,)` int64: the one that takes the canonical member to
            the input.
        group: The group.

    Raises:
        ConfigurationError: If the rule cannot be called, or the group is not finite.

    Example:
        >>> from hf_equi import ImageGroup
        >>> def darker_half(x):
        ...     left, right = x.tensor_split(2, -1) if x.shape[-1] % 2 == 0 else (x[..., :-1], x[..., 1:])
        ...     return (left.mean((1, 2, 3)) > right.mean((1, 2, 3))).long()
        >>> rule, image = FixedRule(darker_half, ImageGroup.flips("horizontal")), torch.arange(4.0).view(1, 1, 1, 4)
        >>> rule.scores(image), rule.scores(image.flip(-1))
        (tensor([[1., 0.]]), tensor([[0., 1.]]))
    """

    learns = False
    limit = A_RULE

    def __init__(self, rule: Callable[[torch.Tensor], torch.Tensor], group: Any) -> None:
        if not callable(rule):
            raise ConfigurationError(f"canonicalizer={rule!r} cannot be called: pass a function of inputs, (B, ...)")
        if not isinstance(group, FiniteGroup):
            raise ConfigurationError(f"{group!r} is not a finite group: a rule that returns matrices is a FixedPose")
        super().__init__()
        self.rule = rule
        self.group = group

    @property
    def cost(self) -> str:
        """That of the rule."""
        return "the rule of the canonicalizer"

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return 1 for the element of each input and 0 for all others, `(B, G)`.

        Raises:
            ConfigurationError: If the rule does not return one element for each input.
        """
        found: Any = self.rule(x)
        order = self.group.order
        fits = isinstance(found, torch.Tensor) and found.shape == x.shape[:1] and not found.is_floating_point()
        fits = fits and found.dtype != torch.bool
        if not fits or (not torch.compiler.is_exporting() and bool(((found < 0) | (found >= order)).any())):
            raise ConfigurationError(
                f"A canonicalizer returns the element of each input, ({x.shape[0]},) integers from 0 to {order - 1}; "
                f"received {found!r}"
            )
        every = torch.arange(order, device=found.device)
        scores: torch.Tensor = (found[:, None] == every).to(torch.get_default_dtype())
        return scores

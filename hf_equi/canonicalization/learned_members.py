"""The part of a method that selects the canonical member of an orbit, moved by each element of a finite set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hf_equi.canonicalization.learned_member import LearnedMember
from hf_equi.canonicalization.theta import plain_theta, read_theta

__all__ = ["LearnedMembers"]


class LearnedMembers(LearnedMember):
    r"""The members $θ h(x)^{-1}x$ for θ in a finite set Θ: the canonical member, moved by each of its elements.

    As a set they are the same for x and gx, because $θ h(gx)^{-1} gx = θ h(x)^{-1} x$. So Θ need not be a subgroup.

    Args:
        theta: Θ, as in `read_theta`.
        canonicalizer: As in `LearnedMember`.
        temperature: As in `LearnedMember`. The gradient of the choice reaches every member alike: the base reads
            $θh(x)^{-1}x + \sum_h \big(p(h \mid x) - p(h \mid x)_{\text{detached}}\big)\, θh^{-1}x$.
        relaxation: As in `LearnedMember`.
        prior_weight: As in `LearnedMember`.

    Raises:
        ConfigurationError: As in `LearnedMember`. Θ is checked once the group is known.

    Example:
        >>> from hf_equi import ImageGroup, PixelAction
        >>> from hf_equi.canonicalization import FixedRule
        >>> turns = ImageGroup.rotations(4)
        >>> rule = FixedRule(lambda x: torch.ones(len(x), dtype=torch.long), turns)
        >>> part = LearnedMembers(["0°", "180°"]).with_network(rule)
        >>> part(PixelAction(turns), torch.zeros(1, 3, 4, 4)).elements  # 270°, and 180° after it
        tensor([[3, 1]])
    """

    selects_one = False

    def __init__(
        self,
        theta: Any,
        canonicalizer: Mapping[str, Any] | None = None,
        temperature: float = 1.0,
        relaxation: str = "straight_through",
        prior_weight: float = 100.0,
    ) -> None:
        super().__init__(canonicalizer, temperature, relaxation, prior_weight)
        self.theta = plain_theta(theta)

    def theta_in(self, group: Any) -> torch.Tensor:
        """Return Θ.

        Raises:
            ConfigurationError: As in `read_theta`.
        """
        return read_theta(self.theta, group)

    def create_network(self, group: Any, shape: tuple[int, ...] | None) -> nn.Module:
        """Make the described canonicalizer, with new weights, once Θ is checked.

        Args:
            group: The group.
            shape: The shape of one input.

        Raises:
            ConfigurationError: As in `read_theta` and `read_canonicalizer`.
        """
        self.theta_in(group)
        return super().create_network(group, shape)

"""The part of a method that selects the canonical member of an orbit, and passes gradients to what chose it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hf_equi.canonicalization.base import (
    TYPE,
    Canonicalizer,
    Pose,
    Relaxation,
    canonicalizer_kinds,
    described_learns,
    read_canonicalizer,
)
from hf_equi.checks import check_between, check_choice, check_weight
from hf_equi.groups import ContinuousGroup
from hf_equi.symmetrizers import OneMember, Selection
from hf_equi.symmetrizers.select import Asked

__all__ = ["PENALTY", "RELAXATIONS", "LearnedMember"]

PENALTY = "penalty"
"""The name under which a selection says its penalty, also where none is added to a loss."""

RELAXATIONS = ("straight_through", "gumbel")


class LearnedMember(OneMember):
    r"""The canonical member $h(x)^{-1}x$, by a canonicalizer that the model holds.

    $$ p(h \mid x) = \text{softmax}(\text{scores}(x) / \tau)[h], \qquad h(x) = \arg\max_h \text{scores}(x)[h] $$

    That is for a finite group. The base reads
    $h(x)^{-1}x + \sum_h \big(p(h \mid x) - p(h \mid x)_{\text{detached}}\big)\, h^{-1}x$. The sum is zero, so values
    are those of the canonical member, and gradients those of p (straight-through). With `"gumbel"`, noise is added to
    the scores while they are trained. For a continuous group, gradients flow through h(x) itself. If the
    group's action resamples, a canonicalizer that trains reads randomly turned copies (`turned_copies`).

    Args:
        canonicalizer: The description of the canonicalizer; by default a `GroupConvolution`, or a `CircularHarmonic`
            for a continuous group.
        temperature: τ: the higher it is, the more members a gradient reaches.
        relaxation: `"straight_through"` or `"gumbel"`.
        prior_weight: The weight of the prior in the loss: `identity_prior`, or `distance_prior` for a continuous
            group.

    Raises:
        ConfigurationError: For an unknown kind of canonicalizer or relaxation, a temperature that is not above 0, or a
            negative weight.
    """

    def __init__(
        self,
        canonicalizer: Mapping[str, Any] | None = None,
        temperature: float = 1.0,
        relaxation: str = "straight_through",
        prior_weight: float = 100.0,
    ) -> None:
        if canonicalizer is not None:
            check_choice("type", canonicalizer.get(TYPE), (*canonicalizer_kinds(), None), " to canonicalizers")
        self.description = canonicalizer
        check_between("temperature", temperature)
        check_choice("relaxation", relaxation, RELAXATIONS)
        check_weight("prior_weight", prior_weight)
        self.temperature = temperature
        self.relaxation = relaxation
        self.prior_weight = prior_weight

    @property
    def relaxed(self) -> Relaxation:
        """How the choice of an element passes gradients."""
        return Relaxation(self.temperature, noise=self.relaxation == "gumbel")

    def create_network(self, group: Any, shape: tuple[int, ...] | None) -> nn.Module:
        """Make the described canonicalizer, with new weights.

        Args:
            group: The group.
            shape: The shape of one input.

        Raises:
            ConfigurationError: As in `read_canonicalizer`.
        """
        default = "circular_harmonic" if isinstance(group, ContinuousGroup) else "group_convolution"
        return read_canonicalizer({TYPE: default} if self.description is None else self.description, group, shape)

    @property
    def needs_training(self) -> bool:
        """Whether the canonicalizer must be trained; until then its canonical pose means nothing."""
        if isinstance(self.network, Canonicalizer):
            return self.network.learns
        return self.description is None or described_learns(self.description)

    def element(self, asked: Asked) -> torch.Tensor:
        """Return $h(x)^{-1}$ for each sample, `(B,)`."""
        element: torch.Tensor = self.members(asked).elements[:, 0]
        return element

    def members(self, asked: Asked) -> Selection:
        """Select the canonical member of each sample; several, with weights, if the canonicalizer names several poses.

        Raises:
            ConfigurationError: If the canonicalizer names no element.
        """
        pose = self.network.find(asked, self.relaxed)
        theta = self.theta_in(asked.action.group)
        elements, passing = self._of_pose(asked.action.group, pose, theta)
        log_weights = None if pose.log_weights is None else pose.log_weights.repeat(1, len(theta))  # (B, T K)
        penalty = self.prior_weight * pose.prior
        penalty = penalty if pose.loss is None else penalty + pose.loss
        said = {**pose.said, "prior_loss": pose.prior.detach(), PENALTY: penalty.detach()}
        learns = penalty.requires_grad and torch.is_grad_enabled() and (self.prior_weight or pose.loss is not None)
        return Selection(elements, penalty if learns else None, passing, said, log_weights)

    def theta_in(self, group: Any) -> torch.Tensor:
        """Return Θ, by whose elements the canonical member is moved before the base reads it: here the identity alone.

        Args:
            group: The group.

        Returns:
            `(T,)` int64, or `(T, n, n)` for a continuous group.
        """
        return torch.as_tensor(group.identity, device="cpu")[None]

    def _of_pose(self, group: Any, pose: Pose, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the elements θh(x)⁻¹ that take inputs to what the base reads, and the weights that pass gradients."""
        inverses = group.inverse(pose.elements)  # (B, K) or (B, K, n, n)
        theta = theta.to(inverses)
        elements = group.compose(theta[:, None], inverses[:, None]).flatten(1, 2)  # (B, T K) or (B, T K, n, n)
        if pose.shares is None or not (pose.shares.requires_grad and torch.is_grad_enabled()):
            return elements, None
        every = torch.arange(group.order, device=elements.device)
        # The member gx is θh⁻¹x for h = g⁻¹θ.
        shares = pose.shares[:, group.compose(group.inverse(every), theta[:, None])]  # (B, T, G)
        return elements, shares - shares.detach()

"""The part of a method that selects the canonical member of an orbit, and passes gradients to what chose it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from hf_equi.canonicalization.base import TYPE, Canonicalizer, canonicalizer_kinds, read_canonicalizer
from hf_equi.canonicalization.turned_scores import scores_of
from hf_equi.checks import check_between, check_choice, check_weight
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import OneMember, Selection
from hf_equi.symmetrizers.select import Asked

__all__ = ["DEFAULT", "RELAXATIONS", "LearnedMember", "best_element", "identity_prior"]

RELAXATIONS = ("straight_through", "gumbel")
DEFAULT = {TYPE: "group_convolution"}
"""The description of the canonicalizer that is used if none is given."""


class LearnedMember(OneMember):
    r"""The canonical member $h(x)^{-1}x$, by a canonicalizer that the model holds.

    $$ p(h \mid x) = \text{softmax}(\text{scores}(x) / \tau)[h], \qquad h(x) = \arg\max_h \text{scores}(x)[h] $$

    The base reads $h(x)^{-1}x + \sum_h \big(p(h \mid x) - p(h \mid x)_{\text{detached}}\big)\, h^{-1}x$. The sum is
    zero, so values are those of the canonical member, and gradients those of p (straight-through). With `"gumbel"`,
    noise is added to the scores in training, and in training only. If the group's action resamples, a canonicalizer
    that trains scores randomly turned copies, and its scores are turned back (`turned_scores`).

    Args:
        canonicalizer: The description of the canonicalizer.
        temperature: τ: the higher it is, the more members a gradient reaches.
        relaxation: `"straight_through"` or `"gumbel"`.
        prior_weight: The weight of the prior in the loss: the cross-entropy of the scores to the identity.

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
        self.description = DEFAULT if canonicalizer is None else canonicalizer
        check_choice("type", self.description.get(TYPE), (*canonicalizer_kinds(), None), " to canonicalizers")
        check_between("temperature", temperature)
        check_choice("relaxation", relaxation, RELAXATIONS)
        check_weight("prior_weight", prior_weight)
        self.temperature = temperature
        self.relaxation = relaxation
        self.prior_weight = prior_weight

    def create_network(self, group: Any, shape: tuple[int, ...] | None) -> nn.Module:
        """Make the described canonicalizer, with new weights.

        Args:
            group: The group.
            shape: The shape of one input.

        Raises:
            ConfigurationError: As in `read_canonicalizer`.
        """
        return read_canonicalizer(self.description, group, shape)

    @property
    def needs_training(self) -> bool:
        """Whether the canonicalizer has no effect before it is trained."""
        if isinstance(self.network, Canonicalizer):
            return self.network.learns
        return self.description.get(TYPE) != "model_energy"

    def element(self, asked: Asked) -> torch.Tensor:
        """Return $h(x)^{-1}$ for each sample, `(B,)`."""
        element: torch.Tensor = self.members(asked).elements[:, 0]
        return element

    def members(self, asked: Asked) -> Selection:
        """Select the canonical member of each sample, `(B, 1)`.

        Raises:
            ConfigurationError: For scores of another shape than `(B, G)`, or that are NaN.
        """
        scores, loss = scores_of(self.network, asked)
        _check_scores(scores, asked)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        ranked = scores
        if self.relaxation == "gumbel" and self.network.training:
            ranked = scores - torch.empty_like(scores).exponential_().log()
        pose = best_element(ranked.detach(), asked.action, asked.x)
        inverses = asked.action.group.inverse(torch.arange(asked.action.group.order, device="cpu")).to(pose.device)
        prior = identity_prior(scores)
        two = ranked.detach().topk(min(2, scores.shape[1]), 1).values
        said = {"canonical_element": pose, "margin": two[:, 0] - two[:, -1], "prior_loss": prior.detach()}
        if not (scores.requires_grad and torch.is_grad_enabled()):
            return Selection(inverses[pose][:, None], said=said)
        shares = (ranked / self.temperature).softmax(1)[:, inverses]  # (B, G): of the members gx
        penalty = self.prior_weight * prior
        penalty = penalty if loss is None else penalty + loss
        return Selection(inverses[pose][:, None], penalty, shares - shares.detach(), said)


def identity_prior(scores: torch.Tensor) -> torch.Tensor:
    r"""Return the cross-entropy of scores to the identity: training inputs are taken to be in canonical pose.

    $$ -\log \text{softmax}(\text{scores}(x))[e] $$

    Args:
        scores: `(B, G)`.

    Returns:
        `(B,)`.

    References:
        arXiv 2310.01647, equation 5: the divergence from a prior that is certain of the identity.

    Example:
        >>> identity_prior(torch.zeros(1, 4)).exp()
        tensor([4.])
    """
    return cross_entropy(scores, torch.zeros_like(scores[:, 0], dtype=torch.long), reduction="none")


def best_element(scores: torch.Tensor, action: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the element with the largest score, `(B,)`; of equal scores, the one with the smallest canonical member.

    So x and gx have the same canonical member, ties or not. If x is symmetric, several elements lead to one member.
    In a graph that is exported, the first of equal scores is taken.

    Args:
        scores: `(B, G)`.
        action: The group's action.
        x: `(B, ...)` the samples.
    """
    best = scores.amax(1, keepdim=True)
    tied = scores == best
    if torch.compiler.is_exporting() or not bool((tied.sum(1) > 1).any()):
        return scores.argmax(1)
    keys: torch.Tensor = action.keys(x)
    inverses = action.group.inverse(torch.arange(action.group.order, device="cpu")).to(keys.device)
    return keys[:, inverses].masked_fill(~tied, torch.iinfo(keys.dtype).max).argmin(1)


def _check_scores(scores: Any, asked: Asked) -> None:
    """Refuse scores that name no element."""
    wanted = (asked.x.shape[0], asked.action.group.order)
    if tuple(scores.shape) != wanted:
        raise ConfigurationError(
            f"The canonicalizer returned scores of the shape {tuple(scores.shape)}; they must have one for each image "
            f"and element, {wanted}"
        )
    if not torch.compiler.is_exporting() and bool((lost := scores.isnan().any(1)).any()):
        raise ConfigurationError(
            f"The canonicalizer's scores of sample {int(lost.int().argmax())} are NaN, so it has no canonical member. "
            "Look for NaN in the input or in the weights; training may have diverged."
        )

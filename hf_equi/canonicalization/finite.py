"""Canonicalizers of finite groups: they score the elements, and the best one is taken."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from hf_equi.canonicalization.base import Canonicalizer, Pose, Relaxation
from hf_equi.canonicalization.turned_copies import scores_of
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Asked

__all__ = ["FiniteCanonicalizer", "best_element", "identity_prior"]


class FiniteCanonicalizer(Canonicalizer):
    r"""A module that scores the elements of a finite group for each input.

    $$ \text{scores}(gx)[h] = \text{scores}(x)[g^{-1}h], \qquad h(x) = \arg\max_h \text{scores}(x)[h],
    \qquad h(gx) = g\, h(x) $$

    A subclass sets `group` and defines `scores`; `hf_equi.testing.assert_canonicalizer` checks it.

    Example:
        >>> from hf_equi import ImageGroup
        >>> class BrightSide(FiniteCanonicalizer):
        ...     "Turns images so that the brightest half is on top."
        ...     group = ImageGroup.rotations(4)
        ...
        ...     def scores(self, x):
        ...         half = x.shape[-1] // 2
        ...         top, left = x[..., :half, :], x[..., :half]
        ...         bottom, right = x[..., -half:, :], x[..., -half:]
        ...         return torch.stack([part.mean((1, 2, 3)) for part in (top, left, bottom, right)], 1)
        >>> image = torch.zeros(1, 3, 4, 4)
        >>> image[..., 0, :] = 1
        >>> [int(BrightSide().scores(x).argmax()) for x in (image, image.rot90(1, (2, 3)))]
        [0, 1]
    """

    limit = (
        "**A choice.** The symmetry is exact unless the two best scores of the canonicalizer are equal, to within "
        "rounding. The output holds the margin between the two."
    )

    @abstractmethod
    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Score the elements for each input.

        Args:
            x: `(B, ...)` inputs.

        Returns:
            `(B, G)` floating scores; the largest is that of h(x).
        """

    def forward(self, x: torch.Tensor, base: Any = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the scores, and a loss of its own for each input, `(B,)`; `None` for none.

        Args:
            x: `(B, ...)` inputs.
            base: The model that reads the canonical members, for a canonicalizer that asks it.
        """
        return self.scores(x), None

    def find(self, asked: Asked, relaxation: Relaxation) -> Pose:
        """Find the element with the best score, and the softmax whose gradient stands for that of the choice.

        Raises:
            ActionError: If the group does not act on such inputs.
            ConfigurationError: For scores of another shape than `(B, G)`, or if the best one is NaN or infinite.
        """
        scores, loss = scores_of(self, asked)
        _check_scores(scores, asked)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        ranked = scores
        if relaxation.noise and self.training and scores.requires_grad:  # else nothing learns by it
            ranked = scores - torch.empty_like(scores).exponential_().log()
        best = best_element(ranked.detach(), asked.action, asked.x)
        two = ranked.detach().topk(min(2, scores.shape[1]), 1).values
        said = {
            "canonical_element": best,
            "margin": two[:, 0] - two[:, -1],
            "identity_share": (best == 0).to(scores.dtype),
        }
        shares = (ranked / relaxation.temperature).softmax(1)
        return Pose(best[:, None], identity_prior(scores), loss=loss, shares=shares, said=said)


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
    if not torch.compiler.is_exporting() and bool((lost := ~scores.amax(1).isfinite()).any()):  # amax passes NaN on
        raise ConfigurationError(
            f"The canonicalizer's scores of sample {int(lost.int().argmax())} are NaN or infinite, so it has no "
            "canonical member. Look for NaN in the input or in the weights; training may have diverged."
        )

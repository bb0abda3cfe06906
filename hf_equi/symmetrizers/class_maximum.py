"""The class-wise maximum: equizero as the authors' code has it for images."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from hf_equi.symmetrizers.base import Symmetrizer

__all__ = ["ClassMaximum"]


class ClassMaximum(Symmetrizer):
    r"""Give each class the score of the member that finds it likeliest.

    $$ s_c = \max_{g} \log p_g(c), \qquad p_g = g^{-1} M(gx) $$

    The best class is that of the member with the largest probability, so top-1 is that of `Equizero` with
    `MaxProbability`. The classes behind it may come from other members, so top-5 is not. It is no law: the
    probabilities add up to more than 1 as soon as two members differ. A fold with `normalised=False` gives the scores
    above, and one that renormalises them keeps their order.

    Its gradient goes to the member that has the maximum. Where two members have it they share the gradient in halves,
    of which a third takes half in its turn. Weights of members are not read, as none of them are averaged.

    Cost: one base forward a distinct member of the orbit, at most |G|.

    References:
        The equizero of images in the code of arXiv 2305.09900; its equation 2 takes one member as a whole.

    Example:
        >>> first, second = torch.tensor([0.5, 0.3, 0.2]).log(), torch.tensor([0.1, 0.2, 0.7]).log()
        >>> ClassMaximum().accumulate(ClassMaximum().accumulate(None, first, 0.0), second, 0.0).exp()
        tensor([0.5000, 0.3000, 0.7000])
    """

    name = "equizero"
    takes_one = True
    selection: ClassVar[str] = "class"
    """What has a maximum of its own: each class, and not a member as a whole."""

    # Logits of two members compare only once each row has its normaliser.
    takes_logits = False
    empty = -math.inf

    def accumulate(
        self, total: torch.Tensor | None, scores: torch.Tensor, log_weight: torch.Tensor | float
    ) -> torch.Tensor:
        """The larger score of each class; the weight is not read."""
        return scores if total is None else torch.maximum(total, scores)

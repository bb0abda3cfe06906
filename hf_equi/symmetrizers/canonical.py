"""Canonicalization: one element given by a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hf_equi.symmetrizers.base import Draws
from hf_equi.symmetrizers.equitune import Equitune

if TYPE_CHECKING:
    from hf_equi.actions import TokenAction

__all__ = ["Canonical"]


class Canonical(Equitune):
    r"""Decode the representative of the prompt's orbit and map the text back.

    $$ M_G(x) = k(x)^{-1} M(k(x) x) $$

    k(x) is the first element that takes the prompt to the smallest member of its orbit, compared token by token.
    Components of g that fix the prompt are not symmetrised: a prompt that names no demographic is decoded as the base
    model decodes it.

    Cost: 1 base forward.

    Example:
        >>> from hf_equi.actions.tokens import TokenAction, TokenMap
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["he", "she"]]), TokenMap(vocab_size=3, sets=(((1, 2),),)))
        >>> Canonical().draw(action, torch.tensor([[0, 1], [0, 2]]), None, Draws())
        tensor([[0],
                [1]])

    References:
        arXiv 2211.06489, with a fixed rule in the place of the learned network.
    """

    name = "canonical"
    one_row = True
    relaxable = False

    def __init__(self) -> None:
        super().__init__("logits")

    def draw(self, action: TokenAction, prompt: torch.Tensor, mask: torch.Tensor | None, draws: Draws) -> torch.Tensor:
        """k(x) of each prompt, `(B, 1)`."""
        return action.canonical_element(prompt, mask)[:, None]

"""The identity: the base model as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hf_equi.symmetrizers.base import Draws
from hf_equi.symmetrizers.equitune import Equitune

if TYPE_CHECKING:
    from hf_equi.actions import TokenAction

__all__ = ["Identity"]


class Identity(Equitune):
    r"""Decode the prompt alone: nothing is symmetrised.

    $$ M_G(x) = M(x) $$

    It is what the other methods are compared with. The group still couples what is drawn: with a seed, texts of x and
    g x come from the same noise, so that they differ by what the model makes of them and not by chance.

    Cost: 1 base forward.

    Example:
        >>> from hf_equi.actions.tokens import TokenAction, TokenMap
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["he", "she"]]), TokenMap(vocab_size=3, sets=(((1, 2),),)))
        >>> Identity().draw(action, torch.tensor([[0, 1], [0, 2]]), None, Draws())
        tensor([[0],
                [0]])
    """

    name = "identity"
    one_row = True
    relaxable = False

    def __init__(self) -> None:
        super().__init__("logits")

    def draw(self, action: TokenAction, prompt: torch.Tensor, mask: torch.Tensor | None, draws: Draws) -> torch.Tensor:
        """The identity for each prompt, `(B, 1)`."""
        return torch.zeros(len(prompt), 1, dtype=torch.long, device=prompt.device)

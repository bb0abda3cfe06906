"""The mixture: one element drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from hf_equi.symmetrizers.base import Draws, Symmetrizer
from hf_equi.symmetrizers.equitune import Equitune

if TYPE_CHECKING:
    from hf_equi.actions import TokenAction

__all__ = ["Mixture"]


class Mixture(Equitune):
    r"""Decode g x for one g drawn at random and map the text back.

    $$ p_G(y \mid x) = \frac{1}{|G|} \sum_{g \in G} p_M(gy \mid gx) $$

    A sample costs one row of the base. Scoring a text costs the whole orbit: after t tokens of y the members weigh as
    the probabilities that they gave to those tokens, so the next-token law is that of the mixture of whole texts.

    Cost: 1 base forward a sample, |G| a scored text.

    Example:
        >>> Mixture().history_log_weights(torch.tensor([[0.0, -1.0, -2.0]]))
        tensor([[ 0., -1., -3.]])
    """

    name = "mixture"
    one_row = True
    relaxable = False
    weighs_history = True

    def __init__(self) -> None:
        super().__init__("probabilities")

    def draw(self, action: TokenAction, prompt: torch.Tensor, mask: torch.Tensor | None, draws: Draws) -> torch.Tensor:
        """One element a prompt, `(B, 1)`."""
        return draws.elements(action, prompt, mask)[:, None]

    def score_elements(self, action: TokenAction, prompt: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """The whole group."""
        return Symmetrizer.draw(self, action, prompt, mask, Draws())

    def history_log_weights(self, taken: torch.Tensor) -> torch.Tensor:
        """The log-probability of all tokens read so far after the prompt."""
        return taken.cumsum(-1)

"""Equizero for texts: scores come from equi-tuning, texts from a search."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Drafts
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import WholeGroup
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["DraftedEquizero"]


class DraftedEquizero(Method):
    r"""Score texts by the mean over the orbit, and write the text with the lowest loss.

    $$ g^* = \arg\min_g \; l(Y_g) $$

    The choice is among whole drafts, not among scores, so a forward cannot make it:
    `hf_equi.generation.EquizeroSearch` does. A forward, for scoring and training, gives the mean of equi-tuning.

    Cost: |G| rows.

    Example:
        >>> DraftedEquizero().searches, DraftedEquizero().relaxable
        (True, True)

    References:
        arXiv 2305.09900, equation 2 and §C.2.
    """

    name = "equizero"
    text = MethodText(
        r"g_* = \arg\min_{g \in G}\, l(Y_g), \qquad X \leftarrow g_*^{-1} Y_{g_*}",
        "Texts are written in rounds. In each round, every member of the orbit drafts a few tokens, Y. The draft "
        "with the lowest loss l is kept, mapped back, and continued in the next round. Scores of a given text are "
        "those of equi-tuning, the mean over the orbit.",
    )

    def __init__(self, average: str = "logits") -> None:
        super().__init__(WholeGroup(), EqualWeights(), Drafts(average))

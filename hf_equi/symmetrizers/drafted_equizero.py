"""Equizero for texts: scored as equi-tuning scores, written by a search."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Drafts
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import WholeGroup
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["DraftedEquizero"]


class DraftedEquizero(Method):
    r"""Score texts by the mean over the orbit; their text is that of the least loss.

    $$ g^* = \arg\min_g \; l(Y_g) $$

    The choice is among whole drafts and not among scores, so it is not a combination that a forward could make: it is
    `hf_equi.generation.EquizeroSearch`. What a forward gives, to score and to train with, is equi-tuning's mean.

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
        "Texts are written in rounds. In each, every member of the orbit drafts a few tokens, Y; the draft with the "
        "least loss l is kept, mapped back, and is what the next round goes on from. Scores of a given text are those "
        "of equi-tuning, the mean over the orbit.",
    )

    def __init__(self, average: str = "logits") -> None:
        super().__init__(WholeGroup(), EqualWeights(), Drafts(average))

"""Equizero for texts: scored as equi-tuning scores, written by a search."""

from __future__ import annotations

from typing import ClassVar

from hf_equi.symmetrizers.equitune import Equitune

__all__ = ["DraftedEquizero"]


class DraftedEquizero(Equitune):
    r"""Score texts by the mean over the orbit; their text is that of the least loss.

    $$ g^* = \arg\min_g \; l(Y_g) $$

    The choice is among whole drafts and not among scores, so it is no combination that a forward could make: it is
    `hf_equi.generation.EquizeroSearch`. What a forward gives, to score and to train with, is equi-tuning's mean.

    Cost: |G| rows.

    Example:
        >>> DraftedEquizero().searches, Equitune().searches
        (True, False)

    References:
        arXiv 2305.09900, equation 2 and §C.2.
    """

    name = "equizero"
    searches: ClassVar[bool] = True

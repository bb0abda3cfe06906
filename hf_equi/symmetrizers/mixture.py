"""The mixture: one element drawn at random."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Mean
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import DrawnMember
from hf_equi.symmetrizers.weigh import HistoryWeights

__all__ = ["Mixture"]


class Mixture(Method):
    r"""Decode g x for one g drawn at random and map the text back.

    $$ p_G(y \mid x) = \frac{1}{|G|} \sum_{g \in G} p_M(gy \mid gx) $$

    A sample costs one row of the base. Scoring a text costs the whole orbit: after t tokens of y, the weight of a
    member is the probability that it gave to those tokens. So the next-token distribution is that of the mixture of
    whole texts. On words (`action="words"` of a causal language model), gx is a text, and nothing is scored.

    Cost: 1 base forward for a sample, |G| for a scored text.

    Example:
        >>> Mixture().selects_one, Mixture().relaxable
        (True, False)
    """

    name = "mixture"
    text = MethodText(
        r"p_G(y \mid x) = \frac{1}{|G|} \sum_{g \in G} p_M(gy \mid gx)",
        "For each text, one member of the orbit is drawn from the seed, decoded by the base, and mapped back.",
        limits=(
            "**In law.** Texts are random draws. Their distribution over seeds is equivariant, but a single text "
            "comes from one member. With one seed, the texts of an input and of its image are images of each other.",
        ),
    )

    def __init__(self) -> None:
        super().__init__(DrawnMember(), HistoryWeights(), Mean("probabilities"))

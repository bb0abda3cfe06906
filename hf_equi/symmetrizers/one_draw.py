"""The mixture for outputs that are not texts: one element drawn at random."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Mean
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import DrawnMember
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["OneDraw"]


class OneDraw(Method):
    r"""Run the base on g x for one g drawn at random, and move the output back.

    $$ M_G(x) = g^{-1} M(gx), \qquad g \sim \text{uniform}(G) $$

    Texts have a likelihood, for which all members count: see `hf_equi.symmetrizers.Mixture`.

    Cost: 1 base forward.

    Example:
        >>> OneDraw().selects_one, OneDraw().needs_training
        (True, False)
    """

    name = "mixture"
    text = MethodText(
        r"M_G(x) = g^{-1} M(gx), \qquad g \sim \mathrm{uniform}(G)",
        "One member of the orbit is drawn from the seed. The base reads it, and its output is mapped back.",
        limits=(
            "**In law.** An output is one random draw. Over seeds, the distribution of outputs is equivariant. With "
            "one seed, the outputs of an input and of its image are images of each other.",
        ),
    )

    def __init__(self) -> None:
        super().__init__(DrawnMember(), EqualWeights(), Mean())

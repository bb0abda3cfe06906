"""The class-wise maximum: equizero for images as in the authors' code."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import LargestOfEach
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import WholeGroup
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["ClassMaximum"]


class ClassMaximum(Method):
    r"""Give each class its score from the member that finds it most likely.

    $$ s_c = \max_{g} \log p_g(c), \qquad p_g = g^{-1} M(gx) $$

    The best class is that of the member with the largest probability, so top-1 agrees with `Equizero` with
    `MaxProbability`. The next classes may come from other members, so top-5 may not agree. The result is not a
    distribution: the probabilities add up to more than 1 as soon as two members differ. A fold with `normalised=False`
    gives the scores above; one that renormalises them keeps their order.

    Cost: one base forward for each distinct member of the orbit, at most |G|.

    References:
        The equizero of images in the code of arXiv 2305.09900; its equation 2 takes one member as a whole.

    Example:
        >>> ClassMaximum().takes_best, ClassMaximum().loss
        (True, None)
    """

    name = "equizero"
    text = MethodText(
        r"M_G(x)_c = \max_{g \in G} \log p_g(c), \qquad p_g = g^{-1} M(gx)",
        "The base reads every member of the orbit. Its outputs are mapped back. A class has the score of the member "
        "that finds it most likely.",
    )

    def __init__(self) -> None:
        super().__init__(WholeGroup(), EqualWeights(), LargestOfEach())

"""Equizero: the member of the orbit of which the model is surest."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import LeastLoss
from hf_equi.symmetrizers.losses import MaxProbability, ProxyLoss
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import WholeGroup
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["Equizero"]


class Equizero(Method):
    r"""Take the one member of the orbit with the lowest proxy loss.

    $$ M^0_G(x) = g^{*-1} M(g^* x), \qquad g^* = \arg\min_g \; l(M(gx)) $$

    Its gradient is that of the mean (straight-through). The choice is exact up to its margin: if the losses of the two
    best members differ by less than rounding, either may be taken.

    Args:
        loss: The proxy loss, by default `MaxProbability`.
        average: The mean whose gradient is passed on, `"logits"` or `"probabilities"`, as in `Equitune`.

    Raises:
        ConfigurationError: For another average.

    Cost: one base forward for each distinct member of the orbit, at most |G|.

    References:
        arXiv 2305.09900, equation 2 and §3.3.

    Example:
        >>> Equizero().loss.name
        'max_probability'
    """

    name = "equizero"
    text = MethodText(
        r"M_G(x) = g_*^{-1} M(g_* x), \qquad g_* = \arg\min_{g \in G}\, l(M(gx))",
        "The base reads every member of the orbit. The output with the lowest loss is taken and mapped back.",
    )

    def __init__(self, loss: ProxyLoss | None = None, average: str = "logits") -> None:
        super().__init__(WholeGroup(), EqualWeights(), LeastLoss(loss or MaxProbability(), average))

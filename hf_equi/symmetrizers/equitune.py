"""Equi-tuning: the mean over the orbit."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Mean
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import WholeGroup
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["Equitune"]


class Equitune(Method):
    r"""The group average of equi-tuning.

    $$ M_G(x) = \frac{1}{|G|} \sum_{g \in G} g^{-1} M(gx) $$

    With `average="logits"` it is the renormalised mean of log-probabilities, the same distribution as the mean of
    logits that the authors take. With `"probabilities"` it is the mean of probabilities, computed in log space.

    Args:
        average: `"logits"` or `"probabilities"`.

    Raises:
        ConfigurationError: For another average.

    Cost: one base forward for each distinct member of the orbit, at most |G|.

    References:
        arXiv 2210.06475, equation 5; arXiv 2305.09900, equation 1.

    Example:
        >>> Equitune().relaxable, Equitune("probabilities").combine.average
        (True, 'probabilities')
    """

    name = "equitune"
    text = MethodText(
        r"M_G(x) = \frac{1}{|G|} \sum_{g \in G} g^{-1} M(gx)",
        "The base reads every member of the orbit of an input. Its outputs are mapped back and averaged.",
    )

    def __init__(self, average: str = "logits") -> None:
        super().__init__(WholeGroup(), EqualWeights(), Mean(average))

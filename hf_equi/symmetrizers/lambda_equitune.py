"""λ-equitune: a mean that weighs the members of the orbit."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Mean
from hf_equi.symmetrizers.lambda_networks import LambdaNetwork
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import WholeGroup
from hf_equi.symmetrizers.weigh import NetworkWeights

__all__ = ["LambdaEquitune"]


class LambdaEquitune(Method):
    r"""The weighted group average of λ-equitune.

    $$ M^\lambda_G(x) = \frac{1}{\sum_g \lambda(gx)} \sum_{g \in G} \lambda(gx)\, g^{-1} M(gx), \qquad \lambda > 0 $$

    λ is a network that the model holds (`hf_equi.symmetrizers.LambdaNetwork`). A constant λ gives equi-tuning; a λ
    that is large for a single member gives equizero.

    Args:
        average: `"logits"` or `"probabilities"`, as in `Equitune`.

    Cost: one base forward for each distinct member of the orbit, at most |G|.

    References:
        arXiv 2305.09900, equation 4.

    Example:
        >>> type(LambdaEquitune().weigh.create_network(8, units=4, dropout=0.0)).__name__
        'LambdaNetwork'
    """

    name = "lambda"
    text = MethodText(
        r"M_G(x) = \frac{\sum_{g \in G} \lambda(gx)\, g^{-1} M(gx)}{\sum_{g \in G} \lambda(gx)}",
        "The base reads every member of the orbit. Its outputs are mapped back and averaged, with weights that a "
        "small network computes from each member's features.",
    )

    def __init__(self, average: str = "logits") -> None:
        super().__init__(WholeGroup(), NetworkWeights(LambdaNetwork), Mean(average))

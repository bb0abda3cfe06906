"""Attention over the orbit: a mean whose weights depend on all members at once."""

from __future__ import annotations

from hf_equi.symmetrizers.attention_networks import OrbitAttention
from hf_equi.symmetrizers.combine import Mean
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import WholeGroup
from hf_equi.symmetrizers.weigh import NetworkWeights

__all__ = ["Attention"]


class Attention(Method):
    r"""The group average, weighted by attention over the orbit.

    $$ M_G(x) = \sum_{g \in G} a_g\, g^{-1} M(gx), \qquad
    a_g = \frac{1}{|G|} \sum_{h \in G} \text{softmax}_g\Big(\frac{\langle q(hx), k(gx) \rangle}{\sqrt{d}}\Big) $$

    λ-equitune weighs each member only by its own features; here a weight depends on the features of all members. The
    queries q and keys k come from a network that the model holds (`hf_equi.symmetrizers.OrbitAttention`).

    Args:
        average: `"logits"` or `"probabilities"`, as in `Equitune`.

    Cost: one base forward for each distinct member of the orbit, at most |G|, and |G|² products of d numbers.

    References:
        Vlasenko et al. 2024, "equiattention": https://github.com/iasonsky/EfficientEquivariantTransferLearning.

    Example:
        >>> type(Attention().weigh.create_network(8, units=4, dropout=0.0)).__name__
        'OrbitAttention'
    """

    name = "attention"
    text = MethodText(
        r"M_G(x) = \frac{\sum_{g \in G} w(gx)\, g^{-1} M(gx)}{\sum_{g \in G} w(gx)}",
        "The base reads every member of the orbit. Its outputs are mapped back and averaged. The weight w of a "
        "member is how much the members attend to it.",
        ("vlasenko2024",),
    )

    def __init__(self, average: str = "logits") -> None:
        super().__init__(WholeGroup(), NetworkWeights(OrbitAttention), Mean(average))

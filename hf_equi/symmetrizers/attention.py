"""Attention over the orbit: a mean whose weights depend on all members at once."""

from __future__ import annotations

from torch import nn

from hf_equi.symmetrizers.attention_networks import OrbitAttention
from hf_equi.symmetrizers.equitune import Equitune

__all__ = ["Attention"]


class Attention(Equitune):
    r"""The group average, weighted by attention over the orbit.

    $$ M_G(x) = \sum_{g \in G} a_g\, g^{-1} M(gx), \qquad
    a_g = \frac{1}{|G|} \sum_{h \in G} \text{softmax}_g\Big(\frac{\langle q(hx), k(gx) \rangle}{\sqrt{d}}\Big) $$

    λ-equitune weighs each member by its own features alone; here a weight depends on the features of all of them. The
    queries q and keys k are those of a network that the model holds (`hf_equi.symmetrizers.OrbitAttention`).

    Args:
        average: `"logits"` or `"probabilities"`, as in `Equitune`.

    Cost: one base forward a distinct member of the orbit, at most |G|, and |G|² products of d numbers.

    References:
        Vlasenko et al. 2024, "equiattention": https://github.com/iasonsky/EfficientEquivariantTransferLearning.

    Example:
        >>> Attention().weighs_members
        True
        >>> type(Attention().create_network(8, units=4, dropout=0.0)).__name__
        'OrbitAttention'
    """

    name = "attention"
    weighs_members = True
    weighs_jointly = True
    relaxable = False

    def create_network(self, features: int, units: int, dropout: float) -> nn.Module | None:
        """Attention over the features of an orbit's members."""
        return OrbitAttention(features, units, dropout)

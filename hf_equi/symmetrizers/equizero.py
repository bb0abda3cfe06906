"""Equizero: the member of the orbit that the model is surest of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hf_equi.symmetrizers.choice import OrbitChoice
from hf_equi.symmetrizers.equitune import Equitune
from hf_equi.symmetrizers.fold import Fold, OrbitFold
from hf_equi.symmetrizers.losses import MaxProbability, ProxyLoss

if TYPE_CHECKING:
    from hf_equi.actions import ColumnAction
    from hf_equi.symmetrizers.orbit import Orbit

__all__ = ["Equizero"]


class Equizero(Equitune):
    r"""Take the one member of the orbit with the least proxy loss.

    $$ M^0_G(x) = g^{*-1} M(g^* x), \qquad g^* = \arg\min_g \; l(M(gx)) $$

    Its gradient is that of the mean (straight-through). The choice is exact up to its margin: where the two best
    members lie closer than rounding, either may be taken.

    Args:
        loss: The proxy loss, by default `MaxProbability`.
        average: The mean whose gradient is passed on, `"logits"` or `"probabilities"`, as in `Equitune`.

    Raises:
        ConfigurationError: For another average.

    Cost: one base forward a distinct member of the orbit, at most |G|.

    References:
        arXiv 2305.09900, equation 2 and §3.3.

    Example:
        >>> Equizero().loss.name
        'max_probability'
    """

    name = "equizero"
    chooses = True
    takes_one = True
    relaxable = False

    def __init__(self, loss: ProxyLoss | None = None, average: str = "logits") -> None:
        super().__init__(average)
        self.takes_logits = False
        self.loss = loss or MaxProbability()

    def fold(self, orbit: Orbit, action: ColumnAction, normalised: bool = True) -> Fold:
        """What takes the rows of an orbit; the mean whose gradient is passed on is renormalised or not."""
        mean = OrbitFold(orbit, action, Equitune(self.average), normalised)
        # Of one member that was asked for there is nothing to choose.
        return mean if orbit.elements.shape[1] == 1 else OrbitChoice(orbit, action, self.loss, mean)

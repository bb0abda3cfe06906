"""How an orbit becomes one output: orbits with shared members, and the methods that combine them."""

from hf_equi.symmetrizers.base import Draws, Symmetrizer
from hf_equi.symmetrizers.canonical import Canonical
from hf_equi.symmetrizers.equitune import Equitune
from hf_equi.symmetrizers.equizero import Equizero
from hf_equi.symmetrizers.fold import OrbitFold
from hf_equi.symmetrizers.identity import Identity
from hf_equi.symmetrizers.mixture import Mixture
from hf_equi.symmetrizers.orbit import Orbit

__all__ = ["Canonical", "Draws", "Equitune", "Equizero", "Identity", "Mixture", "Orbit", "OrbitFold", "Symmetrizer"]

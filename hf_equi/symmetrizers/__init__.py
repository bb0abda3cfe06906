"""How an orbit becomes one output: orbits with shared members, and the methods that combine them."""

from hf_equi.symmetrizers.base import Draws, Symmetrizer
from hf_equi.symmetrizers.canonical import Canonical
from hf_equi.symmetrizers.choice import OrbitChoice
from hf_equi.symmetrizers.drafted_equizero import DraftedEquizero
from hf_equi.symmetrizers.equitune import Equitune
from hf_equi.symmetrizers.equizero import Equizero
from hf_equi.symmetrizers.fold import Decision, Fold, OrbitFold
from hf_equi.symmetrizers.identity import Identity
from hf_equi.symmetrizers.lambda_equitune import LambdaEquitune
from hf_equi.symmetrizers.lambda_networks import LambdaNetwork
from hf_equi.symmetrizers.losses import Entropy, MaxProbability, ProxyLoss, PublishedEntropy, create_loss
from hf_equi.symmetrizers.mixture import Mixture
from hf_equi.symmetrizers.orbit import Orbit

__all__ = [
    "Canonical",
    "Decision",
    "DraftedEquizero",
    "Draws",
    "Entropy",
    "Equitune",
    "Equizero",
    "Fold",
    "Identity",
    "LambdaEquitune",
    "LambdaNetwork",
    "MaxProbability",
    "Mixture",
    "Orbit",
    "OrbitChoice",
    "OrbitFold",
    "ProxyLoss",
    "PublishedEntropy",
    "Symmetrizer",
    "create_loss",
]

"""How an orbit becomes one output: orbits with shared members, and the methods that combine them."""

from hf_equi.symmetrizers.attention import Attention
from hf_equi.symmetrizers.attention_networks import OrbitAttention
from hf_equi.symmetrizers.base import Draws, Symmetrizer
from hf_equi.symmetrizers.canonical import Canonical
from hf_equi.symmetrizers.choice import OrbitChoice
from hf_equi.symmetrizers.class_maximum import ClassMaximum
from hf_equi.symmetrizers.drafted_equizero import DraftedEquizero
from hf_equi.symmetrizers.equitune import Equitune
from hf_equi.symmetrizers.equizero import Equizero
from hf_equi.symmetrizers.fold import Decision, Fold, OrbitFold
from hf_equi.symmetrizers.identity import Identity
from hf_equi.symmetrizers.lambda_equitune import LambdaEquitune
from hf_equi.symmetrizers.lambda_networks import LambdaNetwork
from hf_equi.symmetrizers.losses import (
    Entropy,
    MaxProbability,
    MaxSimilarity,
    ProxyLoss,
    PublishedEntropy,
    PublishedLeastConfident,
    create_loss,
)
from hf_equi.symmetrizers.mixture import Mixture
from hf_equi.symmetrizers.orbit import Orbit

__all__ = [
    "Attention",
    "Canonical",
    "ClassMaximum",
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
    "MaxSimilarity",
    "Mixture",
    "Orbit",
    "OrbitAttention",
    "OrbitChoice",
    "OrbitFold",
    "ProxyLoss",
    "PublishedEntropy",
    "PublishedLeastConfident",
    "Symmetrizer",
    "create_loss",
]

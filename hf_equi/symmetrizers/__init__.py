"""How an orbit becomes one output: orbits with shared members, and methods, each of three parts."""

from hf_equi.symmetrizers.attention import Attention
from hf_equi.symmetrizers.attention_networks import OrbitAttention
from hf_equi.symmetrizers.canonical import Canonical
from hf_equi.symmetrizers.choice import OrbitChoice
from hf_equi.symmetrizers.class_maximum import ClassMaximum
from hf_equi.symmetrizers.combine import Combine, Drafts, LargestOfEach, LeastLoss, Mean
from hf_equi.symmetrizers.drafted_equizero import DraftedEquizero
from hf_equi.symmetrizers.equitune import Equitune
from hf_equi.symmetrizers.equizero import Equizero
from hf_equi.symmetrizers.fold import Accumulator, Decision, Fold, OrbitFold
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
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.mixture import Mixture
from hf_equi.symmetrizers.one_draw import OneDraw
from hf_equi.symmetrizers.orbit import Orbit
from hf_equi.symmetrizers.part import Part
from hf_equi.symmetrizers.select import (
    Asked,
    DrawnMember,
    Draws,
    IdentityMember,
    KeyedDraws,
    OneMember,
    Select,
    Selection,
    SmallestMember,
    WholeGroup,
)
from hf_equi.symmetrizers.weigh import EqualWeights, FeatureWeights, HistoryWeights, NetworkWeights, Weigh

__all__ = [
    "Accumulator",
    "Asked",
    "Attention",
    "Canonical",
    "ClassMaximum",
    "Combine",
    "Decision",
    "DraftedEquizero",
    "Drafts",
    "DrawnMember",
    "Draws",
    "Entropy",
    "EqualWeights",
    "Equitune",
    "Equizero",
    "FeatureWeights",
    "Fold",
    "HistoryWeights",
    "Identity",
    "IdentityMember",
    "KeyedDraws",
    "LambdaEquitune",
    "LambdaNetwork",
    "LargestOfEach",
    "LeastLoss",
    "MaxProbability",
    "MaxSimilarity",
    "Mean",
    "Method",
    "MethodText",
    "Mixture",
    "NetworkWeights",
    "OneDraw",
    "OneMember",
    "Orbit",
    "OrbitAttention",
    "OrbitChoice",
    "OrbitFold",
    "Part",
    "ProxyLoss",
    "PublishedEntropy",
    "PublishedLeastConfident",
    "Select",
    "Selection",
    "SmallestMember",
    "Weigh",
    "WholeGroup",
    "create_loss",
]

"""Canonicalization: a network or a rule chooses the pose of an input, then the base reads it once, in that pose.

```python
>>> from hf_equi import ImageGroup
>>> from hf_equi.canonicalization import GroupConvolution
>>> GroupConvolution(ImageGroup.rotations(4)).kind
'group_convolution'

```
"""

from typing import Any

from hf_equi.canonicalization.about_axis import AboutAxis
from hf_equi.canonicalization.base import (
    Canonicalizer,
    Pose,
    Relaxation,
    canonicalizer_kinds,
    read_canonicalizer,
    register_canonicalizer,
)
from hf_equi.canonicalization.canonical import LearnedCanonical
from hf_equi.canonicalization.canonical_lambda import LearnedCanonicalLambda
from hf_equi.canonicalization.centre import Centre
from hf_equi.canonicalization.circular_harmonic import CircularHarmonic
from hf_equi.canonicalization.composed import Composed
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer, distance_prior
from hf_equi.canonicalization.finite import FiniteCanonicalizer, identity_prior
from hf_equi.canonicalization.fixed_pose import FixedPose
from hf_equi.canonicalization.fixed_rule import FixedRule
from hf_equi.canonicalization.frame_members import DrawnPose, FrameMembers, frames_of
from hf_equi.canonicalization.gram_schmidt import GramSchmidt
from hf_equi.canonicalization.group_convolution import GroupConvolution
from hf_equi.canonicalization.learned_member import LearnedMember
from hf_equi.canonicalization.learned_members import LearnedMembers
from hf_equi.canonicalization.model_energy import ModelEnergy
from hf_equi.canonicalization.orbit_scorer import OrbitCanonicalizer, OrbitScorer
from hf_equi.canonicalization.principal_frames import PrincipalFrames
from hf_equi.canonicalization.targets import move_targets
from hf_equi.canonicalization.theta import read_theta
from hf_equi.canonicalization.vector_neurons import VectorNeurons
from hf_equi.canonicalization.weighted_frames import WeightedFrames

_KINDS: tuple[Any, ...] = (
    AboutAxis,
    CircularHarmonic,
    Composed,
    GramSchmidt,
    GroupConvolution,
    ModelEnergy,
    OrbitScorer,
    PrincipalFrames,
    VectorNeurons,
    WeightedFrames,
)
for _kind in _KINDS:
    register_canonicalizer(_kind.kind, _kind)

__all__ = [
    "AboutAxis",
    "Canonicalizer",
    "Centre",
    "CircularHarmonic",
    "Composed",
    "ContinuousCanonicalizer",
    "DrawnPose",
    "FiniteCanonicalizer",
    "FixedPose",
    "FixedRule",
    "FrameMembers",
    "GramSchmidt",
    "GroupConvolution",
    "LearnedCanonical",
    "LearnedCanonicalLambda",
    "LearnedMember",
    "LearnedMembers",
    "ModelEnergy",
    "OrbitCanonicalizer",
    "OrbitScorer",
    "Pose",
    "PrincipalFrames",
    "Relaxation",
    "VectorNeurons",
    "WeightedFrames",
    "canonicalizer_kinds",
    "distance_prior",
    "frames_of",
    "identity_prior",
    "move_targets",
    "read_canonicalizer",
    "read_theta",
    "register_canonicalizer",
]

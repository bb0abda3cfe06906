"""Canonicalization: a network or a rule chooses the pose of an input, then the base reads it once, in that pose.

```python
>>> from hf_equi import ImageGroup
>>> from hf_equi.canonicalization import GroupConvolution
>>> GroupConvolution(ImageGroup.rotations(4)).kind
'group_convolution'

```
"""

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
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer, distance_prior
from hf_equi.canonicalization.finite import FiniteCanonicalizer, identity_prior
from hf_equi.canonicalization.fixed_rule import FixedRule
from hf_equi.canonicalization.group_convolution import GroupConvolution
from hf_equi.canonicalization.learned_member import LearnedMember
from hf_equi.canonicalization.learned_members import LearnedMembers
from hf_equi.canonicalization.model_energy import ModelEnergy
from hf_equi.canonicalization.orbit_scorer import OrbitCanonicalizer, OrbitScorer
from hf_equi.canonicalization.targets import move_targets
from hf_equi.canonicalization.theta import read_theta

for _kind in (GroupConvolution, ModelEnergy, OrbitScorer):
    register_canonicalizer(_kind.kind, _kind)

__all__ = [
    "Canonicalizer",
    "ContinuousCanonicalizer",
    "FiniteCanonicalizer",
    "FixedRule",
    "GroupConvolution",
    "LearnedCanonical",
    "LearnedCanonicalLambda",
    "LearnedMember",
    "LearnedMembers",
    "ModelEnergy",
    "OrbitCanonicalizer",
    "OrbitScorer",
    "Pose",
    "Relaxation",
    "canonicalizer_kinds",
    "distance_prior",
    "identity_prior",
    "move_targets",
    "read_canonicalizer",
    "read_theta",
    "register_canonicalizer",
]

"""The groups that act on data.

Every group of this library acts from the left. Element 0 is the identity, and `product[g, h]` is the element gh, which
acts as g after h:

    permutations[product[g, h]] == permutations[g][permutations[h]],        permutations[g, v] = g(v).
"""

from hf_equi.groups.axial import SO2Z
from hf_equi.groups.base import Group
from hf_equi.groups.continuous import E2, E3, O2, O3, SE2, SE3, SO2, SO3, ContinuousGroup
from hf_equi.groups.demographic import DemographicGroup
from hf_equi.groups.environments import ACROBOT, CARTPOLE, GRIDWORLD, WALLED_GRIDWORLD, EnvironmentGroup
from hf_equi.groups.equality import EqualityFactor
from hf_equi.groups.explanation import Explanation, Move
from hf_equi.groups.finite import MAX_ORDER, FiniteGroup
from hf_equi.groups.forms import FormRow
from hf_equi.groups.matrices import MatrixGroup
from hf_equi.groups.preset import Preset, occupations, preset_names, preset_of, read_preset
from hf_equi.groups.registry import group_kinds, read_group, register_group
from hf_equi.groups.spatial import ImageGroup

__all__ = [
    "ACROBOT",
    "CARTPOLE",
    "E2",
    "E3",
    "GRIDWORLD",
    "MAX_ORDER",
    "O2",
    "O3",
    "SE2",
    "SE3",
    "SO2",
    "SO2Z",
    "SO3",
    "WALLED_GRIDWORLD",
    "ContinuousGroup",
    "DemographicGroup",
    "EnvironmentGroup",
    "EqualityFactor",
    "Explanation",
    "FiniteGroup",
    "FormRow",
    "Group",
    "ImageGroup",
    "MatrixGroup",
    "Move",
    "Preset",
    "group_kinds",
    "occupations",
    "preset_names",
    "preset_of",
    "read_group",
    "read_preset",
    "register_group",
]

register_group("finite", FiniteGroup)
register_group("demographic", DemographicGroup)
register_group("image", ImageGroup)
register_group("continuous", ContinuousGroup)
register_group("matrix", MatrixGroup)
register_group("environment", EnvironmentGroup)

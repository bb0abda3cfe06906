"""Which groups act on point clouds, and by which canonicalizer clouds are put in pose by default."""

from __future__ import annotations

from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.groups import E3, O3, SE3, SO2Z, SO3, ContinuousGroup, MatrixGroup

__all__ = ["POINT_GROUPS", "check_space", "default_canonicalizer"]

POINT_GROUPS = (SO3, O3, SO2Z, SE3, E3, MatrixGroup)
"""The classes of groups that act on points in space."""


def check_space(group: Any) -> None:
    """Refuse a finite group whose matrices are not those of space.

    Raises:
        ConfigurationError: For matrices of another side than 3.

    Example:
        >>> check_space(MatrixGroup.cube())
    """
    if isinstance(group, MatrixGroup) and group.matrices.shape[1] != 3:
        raise ConfigurationError(
            f"The matrices of this group have the side {group.matrices.shape[1]}, but points in space have 3 "
            "coordinates: use MatrixGroup.cube(), or MatrixGroup.cyclic(n, dimension=3) for rotations about z"
        )


def default_canonicalizer(group: Any) -> dict[str, Any] | None:
    """Return the description of the canonicalizer of a group, if none is given: a network of vector neurons.

    Args:
        group: The group. If it translates, the cloud is centred first. A finite group has none.

    Example:
        >>> default_canonicalizer(SE3())
        {'type': 'composed', 'rotation': {'type': 'vector_neurons'}}
    """
    if not isinstance(group, ContinuousGroup):
        return None
    neurons = {"type": "vector_neurons"}
    if isinstance(group, SO2Z):
        return {"type": "about_axis", "rotation": neurons}
    return {"type": "composed", "rotation": neurons} if group.translates else neurons

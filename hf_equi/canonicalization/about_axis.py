"""Rotations about the z axis: what stands upright, seen from above."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hf_equi.canonicalization.base import read_canonicalizer
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer
from hf_equi.canonicalization.points import read_points
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2, SO2Z

__all__ = ["AboutAxis"]


class AboutAxis(ContinuousCanonicalizer):
    r"""A rotation about the z axis: that of the points of the plane below the points of a cloud.

    $$ h(x) = r\big((x_i, y_i)_i\big) $$

    Heights do not move, so they are not read.

    Args:
        rotation: A canonicalizer of `SO2`.

    Raises:
        ConfigurationError: For a canonicalizer of another group.

    Cost: that of the rotation. Guarantee: that of the rotation.

    Example:
        >>> from hf_equi.canonicalization import GramSchmidt
        >>> elements, _ = AboutAxis(GramSchmidt(SO2())).poses(torch.tensor([[[0.0, 2.0, 7.0], [1.0, 0.0, 7.0]]]))
        >>> elements[0, 0]
        tensor([[ 0., -1.,  0.],
                [ 1.,  0.,  0.],
                [ 0.,  0.,  1.]])
    """

    kind = "about_axis"

    def __init__(self, rotation: ContinuousCanonicalizer) -> None:
        super().__init__()
        given = getattr(rotation, "group", rotation)
        if given != SO2() or not hasattr(rotation, "poses"):
            raise ConfigurationError(
                f"rotation= finds elements of {given!r}, but those of SO2() are needed: pass a "
                "ContinuousCanonicalizer of SO2(), such as VectorNeurons(SO2())"
            )
        self.group = SO2Z()
        self.rotation = rotation
        self.learns = rotation.learns
        self.equivariant = rotation.equivariant

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the elements of each cloud, `(B, K, 3, 3)`, and the log-weights of the rotation.

        Raises:
            ConfigurationError: As the rotation.
        """
        points, _ = read_points(x, mask, 3)
        turns, log_weights = self.rotation.poses(points[..., :2], *(() if mask is None else (mask,)))
        return self.group.embed(turns), log_weights

    @property
    def cost(self) -> str:
        """That of the rotation."""
        return self.rotation.cost

    def to_dict(self) -> dict[str, Any]:
        """Return the rotation's description."""
        return {**super().to_dict(), "rotation": self.rotation.to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None = None) -> AboutAxis:
        """Return one with a new rotation.

        Raises:
            ConfigurationError: If the rotation is not stored, or for another group.
        """
        if group != SO2Z():
            raise ConfigurationError(f"AboutAxis finds elements of SO2Z(), not of {group!r}")
        rotation: Any = read_canonicalizer(content["rotation"], SO2(), shape)
        return cls(rotation)

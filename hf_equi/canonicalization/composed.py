"""Rigid motions: a centre, and what turns about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hf_equi.canonicalization.base import NOT_STORED, read_canonicalizer
from hf_equi.canonicalization.centre import Centre
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer
from hf_equi.canonicalization.points import check_group, read_points
from hf_equi.errors import ConfigurationError
from hf_equi.groups import E2, E3, O2, O3, SE2, SE3, SO2, SO3, ContinuousGroup
from hf_equi.groups._motions import homogeneous

__all__ = ["LINEAR", "Composed"]

LINEAR = {SE2: SO2, SE3: SO3, E2: O2, E3: O3}
"""The group that turns, of each group that translates too."""


class Composed(ContinuousCanonicalizer):
    r"""An element of a group that translates: first the centre, then a rotation of the centred cloud.

    $$ h(x) = \big(r(x - c(x)),\; c(x)\big), \qquad h(x)^{-1} x = r^{-1} (x - c) $$

    Args:
        group: `SE2`, `SE3`, `E2` or `E3`.
        rotation: A canonicalizer of the group without translations: that of SE(3) is of SO(3).
        centre: From clouds `(B, N, n)`, and the mask if there is one, to a point each, `(B, n)`, which moves along
            with them; by default the `Centre`. A module is trained and saved with the model, but its code is not
            stored.

    Raises:
        ConfigurationError: For another group, a rotation of another group, or a centre that cannot be called.

    Cost: those of the rotation. Guarantee: that of the rotation, and rounding in proportion to the distance of the
    cloud from the origin.

    References:
        arXiv 2110.03336, section 3.1; arXiv 2211.06489, section 3.2.

    Example:
        >>> from hf_equi.canonicalization import GramSchmidt
        >>> from hf_equi.groups import SE2, SO2
        >>> cloud = torch.tensor([[[1.0, 3.0], [1.0, 1.0]]])
        >>> elements, _ = Composed(SE2(), GramSchmidt(SO2())).poses(cloud)
        >>> elements[0, 0]
        tensor([[ 0., -1.,  1.],
                [ 1.,  0.,  2.],
                [ 0.,  0.,  1.]])
    """

    kind = "composed"

    def __init__(self, group: ContinuousGroup, rotation: ContinuousCanonicalizer, centre: Any = None) -> None:
        super().__init__()
        check_group(group, "Composed", translates=True)
        linear = LINEAR[type(group)]()
        given = getattr(rotation, "group", rotation)
        if given != linear or not hasattr(rotation, "poses"):
            raise ConfigurationError(
                f"rotation= finds elements of {given!r}, but those of {group!r} without translations are needed: pass "
                f"a ContinuousCanonicalizer of {linear!r}"
            )
        if centre is not None and not callable(centre):
            raise ConfigurationError(f"centre={centre!r} cannot be called: pass a function of clouds, (B, N, n)")
        self.group = group
        self.rotation = rotation
        self.centre = Centre() if centre is None else centre
        self.learns = rotation.learns
        self.equivariant = rotation.equivariant and centre is None

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the elements of each cloud, `(B, K, n + 1, n + 1)`, and the log-weights of the rotation.

        Raises:
            ConfigurationError: As the rotation.
        """
        points, _ = read_points(x, mask, self.group.dimension)
        given = () if mask is None else (mask,)
        centre: torch.Tensor = self.centre(points, *given)
        turns, log_weights = self.rotation.poses(points - centre.unsqueeze(1), *given)
        places = centre.to(turns.dtype).unsqueeze(1).expand(*turns.shape[:2], -1)
        return homogeneous(turns, places), log_weights

    @property
    def cost(self) -> str:
        """That of the rotation."""
        return self.rotation.cost

    def to_dict(self) -> dict[str, Any]:
        """Return the rotation's description, and whether the centre is found in a way that is not stored."""
        own = {} if type(self.centre) is Centre else {"network": None}
        return {**super().to_dict(), "rotation": self.rotation.to_dict(), **own}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None = None) -> Composed:
        """Return one with a new rotation.

        Raises:
            ConfigurationError: If its centre or its rotation is not stored.
        """
        if "network" in content:
            raise ConfigurationError(f"What finds the centre of this Composed is not stored. {NOT_STORED}")
        check_group(group, "Composed", translates=True)
        rotation: Any = read_canonicalizer(content["rotation"], LINEAR[type(group)](), shape)
        return cls(group, rotation)

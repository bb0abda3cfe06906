"""The principal axes of a cloud, in all signs: frame averaging."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import torch

from hf_equi.actions._resampling import full_precision
from hf_equi.canonicalization.axes import orthonormal, principal, rounding, zero_below
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer
from hf_equi.canonicalization.gram_schmidt import axes_needed
from hf_equi.canonicalization.points import check_group, read_points
from hf_equi.groups import ContinuousGroup

__all__ = ["PrincipalFrames"]


class PrincipalFrames(ContinuousCanonicalizer):
    r"""The eigenvectors of the second moments of a cloud, with all signs, each counting the same.

    $$ \sum_i x_i x_i^\top = U \Lambda U^\top, \qquad h(x) \in \{ U \,\text{diag}(\pm 1, \dots, \pm 1) \} $$

    by falling eigenvalues. Nothing tells an axis from its opposite, so all $2^n$ sign patterns are frames; for groups
    without mirrors the $2^{n-1}$ that are right-handed. The order of the points does not count.

    Frames jump where two eigenvalues cross (`WeightedFrames` do not). If two are equal, up to rounding, no axes are
    singled out, as in regular bodies. Then Gram–Schmidt makes the axes from the points, in the order in which they are
    given. They turn with the cloud too, but depend on that order. Equal eigenvalues of 0, as in clouds on a line, do
    no harm: the cloud is symmetric about the other axes, so its canonical members are the same.

    Args:
        group: `SO2`, `O2`, `SO3` or `O3`.

    Raises:
        ConfigurationError: For another group.

    Cost: 4 base forwards for O(2), 2 for SO(2), 8 for O(3), 4 for SO(3). Guarantee: exact up to rounding, which is
    that of the moments divided by the smallest gap of eigenvalues. Gradients of first order are exact; higher ones are
    not.

    References:
        arXiv 2110.03336, section 3.1.

    Example:
        >>> from hf_equi.groups import SO2
        >>> elements, log_weights = PrincipalFrames(SO2()).poses(torch.tensor([[[0.0, 3.0], [1.0, 0.0]]]))
        >>> elements.shape, elements[0, 0].abs()
        (torch.Size([1, 2, 2, 2]), tensor([[0., 1.],
                [1., 0.]]))
    """

    kind = "principal_frames"
    equivariant = True
    learns = False

    def __init__(self, group: ContinuousGroup) -> None:
        super().__init__()
        check_group(group, "PrincipalFrames")
        self.group = group
        self._signs = [
            signs
            for signs in itertools.product((1.0, -1.0), repeat=group.dimension)
            if group.mirrors or math.prod(signs) > 0
        ]

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        """Return the frames of each cloud, `(B, K, n, n)`, and no weights.

        Raises:
            ConfigurationError: As `read_points`.
        """
        points, _ = read_points(x, mask, self.group.dimension)
        with full_precision(x.device):  # for the gradient's sake
            axes, tied = _principal_axes(points)
        none = points.new_zeros(len(points), axes_needed(self.group), points.shape[2])
        axes = torch.where(tied[:, None, None], orthonormal(none, none[..., 0], points), axes)
        if not self.group.mirrors:
            handed = torch.linalg.det(axes.detach()).sign()
            axes = torch.cat([axes[..., :-1], axes[..., -1:] * handed[:, None, None]], -1)
        return axes[:, None] * axes.new_tensor(self._signs)[:, None], None  # (B, 1, n, n) times (K, 1, n)

    @classmethod
    def from_dict(
        cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None = None
    ) -> PrincipalFrames:
        """Return the frames of this group."""
        return cls(group)

    def extra_repr(self) -> str:
        """Return the group."""
        return repr(self.group)


def _principal_axes(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return principal axes as columns, `(B, n, n)`, and where two lengths other than 0 are equal, `(B,)`."""
    lengths, axes = principal(points)
    least, zero = rounding(points) * lengths[:, :1], zero_below(points) * lengths[:, :1]
    tied = ((lengths[:, :-1] - lengths[:, 1:] <= least) & (lengths[:, :-1] > zero)).any(1)
    # The derivative of eigenvectors, as a term that is 0. That of a decomposition is NaN where eigenvalues are equal.
    moments = points.mT @ points
    change = axes.mT @ (moments - moments.detach()) @ axes
    apart = (lengths[:, None] - lengths[:, :, None]).abs() > least.unsqueeze(-1)
    gaps = lengths.square()[:, None] - lengths.square()[:, :, None]
    return axes + axes @ torch.where(apart, change / torch.where(apart, gaps, 1), 0), tied

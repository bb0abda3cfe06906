"""A network of vector neurons that finds the axes of a cloud or of a few vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hf_equi.actions._resampling import full_precision
from hf_equi.bases.chunks import evaluates_on_cpu
from hf_equi.bases.neighbours import gathered, nearest
from hf_equi.canonicalization.axes import in_span, orthonormal
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer
from hf_equi.canonicalization.gram_schmidt import axes_needed
from hf_equi.canonicalization.points import check_group, read_points
from hf_equi.canonicalization.vector_layers import VectorLayer, VectorLinear, weighted_mean
from hf_equi.checks import check_count
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup

__all__ = ["VectorNeurons"]

_PAIRS_AT_ONCE = 2**13
"""The pairs of neighbours that a CPU reads at once in evaluation, so that what it computes stays in its caches."""


class VectorNeurons(ContinuousCanonicalizer):
    r"""A network whose features are vectors that turn with the input; Gram–Schmidt of what it returns is h(x).

    $$ h(x) = \text{GramSchmidt}(v_1(x), \dots, v_P(x)), \qquad v_p(gx) = g\, v_p(x) $$

    A cloud is read by its neighbourhoods: the features of point i and its neighbour j are $x_j - x_i$ and $x_i$, and
    without mirrors also $x_j \times x_i$ in space, or both turned by 90° in the plane. A layer, the mean over the
    neighbours, more layers, a linear map and the mean over the points follow. The order of the points does not count.
    With `vectors` an input is that many vectors in a fixed order, and they are the features.

    In a cloud with a symmetry of its own, such as a regular body, the means cancel. Then Gram–Schmidt makes the axes
    from the points, in the order in which they are given. They turn with the cloud too, but depend on that order.

    Args:
        group: `SO2`, `O2`, `SO3` or `O3`; for others see `Composed`.
        vectors: The number of vectors of an input; by default an input is a cloud.
        channels: The channels of each layer.
        layers: The number of layers.
        neighbours: The neighbours of each point, itself included.

    Raises:
        ConfigurationError: For another group, a size below 1, or neighbours of vectors.

    Cost: about 2,000 weights; memory in proportion to points times neighbours. Guarantee: exact up to rounding, also
    while it trains; under autocast it computes in the dtype of its weights.

    References:
        arXiv 2104.12229, sections 3.1 to 3.4. The sizes, the mean pooling and the batch norm are those with which
        arXiv 2211.06489 and 2310.01647 canonicalize clouds. Deviations: a neighbour counts less the farther it is, so
        that the output does not jump when one enters or leaves; the last layer is linear; dropout is left out.

    Example:
        >>> from hf_equi.groups import SO3
        >>> network, cloud = VectorNeurons(SO3()).eval(), torch.randn(1, 30, 3)
        >>> turn = SO3().sample(1).float()
        >>> h, turned = (network.poses(x)[0][:, 0] for x in (cloud, cloud @ turn.mT))
        >>> torch.allclose(turned, turn @ h, atol=1e-4)
        True
    """

    kind = "vector_neurons"
    equivariant = True

    def __init__(
        self,
        group: ContinuousGroup,
        vectors: int | None = None,
        *,
        channels: int = 21,
        layers: int = 2,
        neighbours: int | None = None,
    ) -> None:
        super().__init__()
        check_group(group, "VectorNeurons")
        if vectors is not None and neighbours is not None:
            raise ConfigurationError(
                f"vectors={vectors} in a fixed order have no neighbours: leave neighbours={neighbours} out"
            )
        neighbours = (None if vectors else 20) if neighbours is None else neighbours
        for name, value in {
            "vectors": vectors,
            "channels": channels,
            "layers": layers,
            "neighbours": neighbours,
        }.items():
            if value is not None:
                check_count(name, value, "size")
        self.group = group
        self.settings: dict[str, Any] = {
            "vectors": vectors,
            "channels": channels,
            "layers": layers,
            "neighbours": neighbours,
        }
        inputs = vectors or (2 if group.mirrors else 4 if group.dimension == 2 else 3)
        self.layers = nn.ModuleList([VectorLayer(channels if place else inputs, channels) for place in range(layers)])
        self.head = VectorLinear(channels, axes_needed(group))

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        """Return the element of each input, `(B, 1, n, n)`, and no weights.

        Raises:
            ConfigurationError: As `read_points`, and for another number of vectors.
        """
        points, kept = read_points(x, mask, self.group.dimension)
        most = max(_PAIRS_AT_ONCE // (points.shape[1] * (self.settings["neighbours"] or 1)), 1)
        if not evaluates_on_cpu(self, points):
            most = points.shape[0]
        with full_precision(x.device):
            pieces = zip(torch.split(points, most), torch.split(kept, most), strict=True)
            return torch.cat([self._axes(*piece) for piece in pieces]).unsqueeze(1), None

    def _axes(self, points: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """Return the axes of points in the dtype of the weights, also under autocast, `(B, n, n)`."""
        found, weights = self._features(points.to(self.head.weight.dtype), kept)  # (B, N, C, n), (B, N)
        vectors = self.head(weighted_mean(found, weights))  # (B, P, n)
        lengths = weighted_mean(torch.linalg.vector_norm(found.detach(), dim=-1, keepdim=True), weights)  # (B, C, 1)
        scales = (self.head.weight.detach().abs() @ lengths)[..., 0]
        points = points.to(vectors.dtype)
        return orthonormal(in_span(vectors, points), scales, points)

    def _features(self, points: torch.Tensor, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features of each point after all layers, and how much it counts."""
        wanted = self.settings["vectors"]
        if wanted is None:
            found, weights = self._neighbourhoods(points, kept)  # (B, N, k, C, n), (B, N, k)
            found = weighted_mean(self.layers[0](found, weights), weights)
            weights, rest = kept.to(points.dtype), self.layers[1:]
        elif points.shape[1] != wanted:
            raise ConfigurationError(
                f"This VectorNeurons reads {wanted} vectors for each input; received {points.shape[1]}"
            )
        else:
            found, weights, rest = points.unsqueeze(1), torch.ones_like(points[:, :1, 0]), self.layers
        for layer in rest:
            found = layer(found, weights)
        return found, weights

    def _neighbourhoods(self, points: torch.Tensor, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features of each point's neighbours, `(B, N, k, C, n)`, and how much each counts."""
        count = min(self.settings["neighbours"], points.shape[1])
        found = nearest(points, kept, min(count + 1, points.shape[1]), ordered=True)
        rows = torch.arange(points.shape[0], device=points.device)[:, None, None]
        near = gathered(points, found)  # (B, N, k + 1, n)
        squares = (near - points.unsqueeze(2)).square().sum(-1)
        squares = squares.masked_fill(~kept[rows, found], torch.inf)
        # The first neighbour that is left out has the weight 0. Without it all count the same.
        limit = squares[..., count:] if squares.shape[-1] > count else torch.full_like(squares[..., :1], torch.inf)
        near, squares = near[..., :count, :], squares[..., :count]
        there = squares.isfinite() & kept.unsqueeze(-1)
        bounded = limit.isfinite() & (limit > 0)
        shares = 1 - torch.where(there, squares, 0) / torch.where(bounded, limit, torch.inf)
        own = points.unsqueeze(2).expand_as(near)
        return self._pairs(near, own), torch.where(there, shares, 0)

    def _pairs(self, near: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Return the features of pairs of points, `(..., n)` to `(..., C, n)`."""
        parts = [near - own, own]
        if not self.group.mirrors:
            plane = self.group.dimension == 2
            parts += [_quarter(part) for part in parts] if plane else [torch.linalg.cross(near, own)]
        return torch.stack(parts, -2)

    def to_dict(self) -> dict[str, Any]:
        """Return its sizes."""
        return {**super().to_dict(), **self.settings}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None = None) -> VectorNeurons:
        """Return a network of these sizes, with new weights."""
        return cls(group, **{name: value for name, value in content.items() if name != "type"})

    def extra_repr(self) -> str:
        """Return the group and what it reads."""
        return f"{self.group!r}, vectors={self.settings['vectors']}, neighbours={self.settings['neighbours']}"


def _quarter(x: torch.Tensor) -> torch.Tensor:
    """Turn vectors of the plane by 90°."""
    return torch.stack([-x[..., 1], x[..., 0]], -1)

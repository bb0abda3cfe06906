"""Frames of all tuples of points, weighted so that their average is continuous."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from hf_equi.canonicalization.axes import orthonormal, rounding, zero_below
from hf_equi.canonicalization.gram_schmidt import GramSchmidt, vectors_of
from hf_equi.canonicalization.points import read_points
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup
from hf_equi.groups.rotations import multiply

__all__ = ["MOST_FRAMES", "WeightedFrames"]

MOST_FRAMES = 4096
"""The most frames of a cloud. Each one is a base forward."""
_TINY = 1e-30


class WeightedFrames(GramSchmidt):
    r"""The frames that Gram–Schmidt makes of n - 1 of the points, for all tuples of points, with weights.

    $$ w_{ij} = \frac{|x_i|}{\sum_k |x_k|} \cdot \frac{|P_i x_j|}{\sum_k |P_i x_k|}, \qquad
    P_i = 1 - \frac{x_i x_i^\top}{|x_i|^2} $$

    in space; in the plane there is only the first factor. $h_{ij}(x)$ is right-handed, with the axes of $x_i$ and $P_i
    x_j$. For groups with mirrors each frame comes with its last axis in both directions, half the weight each. The
    order of the points does not count.

    *What is continuous.* For every continuous base M, the average $\sum_{ij} w_{ij}(x) M(h_{ij}(x)^{-1} x)$ is
    continuous in x, everywhere. Where a frame jumps, it has the weight 0 or no effect: $x_i = 0$ has the weight 0; so
    has $P_i x_j = 0$, unless all points lie on the line of $x_i$, and then all $h_{ij}(x)^{-1} x$ come close to one
    another. No single element, and no frames of equal weight, can do that. Outputs that are moved back are continuous
    except at points on a line, in space, and at clouds of zeros.

    Args:
        group: `SO2`, `O2`, `SO3` or `O3`.
        vectors: As in `GramSchmidt`. With V vectors instead of N points there are fewer frames. The average is then
            continuous where these are, except where they are all 0 or, in space, on one line, but the cloud is not.

    Raises:
        ConfigurationError: For another group.

    Cost: N base forwards for SO(2) and N (N - 1) for SO(3), twice that for O(2) and O(3); at most 4096. Guarantee:
    exact up to rounding.

    References:
        arXiv 2402.16077, which shows that weights are needed and defines such frames. The weights and the argument
        here are our own.

    Example:
        >>> from hf_equi.groups import SO2
        >>> elements, log_weights = WeightedFrames(SO2()).poses(torch.tensor([[[0.0, 3.0], [1.0, 0.0]]]))
        >>> elements.shape, log_weights.exp()
        (torch.Size([1, 2, 2, 2]), tensor([[0.7500, 0.2500]]))
    """

    kind = "weighted_frames"

    def __init__(self, group: ContinuousGroup, vectors: Any = None) -> None:
        super().__init__(group, vectors)

    def poses(  # type: ignore[override]  # with weights
        self, x: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the frames of each cloud, `(B, K, n, n)`, and their log-weights, `(B, K)`.

        Raises:
            ConfigurationError: As `read_points`, and for a cloud with too many frames.
        """
        points, _ = read_points(x, mask, self.group.dimension)
        points = points if self.vectors is None else vectors_of(self.vectors, points, mask, 1)
        tuples = self._tuples(points.shape[1]).to(points.device)  # (T, n - 1)
        chosen = points[:, tuples]  # (B, T, n - 1, n)
        log_weights = _log_shares(torch.linalg.vector_norm(points, dim=-1))[:, tuples[:, 0]]
        if tuples.shape[1] > 1:
            log_weights = log_weights + self._second(points)[:, tuples[:, 0], tuples[:, 1]]
        flat = chosen.flatten(0, 1)
        # Short vectors have small weights, so only what has no direction at all has to be replaced.
        size = torch.linalg.vector_norm(points.detach(), dim=-1).amax(1) * (zero_below(points) / rounding(points))
        scales = size[:, None, None].expand(chosen.shape[:3]).flatten(0, 1)
        frames = orthonormal(flat, scales, torch.zeros_like(flat))
        frames = frames.view(*chosen.shape[:2], *frames.shape[1:])
        if self.group.mirrors:
            mirror = torch.ones_like(frames[0, 0, 0])
            mirror[-1] = -1
            frames, log_weights = torch.cat([frames, frames * mirror], 1), log_weights.repeat(1, 2)
        return frames, log_weights - log_weights.logsumexp(1, keepdim=True)

    def _tuples(self, count: int) -> torch.Tensor:
        """Return all tuples of n - 1 of the points, `(T, n - 1)`."""
        taken = self.group.dimension - 1
        found = list(itertools.permutations(range(count), taken)) if count >= taken else [(0,) * taken]
        if (frames := len(found) * (1 + self.group.mirrors)) > MOST_FRAMES:
            raise ConfigurationError(
                f"{count} points have {frames} frames in {self.group!r}, and each is a base forward; at most "
                f"{MOST_FRAMES} are made. Pass vectors=, a function that makes fewer vectors of a cloud, or use "
                "PrincipalFrames"
            )
        return torch.tensor(found)

    @staticmethod
    def _second(points: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the second factor of the weights, `(B, N, N)`."""
        length = torch.linalg.vector_norm(points, dim=-1, keepdim=True)
        axes = points / length.clamp_min(_TINY)  # (B, N, n)
        along = multiply(axes, points.mT)  # (B, i, j)
        rest = points[:, None] - along.unsqueeze(-1) * axes[:, :, None]
        rest = rest - (rest * axes[:, :, None]).sum(-1, keepdim=True) * axes[:, :, None]
        own = torch.eye(points.shape[1], dtype=torch.bool, device=points.device)
        return _log_shares(torch.linalg.vector_norm(rest, dim=-1).masked_fill(own, 0))


def _log_shares(lengths: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of each length's share of all, `(..., N)`; equal shares if all are 0."""
    total = lengths.sum(-1, keepdim=True)
    equal = torch.full_like(lengths, 1 / lengths.shape[-1])
    shares = torch.where(total > 0, lengths / torch.where(total > 0, total, 1), equal)
    return shares.clamp_min(_TINY).log()

r"""Orthonormal axes of vectors by Gram–Schmidt, and principal axes of points, defined for all inputs.

Letters: B batch, n dimension, P vectors that give axes, N points.
"""

from __future__ import annotations

import torch

from hf_equi.groups.rotations import multiply

__all__ = ["in_span", "orthonormal", "principal", "rounding", "zero_below"]

# Of several points that could give an axis, the first one counts whose rest is at least this share of the longest.
# Points of regular bodies have equal rests, up to rounding. So the first of them is taken whatever the rounding.
_LONG = 0.618
# Shorter vectors are 0: the squares of their numbers leave the range of float32.
_ZERO = 1e-18


def rounding(like: torch.Tensor) -> float:
    """Return the relative length below which a direction is taken to be rounding: the root of the dtype's epsilon."""
    return float(torch.finfo(like.dtype).eps ** 0.5)


def zero_below(like: torch.Tensor) -> float:
    """Return the relative length below which a vector is rounding and nothing else: a few of the dtype's epsilon."""
    return 16 * torch.finfo(like.dtype).eps


@torch.no_grad()
def principal(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Return the principal axes of points, without gradients.

    $$ \sum_i x_i x_i^\top = U\, \text{diag}(s_1^2, \dots, s_n^2)\, U^\top $$

    They are found from the points, not from this sum, so that short axes keep their digits.

    Args:
        points: `(B, N, n)`.

    Returns:
        `(B, n)` lengths s, falling, and `(B, n, n)` axes as columns.

    Example:
        >>> principal(torch.tensor([[[0.0, 3.0], [1.0, 0.0]]]))[0]
        tensor([[3., 1.]])
    """
    small = torch.linalg.qr(points, mode="r").R
    _, lengths, axes = torch.linalg.svd(small, full_matrices=True)
    return torch.nn.functional.pad(lengths, (0, points.shape[2] - lengths.shape[1])), axes.mT


def in_span(vectors: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return vectors `(B, P, n)` without what rounding adds beside the line or plane in which points `(B, N, n)` lie.

    Vectors of points that lie in neither stay as they are.
    """
    lengths, axes = principal(points)
    there = lengths > zero_below(points) * lengths[:, :1]
    spanned = axes * there[:, None].to(axes.dtype)
    return torch.where(there.all(1)[:, None, None], vectors, multiply(multiply(vectors, spanned), spanned.mT))


def orthonormal(vectors: torch.Tensor, scales: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    r"""Return the axes of vectors, as the columns of orthogonal matrices.

    $$ r_p = v_p - \sum_{q < p} \langle a_q, v_p \rangle\, a_q, \qquad a_p = r_p / |r_p| $$

    With n - 1 vectors the last axis makes the matrix right-handed. A vector whose rest r is 0 gives no axis. Then the
    points are asked in their order, and the rest of the first one that is long enough takes its place. So the axes
    turn with vectors and points, whatever these are. If the points have no rest either, they lie in the span of the
    axes found so far, and a rotation about it moves none of them. Then the coordinate axis with the longest rest is
    taken: the points look the same in all such axes.

    Args:
        vectors: `(B, P, n)`, with P either n - 1 or n.
        scales: `(B, P)` lengths of what was added up to make the vectors. A rest of at most the share `rounding` of
            them is 0.
        points: `(B, N, n)`.

    Returns:
        `(B, n, n)`, to which gradients flow.

    Example:
        >>> vectors = torch.tensor([[[0.0, 2.0, 0.0], [0.0, 3.0, 1.0]]])
        >>> orthonormal(vectors, torch.ones(1, 2), vectors)
        tensor([[[0., 0., 1.],
                 [1., 0., 0.],
                 [0., 1., 0.]]])
    """
    share = rounding(vectors)
    size = torch.linalg.vector_norm(points.detach(), dim=-1).amax(1)
    axes: list[torch.Tensor] = []
    for place in range(vectors.shape[1]):
        rest = _rest(vectors[:, place, None], axes)[:, 0]
        lost = torch.linalg.vector_norm(rest.detach(), dim=-1) <= (share * scales[:, place]).clamp_min(_ZERO)
        rest = torch.where(lost[:, None], _instead(points, axes, (share * size).clamp_min(_ZERO)), rest)
        axes.append(rest / torch.linalg.vector_norm(rest, dim=-1, keepdim=True))
    if len(axes) < vectors.shape[2]:
        axes.append(_right_handed(axes))
    return torch.stack(axes, -1)


def _rest(x: torch.Tensor, axes: list[torch.Tensor]) -> torch.Tensor:
    """Return what axes `(B, n)` leave of points `(B, N, n)`."""
    for axis in (*axes, *axes):  # twice, so that what is left is orthogonal in all digits
        x = x - (x * axis[:, None]).sum(-1, keepdim=True) * axis[:, None]
    return x


def _instead(points: torch.Tensor, axes: list[torch.Tensor], least: torch.Tensor) -> torch.Tensor:
    """Return the rest of a point, or of a coordinate axis if no point has one longer than `least`, `(B, n)`."""
    left = _rest(points, axes)
    long = torch.linalg.vector_norm(left.detach(), dim=-1)
    longest = long.amax(1, keepdim=True)
    first = (long >= _LONG * longest).int().argmax(1)
    point = left.gather(1, first[:, None, None].expand(-1, 1, left.shape[2]))[:, 0]
    units = torch.eye(points.shape[2], dtype=points.dtype, device=points.device).expand(len(points), -1, -1)
    free = _rest(units, [axis.detach() for axis in axes])
    best = torch.linalg.vector_norm(free, dim=-1).argmax(1)
    unit = free.gather(1, best[:, None, None].expand(-1, 1, free.shape[2]))[:, 0]
    return torch.where(longest > least[:, None], point, unit)


def _right_handed(axes: list[torch.Tensor]) -> torch.Tensor:
    """Return the last axis of a right-handed matrix, `(B, n)`."""
    if len(axes) == 1:
        return torch.stack([-axes[0][:, 1], axes[0][:, 0]], -1)
    last: torch.Tensor = torch.linalg.cross(*axes)
    return last

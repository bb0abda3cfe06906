r"""Rotation matrices of the plane and of space, and the vectors that they are exponentials of.

Letters: d is 2 or 3. A rotation vector is the angle in the plane, `(..., 1)`, and the axis times the angle in space,
`(..., 3)`. Angles are in radians, counter-clockwise. Everything is computed without matrix products of torch, which
mixed precision and TensorFloat-32 would round to a few digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

__all__ = [
    "inverse_transport",
    "multiply",
    "rotation_matrix",
    "rotation_vector",
    "sample_orthogonal",
    "transport",
    "unit_quaternion",
]

_SERIES_BELOW = 0.25
"""Squared angles below this one use a series: the closed forms, or their derivatives, would cancel there."""
# sin θ / θ,  (1 - cos θ) / θ²,  (θ - sin θ) / θ³  and  (1 - θ/2 cot θ/2) / θ²  as series in θ².
_SINE = (1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800)
_COSINE = (1 / 2, -1 / 24, 1 / 720, -1 / 40320, 1 / 3628800, -1 / 479001600, 1 / 87178291200)
_REST = (1 / 6, -1 / 120, 1 / 5040, -1 / 362880, 1 / 39916800, -1 / 6227020800, 1 / 1307674368000)
_COTANGENT = (1 / 12, 1 / 720, 1 / 30240, 1 / 1209600, 1 / 47900160, 691 / 1307674368000, 1 / 74724249600)
# 2 arcsin(u) / u as a series in u².
_ARCSINE = (2, 1 / 3, 3 / 20, 5 / 56, 35 / 576, 63 / 1408, 231 / 6656, 143 / 5120)
_ARCSINE_BELOW = 0.01


def multiply(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return matrix products, `(..., n, m)` times `(..., m, k)`; leading axes broadcast.

    The sum is taken from left to right in the dtype of the arguments, whatever the batch. So products with matrices
    of 0, 1 and -1 are exact.
    """
    total = a[..., :, 0, None] * b[..., None, 0, :]
    for j in range(1, a.shape[-1]):
        total = total + a[..., :, j, None] * b[..., None, j, :]
    return total


def rotation_matrix(vector: torch.Tensor) -> torch.Tensor:
    r"""Return the exponential of rotation vectors: Rodrigues' formula.

    $$ R = \exp K = 1 + \frac{\sin θ}{θ} K + \frac{1 - \cos θ}{θ^2} K^2, \qquad θ = |\text{vector}| $$

    with K the skew-symmetric matrix of the vector.

    Args:
        vector: `(..., 1)` or `(..., 3)`.

    Returns:
        `(..., d, d)`.

    Example:
        >>> rotation_matrix(torch.tensor([0.0, 0.0, torch.pi / 2])).round(decimals=3) + 0.0
        tensor([[ 0., -1.,  0.],
                [ 1.,  0.,  0.],
                [ 0.,  0.,  1.]])
    """
    skew, squared = _skew(vector), _squared_angle(vector)
    return _polynomial(skew, _sine(squared), _cosine(squared))


def transport(vector: torch.Tensor) -> torch.Tensor:
    r"""Return the matrix that makes the translation of a rigid motion out of that in its logarithm.

    $$ V = \int_0^1 \exp(sK)\, ds = 1 + \frac{1 - \cos θ}{θ^2} K + \frac{θ - \sin θ}{θ^3} K^2 $$

    Args:
        vector: `(..., 1)` or `(..., 3)`, the rotation vector.

    Returns:
        `(..., d, d)`.
    """
    squared = _squared_angle(vector)
    rest = _even(squared, _REST, lambda angle: (angle - angle.sin()) / angle**3)
    return _polynomial(_skew(vector), _cosine(squared), rest)


def inverse_transport(vector: torch.Tensor) -> torch.Tensor:
    r"""Return the inverse of `transport`, for angles below a full turn.

    $$ V^{-1} = 1 - \frac{1}{2} K + \frac{1 - \frac{θ}{2} \cot \frac{θ}{2}}{θ^2} K^2 $$

    Args:
        vector: `(..., 1)` or `(..., 3)`, the rotation vector.

    Returns:
        `(..., d, d)`.
    """
    squared = _squared_angle(vector)
    factor = _even(squared, _COTANGENT, lambda angle: (1 - angle / 2 / (angle / 2).tan()) / angle**2)
    return _polynomial(_skew(vector), torch.full_like(squared, -0.5), factor)


def rotation_vector(matrix: torch.Tensor) -> torch.Tensor:
    """Return the shortest rotation vectors of rotations: the inverse of `rotation_matrix` for angles below π.

    In space it goes through quaternions, which keep all digits near 0 and near π. At π exactly, one of the two
    opposite vectors is returned.

    Args:
        matrix: `(..., d, d)` rotations.

    Returns:
        `(..., 1)` or `(..., 3)`, of norm at most π.
    """
    if matrix.shape[-1] == 2:
        sine, cosine = matrix[..., 1, 0] - matrix[..., 0, 1], matrix[..., 0, 0] + matrix[..., 1, 1]
        return torch.atan2(sine, cosine).unsqueeze(-1)
    quaternion = unit_quaternion(matrix)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    squared = (imaginary**2).sum(-1, keepdim=True)
    near = squared < _ARCSINE_BELOW
    sine = torch.where(near, 1.0, squared).sqrt()
    factor = torch.where(near, _horner(torch.where(near, squared, 0.0), _ARCSINE), 2 * torch.atan2(sine, real) / sine)
    return factor * imaginary


def unit_quaternion(matrix: torch.Tensor) -> torch.Tensor:
    r"""Return rotations of space as unit quaternions with a real part of 0 or more.

    $$ q = (\cos \tfrac{θ}{2}, \sin \tfrac{θ}{2}\, n) $$

    for the angle θ and the axis n. The entries of $4 q q^\top$ are sums of entries of the matrix. Its row with the
    largest diagonal entry is q up to a factor, so nothing is divided by a small number (Shepperd 1978).

    Args:
        matrix: `(..., 3, 3)` rotations.

    Returns:
        `(..., 4)`, the real part first.
    """
    a, b, c = matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 2, 2]
    x, y, z = (matrix[..., i, j] - matrix[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    p, q, r = (matrix[..., i, j] + matrix[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    entries = (1 + a + b + c, x, y, z, x, 1 + a - b - c, r, q, y, r, 1 - a + b - c, p, z, q, p, 1 - a - b + c)
    table = torch.stack(entries, -1).view(*a.shape, 4, 4)
    largest = table.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    row = table.gather(-2, largest.expand(*largest.shape[:-1], 4)).squeeze(-2)
    unit = row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)
    return torch.where(unit[..., :1] < 0, -unit, unit)


def sample_orthogonal(
    count: int, dimension: int, mirrors: bool, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Draw orthogonal matrices by the Haar measure, the only one that no element changes.

    The factor Q of a Gaussian matrix is uniform if the diagonal of R is made positive.

    Args:
        count: How many.
        dimension: Their side d.
        mirrors: Whether determinants may be -1; if not, the first column changes its sign where they would be.
        generator: The source of randomness; torch's own by default.

    Returns:
        `(count, d, d)` float64, on the CPU.

    References:
        Mezzadri 2007, math-ph/0609050, section 5.
    """
    normal = torch.randn(count, dimension, dimension, generator=generator, dtype=torch.float64, device="cpu")
    q, r = torch.linalg.qr(normal)
    found: torch.Tensor = q * torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(q).unsqueeze(-2)
    if not mirrors:
        mirrored = torch.linalg.det(found) < 0
        found[mirrored, :, 0] = -found[mirrored, :, 0]
    return found


def _skew(vector: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros_like(vector[..., 0])
    if vector.shape[-1] == 1:
        angle = vector[..., 0]
        return torch.stack((zero, -angle, angle, zero), -1).view(*zero.shape, 2, 2)
    x, y, z = vector.unbind(-1)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), -1).view(*zero.shape, 3, 3)


def _squared_angle(vector: torch.Tensor) -> torch.Tensor:
    return (vector**2).sum(-1)[..., None, None]


def _polynomial(skew: torch.Tensor, linear: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    identity = torch.eye(skew.shape[-1], dtype=skew.dtype, device=skew.device)
    return identity + linear * skew + square * multiply(skew, skew)


def _sine(squared: torch.Tensor) -> torch.Tensor:
    return _even(squared, _SINE, lambda angle: angle.sin() / angle)


def _cosine(squared: torch.Tensor) -> torch.Tensor:
    return _even(squared, _COSINE, lambda angle: 2 * ((angle / 2).sin() / angle) ** 2)


def _even(
    squared: torch.Tensor, series: Sequence[float], closed: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Return an even function of the angle: by its series near 0, by its closed form elsewhere."""
    near = squared < _SERIES_BELOW
    # Neither branch sees the other's values: its gradient could be NaN there, and 0 · NaN is NaN.
    return torch.where(
        near, _horner(torch.where(near, squared, 0.0), series), closed(torch.where(near, 1.0, squared).sqrt())
    )


def _horner(x: torch.Tensor, coefficients: Sequence[float]) -> torch.Tensor:
    total = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total

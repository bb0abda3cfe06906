"""Exponentials and logarithms against those of torch, near 0 and near half a turn, with their gradients."""

from __future__ import annotations

import math

import pytest
import torch

from hf_equi.groups.rotations import (
    inverse_transport,
    multiply,
    rotation_matrix,
    rotation_vector,
    sample_orthogonal,
    transport,
    unit_quaternion,
)

ANGLES = [0.0, 1e-12, 1e-8, 1e-4, 0.1, 0.499, 0.501, 1.0, 3.0, math.pi - 1e-3]
NEAR_HALF_A_TURN = [math.pi - 1e-6, math.pi - 1e-10]


def vectors(coordinates: int, angle: float, count: int = 20) -> torch.Tensor:
    """Rotation vectors of one angle."""
    generator = torch.Generator().manual_seed(0)
    axes = torch.randn(count, coordinates, generator=generator, dtype=torch.float64)
    return angle * axes / axes.norm(dim=-1, keepdim=True)


def skew(vector: torch.Tensor) -> torch.Tensor:
    """The matrix whose product with a point is the cross product, or the quarter turn times the angle in the plane."""
    if vector.shape[-1] == 1:
        return vector[..., None] * torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=vector.dtype)
    axes = torch.eye(3, dtype=vector.dtype).expand(*vector.shape[:-1], 3, 3)
    return torch.linalg.cross(vector[..., None, :].expand_as(axes), axes).mT


@pytest.mark.parametrize("coordinates", [1, 3])
@pytest.mark.parametrize("angle", [*ANGLES, *NEAR_HALF_A_TURN, 20.0])
def test_the_exponential_is_that_of_torch(coordinates, angle):
    vector = vectors(coordinates, angle)
    torch.testing.assert_close(rotation_matrix(vector), torch.matrix_exp(skew(vector)), rtol=0, atol=1e-14)
    single = rotation_matrix(vector.float())
    torch.testing.assert_close(single.double(), rotation_matrix(vector), rtol=0, atol=2e-6 if angle > 4 else 1e-6)


@pytest.mark.parametrize("coordinates", [1, 3])
@pytest.mark.parametrize("angle", [*ANGLES, *NEAR_HALF_A_TURN])
def test_the_logarithm_keeps_all_digits(coordinates, angle):
    vector = vectors(coordinates, angle)
    torch.testing.assert_close(rotation_vector(rotation_matrix(vector)), vector, rtol=2e-15, atol=0)
    if angle in ANGLES:
        single = vector.float()
        torch.testing.assert_close(rotation_vector(rotation_matrix(single)), single, rtol=1e-6, atol=0)


def test_at_half_a_turn_either_axis_is_right():
    axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.8, 0.0], [0.6, 0.0, -0.8]]
    turns = torch.tensor(axes, dtype=torch.float64)
    halves = 2 * turns[:, :, None] * turns[:, None, :] - torch.eye(3, dtype=torch.float64)
    vector = rotation_vector(halves)
    torch.testing.assert_close((vector * turns).sum(-1).abs(), torch.full((5,), math.pi).double())
    torch.testing.assert_close(rotation_matrix(vector), halves, rtol=0, atol=1e-15)


@pytest.mark.parametrize("coordinates", [1, 3])
@pytest.mark.parametrize("angle", ANGLES)
def test_the_transport_is_the_integral_of_the_exponential(coordinates, angle):
    vector = vectors(coordinates, angle, 3)
    # Quadrature with three points in each of forty intervals.
    points, weights = math.sqrt(3 / 5) * torch.tensor([-1.0, 0, 1]).double(), torch.tensor([5.0, 8, 5]).double() / 18
    times = (torch.arange(40)[:, None] + (points + 1) / 2).flatten() / 40
    steps = torch.stack([rotation_matrix(time * vector) for time in times])
    integral = (weights.repeat(40).view(-1, 1, 1, 1) * steps).sum(0) / 40
    torch.testing.assert_close(transport(vector), integral, rtol=0, atol=1e-11)
    product = multiply(transport(vector), inverse_transport(vector))
    torch.testing.assert_close(product, torch.eye(product.shape[-1]).double().expand_as(product), rtol=0, atol=1e-14)


@pytest.mark.parametrize("coordinates", [1, 3])
@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.3, 2.0])
def test_gradients_are_those_of_finite_differences(coordinates, angle):
    vector = vectors(coordinates, angle, 1).requires_grad_()
    for function in (rotation_matrix, transport, inverse_transport):
        assert torch.autograd.gradcheck(function, vector)
        assert torch.autograd.gradgradcheck(function, vector, fast_mode=True)
    # The logarithm undoes the exponential, also to first order.
    jacobian = torch.autograd.functional.jacobian(lambda v: rotation_vector(rotation_matrix(v)).sum(0), vector)
    identity = torch.eye(coordinates).double()[:, None].expand(-1, 1, -1)
    torch.testing.assert_close(jacobian, identity, rtol=0, atol=1e-12)


def test_no_gradient_is_lost_in_single_precision_or_at_half_a_turn():
    for angle in (0.0, 1e-20, 1e-6, 0.5, math.pi):
        vector = vectors(3, angle).float().requires_grad_()
        rotation_vector(rotation_matrix(vector)).sum().backward()
        assert vector.grad.isfinite().all()


def test_quaternions_turn_points():
    matrices = sample_orthogonal(50, 3, mirrors=False, generator=torch.Generator().manual_seed(0))
    quaternion, x = unit_quaternion(matrices), torch.randn(50, 3, dtype=torch.float64)
    torch.testing.assert_close(quaternion.norm(dim=-1), torch.ones(50).double())
    assert (quaternion[:, 0] >= 0).all()
    real, imaginary = quaternion[:, :1], quaternion[:, 1:]
    across = 2 * torch.linalg.cross(imaginary, x)
    turned = x + real * across + torch.linalg.cross(imaginary, across)
    torch.testing.assert_close(turned, multiply(matrices, x[..., None])[..., 0])


def test_products_broadcast_and_are_exact_for_signs():
    a, b = torch.randn(4, 1, 3, 3), torch.randn(5, 3, 2)
    torch.testing.assert_close(multiply(a, b), a @ b)
    turn = torch.tensor([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    x = torch.tensor([[1e30], [1e-30], [1 / 3]])
    assert torch.equal(multiply(turn, x), torch.tensor([[-1 / 3], [1e30], [1e-30]]))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(multiply(a, b), torch.stack([multiply(one, b) for one in a[:, 0]]))
        assert multiply(a, b).dtype == torch.float32


@pytest.mark.parametrize(("dimension", "mirrors"), [(2, False), (2, True), (3, False), (3, True)])
def test_random_elements_are_uniform(dimension, mirrors):
    """By the means of traces of powers, which Haar's measure has as integers, and by where it sends a point."""
    count = 40_000
    drawn = sample_orthogonal(count, dimension, mirrors, torch.Generator().manual_seed(0))
    identity = torch.eye(dimension, dtype=torch.float64)
    torch.testing.assert_close(drawn @ drawn.mT, identity.expand_as(drawn), rtol=0, atol=1e-13)
    share = float((torch.linalg.det(drawn) < 0).double().mean())
    assert abs(share - 0.5) < 0.01 if mirrors else share == 0
    trace = drawn.diagonal(dim1=-2, dim2=-1).sum(-1)
    # The number of copies of the trivial representation in the vectors, and in their square.
    assert abs(float(trace.mean())) < 0.02
    assert abs(float((trace**2).mean()) - (1 if dimension == 3 or mirrors else 2)) < 0.03
    image = drawn[:, :, -1]  # of a unit vector: its coordinates have mean 0 and variance 1/d on the sphere
    assert image.mean(0).abs().max() < 0.02
    torch.testing.assert_close(image.T @ image / count, identity / dimension, rtol=0, atol=0.01)
    assert torch.equal(drawn, sample_orthogonal(count, dimension, mirrors, torch.Generator().manual_seed(0)))
    assert sample_orthogonal(0, dimension, mirrors).shape == (0, dimension, dimension)

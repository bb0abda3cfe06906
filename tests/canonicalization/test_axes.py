"""Gram–Schmidt and principal axes against linear algebra, and what takes the place of a missing axis."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw

from hf_equi.canonicalization.axes import in_span, orthonormal, principal


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("free", [0, 1])
def test_axes_are_those_of_the_qr_decomposition(n, free):
    vectors = draw(5, n - free, n)
    axes = orthonormal(vectors, torch.ones(5, n - free), draw(5, 4, n))
    q, r = torch.linalg.qr(vectors.mT)
    torch.testing.assert_close(axes[..., : n - free], q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2))
    torch.testing.assert_close(axes @ axes.mT, torch.eye(n, dtype=axes.dtype).expand(5, -1, -1))
    if free:
        torch.testing.assert_close(torch.linalg.det(axes), torch.ones(5, dtype=axes.dtype))


def test_a_missing_axis_is_that_of_the_first_long_point_and_else_a_coordinate_axis():
    vectors, scales = torch.tensor([[[0.0, 2, 0], [0, 1e-9, 0]]]), torch.ones(1, 2)
    points = torch.tensor([[[0.0, 5, 0.1], [0, 0, 1], [2, 0, 0], [0, 1, 2]]])
    assert orthonormal(vectors, scales, points)[0].T.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, -1]]  # 1 is too short
    assert orthonormal(vectors, scales, points[:, :1])[0].T[1].tolist() == [0, 0, 1]
    assert orthonormal(vectors, scales, torch.zeros(1, 2, 3))[0].T[1].tolist() == [1, 0, 0]
    assert orthonormal(torch.zeros(1, 2, 3), scales, torch.zeros(1, 2, 3))[0].tolist() == torch.eye(3).tolist()


def test_principal_axes_are_those_of_the_second_moments():
    points = draw(4, 6, 3)
    lengths, axes = principal(points)
    torch.testing.assert_close(axes * lengths.square()[:, None] @ axes.mT, points.mT @ points)
    assert (lengths[:, :-1] > lengths[:, 1:]).all()
    lengths, axes = principal(points[:, :1])  # fewer points than coordinates
    torch.testing.assert_close(lengths[:, 0], points[:, 0].norm(dim=-1))
    assert lengths[:, 1:].count_nonzero() == 0
    torch.testing.assert_close(axes.mT @ axes, torch.eye(3, dtype=axes.dtype).expand(4, -1, -1))


def test_what_rounding_adds_beside_a_plane_is_taken_away():
    flat, vectors = draw(2, 5, 3), draw(2, 2, 3, seed=1)
    assert torch.equal(in_span(vectors, flat), vectors)
    flat[0, :, 2] = 0
    expected = vectors.clone()
    expected[0, :, 2] = 0
    torch.testing.assert_close(in_span(vectors, flat), expected)

"""Weighted frames: their weights, and the continuity of what is averaged over them."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw, means

from hf_equi.canonicalization import GramSchmidt, PrincipalFrames, WeightedFrames
from hf_equi.errors import ConfigurationError
from hf_equi.groups import O2, O3, SO2, SO3

GROUPS = (SO2(), O2(), SO3(), O3())


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_frames_and_weights_are_those_of_the_equation(group):
    x, n = draw(1, 4, group.dimension), group.dimension
    elements, log_weights = WeightedFrames(group).poses(x)
    points, expected = x[0], []
    for i, first in enumerate(points):
        axis = first / first.norm()
        share = first.norm() / points.norm(dim=-1).sum()
        rests = points - (points @ axis)[:, None] * axis
        for j in [j for j in range(4) if j != i] if n == 3 else [None]:
            chosen = points[[i]] if j is None else points[[i, j]]
            frame = GramSchmidt(SO2() if n == 2 else SO3()).poses(chosen[None])[0][0, 0]
            expected.append((frame, share if j is None else share * rests[j].norm() / rests.norm(dim=-1).sum()))
    mirrors = [torch.ones(n), torch.tensor([1.0] * (n - 1) + [-1.0])] if group.mirrors else [torch.ones(n)]
    expected = [(frame * mirror, share / len(mirrors)) for mirror in mirrors for frame, share in expected]
    torch.testing.assert_close(elements[0], torch.stack([frame for frame, _ in expected]))
    torch.testing.assert_close(log_weights[0].exp(), torch.stack([share for _, share in expected]))
    assert float(log_weights.exp().sum()) == pytest.approx(1)


def crossing(n):
    """Clouds on a path along which the two longest principal axes change places, at 0."""
    points = draw(6, n)
    white = points @ torch.linalg.inv(torch.linalg.cholesky(points.T @ points)).mT
    return lambda t: white * torch.tensor([1 + t, 1 - t] + [0.5] * (n - 2), dtype=white.dtype)


def vanishing(n):
    """A path along which a point passes the origin."""
    points, way = draw(5, n), draw(n, seed=1)
    return lambda t: torch.cat([points, t * way[None]])


def flattening(n):
    """A path along which a cloud becomes a line, at 0."""
    line, rest = torch.tensor([1.0, 2, -0.5, 0.7, -1.3], dtype=torch.float64)[:, None], draw(5, n, seed=2)
    return lambda t: line * draw(n, seed=3) + t * rest


def shrinking(n):
    """A path along which all points pass the origin."""
    return lambda t: t * draw(5, n, seed=4)


@pytest.mark.parametrize("path", [crossing, vanishing, flattening, shrinking])
@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_the_average_is_continuous_everywhere(group, path):
    """Between two clouds that are 2e-5 apart it changes as little, also where single frames jump."""
    cloud = path(group.dimension)
    before, at, after = (means(WeightedFrames(group), cloud(t)[None]) for t in (-1e-5, 0.0, 1e-5))
    assert (before - after).abs().max() < 2e-3
    assert (before - at).abs().max() < 1e-3


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_plain_frames_jump_where_eigenvalues_cross(group):
    cloud = crossing(group.dimension)
    before, after = (means(PrincipalFrames(group), cloud(t)[None]) for t in (-1e-5, 1e-5))
    assert (before - after).abs().max() > 0.05


def test_a_single_element_jumps_where_a_vector_vanishes():
    points = draw(3, 2)
    first = torch.tensor([[1.0, 0]], dtype=torch.float64)
    before, after = (means(GramSchmidt(SO2()), torch.cat([t * first, points])[None]) for t in (-1e-5, 1e-5))
    assert (before - after).abs().max() > 0.05


def test_fewer_vectors_make_fewer_frames():
    def two(x, mask=None):
        return torch.stack([x.sum(1), (x.norm(dim=-1, keepdim=True) * x).sum(1)], 1)

    x = draw(2, 9, 3)
    assert WeightedFrames(SO3(), two).poses(x)[0].shape[1] == 2
    assert WeightedFrames(SO3()).poses(x)[0].shape[1] == 72
    with pytest.raises(ConfigurationError, match=r"65 points have 4160 frames in SO3\(\).*at most 4096.*vectors="):
        WeightedFrames(SO3()).poses(draw(1, 65, 3))

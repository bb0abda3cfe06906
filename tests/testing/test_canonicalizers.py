"""The check of canonicalizers: what it passes, and what it says of those that do not follow their inputs."""

from __future__ import annotations

import pytest
import torch
from small_rules import brightest_corner, clockwise

from hf_equi import Action, ImageGroup, PixelAction
from hf_equi.actions import PointAction, VectorAction
from hf_equi.canonicalization import GramSchmidt, GroupConvolution, WeightedFrames
from hf_equi.errors import EquivarianceError
from hf_equi.groups import O3, SO2
from hf_equi.testing import assert_canonicalizer

TURNS = ImageGroup.rotations(4)
ACTION = PixelAction(TURNS)


@pytest.fixture
def x():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_scores_and_rules_that_follow_pass(x):
    assert_canonicalizer(GroupConvolution(TURNS).eval(), x, ACTION)
    assert_canonicalizer(brightest_corner, x, ACTION)


def test_the_worst_element_and_its_error_are_named(x):
    follows = GroupConvolution(TURNS).eval()

    def drifts(images):
        return follows.scores(images) + torch.tensor([0.0, 0.0, 0.0, 0.5])

    with pytest.raises(
        EquivarianceError, match=r"for element \d \(.*°\), scores.* differ by up to 0\.5, but .* 1e-05"
    ):
        assert_canonicalizer(drifts, x, ACTION)
    assert_canonicalizer(drifts, x, ACTION, tolerance=0.6)
    with pytest.raises(
        EquivarianceError, match=r"for element 1 \(90°\), h\(gx\) is not g h\(x\) for 100% of the inputs"
    ):
        assert_canonicalizer(clockwise, x, ACTION)
    assert_canonicalizer(clockwise, x, ACTION, [0, 2])  # which are their own inverses
    with pytest.raises(EquivarianceError, match="differ by up to nan"):
        assert_canonicalizer(lambda images: follows.scores(images) * torch.nan, x, ACTION)


def test_outputs_of_another_shape_and_other_groups_are_refused(x):
    for returned in (torch.zeros(4), torch.zeros(4, 3), torch.zeros(4, 4, dtype=torch.long), None):
        with pytest.raises(EquivarianceError, match=r"returns floating scores \(4, 4\) or integer elements \(4,\)"):
            assert_canonicalizer(lambda images, returned=returned: returned, x, ACTION)

    class Turns(Action):
        group = object()

        def apply(self, elements, x, /):
            return x

    with pytest.raises(EquivarianceError, match="is neither a finite nor a continuous group"):
        assert_canonicalizer(brightest_corner, x, Turns())


def test_elements_of_continuous_groups_follow_too():
    clouds, action = torch.randn(3, 5, 3, generator=torch.Generator().manual_seed(0)).double(), PointAction(O3())
    assert_canonicalizer(GramSchmidt(O3()), clouds, action)
    assert_canonicalizer(lambda x: GramSchmidt(O3()).poses(x)[0][:, 0], clouds, action)
    assert_canonicalizer(WeightedFrames(O3()), clouds, action)


def test_the_worst_element_of_a_continuous_group_is_named():
    clouds, action = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0)).double(), PointAction(SO2())
    quarter = SO2().exp(torch.tensor([torch.pi / 2], dtype=torch.float64))

    def stays(x):
        return torch.eye(2, dtype=x.dtype).expand(3, 2, 2)

    with pytest.raises(EquivarianceError, match=r"element g = \[\[0\.0, -1\.0\], .*differ by up to 1, but .* 1e-10"):
        assert_canonicalizer(stays, clouds, action, [SO2().identity, quarter])
    assert_canonicalizer(stays, clouds, action, [SO2().identity])

    def unweighted(x):
        return WeightedFrames(SO2()).poses(x)[0], torch.arange(5.0).expand(3, 5) * x[:, :, 0]

    with pytest.raises(EquivarianceError, match=r"\(sets with weights, compared by means\) differ by up to 0\.\d"):
        assert_canonicalizer(unweighted, clouds, action)
    with pytest.raises(EquivarianceError, match="differ by up to nan"):
        assert_canonicalizer(lambda x: stays(x) * torch.nan, clouds, action)


def test_matrices_outside_the_group_are_refused_even_if_they_follow():
    with pytest.raises(EquivarianceError, match=r"returns other matrices. Element 0 of 4 is not in SO2\(\)"):
        assert_canonicalizer(
            lambda x: 1.5 * GramSchmidt(SO2()).poses(x)[0][:, 0], torch.randn(4, 2, 2), VectorAction(SO2())
        )


def test_poses_of_another_shape_are_refused():
    clouds, action = torch.zeros(3, 5, 2), PointAction(SO2())
    lost = (torch.eye(2).expand(3, 1, 2, 2), torch.zeros(3, 2))
    for returned in (torch.zeros(3), torch.eye(2).expand(4, 2, 2), torch.zeros(3, 2, 2).long(), lost, None):
        with pytest.raises(EquivarianceError, match=r"elements \(3, 2, 2\), or \(3, K, 2, 2\) and log-weights \(3, K"):
            assert_canonicalizer(lambda x, returned=returned: returned, clouds, action)

"""The check of canonicalizers: what it passes, and what it says of those that do not follow their inputs."""

from __future__ import annotations

import pytest
import torch
from small_rules import brightest_corner, clockwise

from hf_equi import Action, ImageGroup, PixelAction
from hf_equi.canonicalization import GroupConvolution
from hf_equi.errors import EquivarianceError
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

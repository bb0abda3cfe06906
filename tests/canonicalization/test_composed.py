"""A centre and a rotation. What holds of clouds is in test_clouds."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw
from torch import nn

from hf_equi.actions import PointAction
from hf_equi.canonicalization import Composed, GramSchmidt, PrincipalFrames, WeightedFrames, read_canonicalizer
from hf_equi.canonicalization.base import is_complete
from hf_equi.errors import ConfigurationError
from hf_equi.groups import E2, E3, SE2, SE3, SO2, SO3
from hf_equi.testing import assert_canonicalizer


class Heavy(nn.Module):
    """The mean with weights that are learned, one for each point."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(draw(5))

    def forward(self, x, mask=None):
        return self.weight.softmax(0) @ x


def test_canonical_members_are_centred_and_have_the_weights_of_the_rotation():
    x = draw(2, 5, 2)
    made = Composed(SE2(), WeightedFrames(SO2()))
    elements, log_weights = made.poses(x)
    torch.testing.assert_close(log_weights, WeightedFrames(SO2()).poses(x - x.mean(1, keepdim=True))[1])
    for k in range(5):
        assert PointAction(SE2()).invert(elements[:, k], x).mean(1).abs().max() < 1e-12


def test_a_centre_of_ones_own_is_checked_and_not_stored():
    made = Composed(SE3(), GramSchmidt(SO3()), Heavy())
    assert_canonicalizer(made, draw(3, 5, 3), PointAction(SE3()))
    assert not made.equivariant
    assert not is_complete(made.to_dict())
    with pytest.raises(ConfigurationError, match="What finds the centre of this Composed is not stored"):
        read_canonicalizer(made.to_dict(), SE3())
    inner = Composed(SE3(), GramSchmidt(SO3(), lambda x: x)).to_dict()
    assert not is_complete(inner)
    assert is_complete(Composed(SE3(), GramSchmidt(SO3())).to_dict())


@pytest.mark.parametrize(
    ("group", "rotation", "centre", "message"),
    [
        (SO3(), PrincipalFrames(SO3()), None, r"SO3\(\) does not translate"),
        (E3(), PrincipalFrames(SO3()), None, r"elements of SO3\(\), but those of E3\(\) .* pass .* of O3\(\)"),
        (E2(), torch.nn.Flatten(), None, r"elements of Flatten.*pass a ContinuousCanonicalizer of O2\(\)"),
        (SE2(), PrincipalFrames(SO2()), 3, "centre=3 cannot be called"),
    ],
)
def test_parts_that_do_not_fit_are_refused(group, rotation, centre, message):
    with pytest.raises(ConfigurationError, match=message):
        Composed(group, rotation, centre)

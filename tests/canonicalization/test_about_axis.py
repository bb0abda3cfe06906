"""Rotations about the z axis, on clouds that are generic, padded and degenerate."""

from __future__ import annotations

import pytest
import torch
from small_clouds import clouds, draw, means

from hf_equi.actions import PointAction
from hf_equi.canonicalization import AboutAxis, PrincipalFrames, VectorNeurons, WeightedFrames, read_canonicalizer
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2, SO2Z, SO3
from hf_equi.testing import assert_canonicalizer

KINDS = {
    "neurons": lambda: VectorNeurons(SO2(), channels=6, neighbours=4),
    "principal": lambda: PrincipalFrames(SO2()),
    "weighted": lambda: WeightedFrames(SO2()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_follows_clouds_about_the_axis(kind):
    torch.manual_seed(0)
    made, x, group = AboutAxis(KINDS[kind]()).double().eval(), draw(4, 6, 3), SO2Z()
    assert_canonicalizer(made, x, PointAction(group), tolerance=1e-9)
    for _, cloud in clouds(3, torch.float64):  # also what is a point or a line, seen from above
        both = torch.cat([cloud[None], PointAction(group).apply(group.sample(1)[0], cloud[None])])
        one, other = means(made, both)
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0)
        group.check(made.poses(both)[0])
    mask = torch.ones(4, 6)
    mask[0, 4:] = 0
    assert torch.equal(made.poses(torch.where(mask[..., None] > 0, x, torch.nan), mask)[0], made.poses(x, mask)[0])


def test_it_is_made_again_from_its_description():
    made = AboutAxis(VectorNeurons(SO2(), channels=6))
    again = read_canonicalizer(made.to_dict(), SO2Z())
    assert again.to_dict() == made.to_dict()
    assert again.learns
    assert again.cost == made.cost
    with pytest.raises(ConfigurationError, match=r"AboutAxis finds elements of SO2Z\(\), not of SO3"):
        read_canonicalizer(made.to_dict(), SO3())


def test_other_canonicalizers_are_refused():
    with pytest.raises(ConfigurationError, match=r"rotation= finds elements of SO3\(\), but those of SO2\(\)"):
        AboutAxis(VectorNeurons(SO3()))
    with pytest.raises(ConfigurationError, match=r"turn about z: use AboutAxis\(VectorNeurons\(SO2\(\)\)\)"):
        VectorNeurons(SO2Z())

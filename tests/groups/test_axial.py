"""The rotations about the z axis; `test_continuous.py` has the checks of all continuous groups."""

from __future__ import annotations

import pytest
import torch

from hf_equi.actions import PointAction
from hf_equi.errors import GroupError
from hf_equi.groups import SO2Z, SO3, MatrixGroup


def test_it_moves_no_height():
    group, x = SO2Z(), torch.randn(4, 6, 3)
    moved = PointAction(group).apply(group.sample(4), x)
    assert torch.equal(moved[..., 2], x[..., 2])
    torch.testing.assert_close(moved.norm(dim=-1), x.norm(dim=-1))


def test_other_rotations_are_refused_by_name():
    group = SO2Z()
    with pytest.raises(GroupError, match=r"Element 1 of 2 is not in SO2Z\(\): it moves the z axis\. Use SO3\(\)"):
        group.check(torch.stack([group.identity, SO3().exp(torch.tensor([0.5, 0.0, 0.0]).double())]))
    with pytest.raises(GroupError, match="does not translate, so scale=2 has no effect"):
        group.sample(1, scale=2)


def test_angles_are_uniform():
    angles = SO2Z().log(SO2Z().sample(4000, torch.Generator().manual_seed(0)))
    assert abs(float(angles.cos().mean())) < 0.05
    assert abs(float(angles.sin().mean())) < 0.05


def test_finite_rotations_about_it():
    turns = MatrixGroup.cyclic(4, dimension=3)
    assert turns.names == MatrixGroup.cyclic(4).names
    assert torch.equal(
        turns.matrices[1] @ torch.tensor([1.0, 0.0, 2.0]).double(), torch.tensor([0.0, 1.0, 2.0]).double()
    )
    with pytest.raises(GroupError, match="dimension=4"):
        MatrixGroup.cyclic(4, dimension=4)

"""Frames and drawn poses as parts of methods."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw

from hf_equi.actions import PointAction
from hf_equi.canonicalization import DrawnPose, FrameMembers, frames_of
from hf_equi.groups import E3, O3, SE3, SO2Z, SO3, MatrixGroup
from hf_equi.symmetrizers.select import WholeSelection

FRAMES = {SO3(): 4, O3(): 8, SO2Z(): 2, SE3(): 4, E3(): 8}


@pytest.mark.parametrize("group", FRAMES, ids=repr)
def test_the_members_of_a_frame_are_those_of_any_moved_cloud(group):
    """As a set: what a base reads is the same, up to its order."""
    action, x = PointAction(group), draw(3, 6, 3)
    g = group.sample(3, torch.Generator().manual_seed(0))
    found = []
    for cloud in (x, action.apply(g, x)):
        elements = FrameMembers()(action, cloud).elements
        assert elements.shape[1] == FRAMES[group]
        members = [action.apply(elements[:, k], cloud).flatten(1) for k in range(FRAMES[group])]
        found.append(torch.stack(members, 1))
    apart = (found[0][:, :, None] - found[1][:, None]).abs().amax(-1)
    assert apart.amin(2).max() < 1e-9
    group.check(frames_of(group).poses(x)[0])


def test_all_members_of_a_finite_group_are_its_frame():
    assert isinstance(FrameMembers()(PointAction(MatrixGroup.cube()), draw(3, 6, 3)), WholeSelection)


@pytest.mark.parametrize("group", [SO3(), E3(), MatrixGroup.cyclic(3, dimension=3)], ids=["SO3", "E3", "C3"])
def test_drawn_poses_are_uniform_about_the_centre(group):
    torch.manual_seed(0)
    action, x = PointAction(group), draw(1, 6, 3).float().expand(2000, -1, -1)
    mask = torch.ones(2000, 6)
    mask[:, 5] = 0
    moved = action.apply(DrawnPose()(action, x, mask).elements[:, 0], x)
    if group == E3():
        assert moved[:, :5].mean(1).abs().max() < 1e-5
    if group == SO3():
        assert moved.mean(0).abs().max() < 0.1  # each point is everywhere on its sphere

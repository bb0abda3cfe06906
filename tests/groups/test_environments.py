"""Symmetries of environments: what they move, how they are stored, and what is none."""

from __future__ import annotations

import json

import pytest
import torch

from hf_equi.actions import PixelAction
from hf_equi.errors import GroupError
from hf_equi.groups import ACROBOT, CARTPOLE, GRIDWORLD, EnvironmentGroup, ImageGroup, read_group
from hf_equi.testing import assert_group

TURN = [[0.0, -1.0], [1.0, 0.0]]
PLANE = EnvironmentGroup(states=[TURN, [[-1.0, 0.0], [0.0, 1.0]]], actions=[[1, 2, 3, 0], [2, 1, 0, 3]])
"""The square, which is not abelian, on a position and on four directions."""
STILL = EnvironmentGroup(states=[[1, 1]], actions=[[0, 1, 2]])
GROUPS = {"cart pole": CARTPOLE, "acrobot": ACROBOT, "gridworld": GRIDWORLD, "plane": PLANE, "still": STILL}


@pytest.mark.parametrize("name", GROUPS)
def test_states_and_actions_multiply_as_the_elements_do(name):
    group = GROUPS[name]
    assert_group(group)
    group.check_permutations(group.permutations)
    if group.images is not None:
        assert torch.equal(group.product, group.images.product)
        return
    products = group.states[:, None] @ group.states
    assert torch.equal(group.states[group.product], products)


def test_orders_and_names():
    assert {name: group.order for name, group in GROUPS.items()} == {
        "cart pole": 2,
        "acrobot": 2,
        "gridworld": 4,
        "plane": 8,
        "still": 1,
    }
    assert ACROBOT.names == ("identity", "mirror")
    assert ACROBOT.states[1].diagonal().tolist() == [1, -1, 1, -1, -1, -1]
    assert ACROBOT.permutations[1].tolist() == [2, 1, 0]
    assert GRIDWORLD.names == ImageGroup.rotations(4).names
    assert EnvironmentGroup([[-1]], [[1, 0]], names=["stay", "swap"]).names == ("stay", "swap")


def test_a_step_in_the_gridworld_turns_with_its_image():
    """Down, right, up and left move a mark by a row or a column of a torus."""
    steps = [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)]
    grid = torch.zeros(1, 7, 7)
    grid[0, 2, 5] = 1
    pixels = PixelAction(GRIDWORLD.images)
    for g in range(4):
        for action, step in enumerate(steps):
            turned = steps[int(GRIDWORLD.permutations[g, action])]
            after = pixels.apply(g, grid.roll(step, (1, 2)))
            assert torch.equal(after, pixels.apply(g, grid).roll(turned, (1, 2)))


def test_they_survive_json():
    for group in GROUPS.values():
        again = read_group(json.loads(json.dumps(group.to_dict())))
        assert isinstance(again, EnvironmentGroup)
        assert again == group
        assert hash(again) == hash(group)
        assert (again.names, again.permutations.tolist()) == (group.names, group.permutations.tolist())
        assert torch.equal(again.product, group.product)
        assert group.states is None or torch.equal(again.states, group.states)
    assert len(set(GROUPS.values())) == len(GROUPS)
    assert CARTPOLE != "cart pole"


@pytest.mark.parametrize(
    ("states", "actions", "message"),
    [
        ([[-1, -1]], [[0, 0]], r"Row 0 of actions, \[0, 0\], is not a permutation of 0\.\.1"),
        ([[-1, -1]], [1, 0], r"one row for each symmetry, \(n, A\); received \(2,\)"),
        ([[-1, -1]], [], r"actions needs one row for each symmetry"),
        ([[-1, 0.5]], [[1, 0]], "Signs are 1 and -1.* is a matrix"),
        ([-1], [[1, 0]], r"states needs the shape \(n, S\) for signs, or \(n, S, S\); received \(1,\)"),
        ("mirror", [[1, 0]], "states must be signs, matrices or an ImageGroup; received 'mirror'"),
        ([[-1], [1]], [[1, 0]], "states names 2 symmetries, but actions 1"),
        ([[[1.0, 1.0], [0.0, 1.0]]], [[1, 0]], "at most 1024 elements"),
        (ImageGroup.rotations(4), [[1, 0], [0, 1]], r"one row for each generator of .*'90°'; received 2 rows"),
        (ImageGroup.rotations(4), [[1, 2, 0]], "permutations"),
        (ImageGroup.rotations(8), [[1, 2, 3, 4, 5, 6, 7, 0]], "resamples images.*use quarter turns and mirrors"),
    ],
)
def test_what_is_no_symmetry_is_refused(states, actions, message):
    with pytest.raises(GroupError, match=message):
        EnvironmentGroup(states, actions)


def test_other_descriptions_are_refused():
    for content in ({"type": "environment"}, {**CARTPOLE.to_dict(), "rewards": 1}, {"type": "matrix"}):
        with pytest.raises(GroupError, match=r"Symmetries are described by {.type.: .environment."):
            EnvironmentGroup.from_dict(content)

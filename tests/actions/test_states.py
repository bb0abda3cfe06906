"""The actions of an environment's symmetries on its states and on the scores of its actions."""

from __future__ import annotations

import torch
from small_q_networks import SQUARE, states

from hf_equi.actions import PixelAction, VectorAction, state_action, values_action
from hf_equi.groups import ACROBOT, GRIDWORLD, WALLED_GRIDWORLD
from hf_equi.testing import assert_action


def test_they_act_on_states_and_on_scores() -> None:
    numbers, images = VectorAction, PixelAction
    for group, shape, kind in (
        (SQUARE, (2,), numbers),
        (ACROBOT, (6,), numbers),
        (WALLED_GRIDWORLD, (4,), numbers),
        (GRIDWORLD, (3, 9, 9), images),
    ):
        action = state_action(group)
        assert isinstance(action, kind)
        assert torch.equal(action.group.product, group.product)
        assert_action(action, [states(3, *shape)])
        assert_action(values_action(group), [torch.randn(3, group.permutations.shape[1])])
    turned = state_action(SQUARE).apply(1, torch.tensor([[1.0, 0.0]]))
    assert turned.tolist() == [[0.0, 1.0]]

from __future__ import annotations

import torch
from small_q_networks import SQUARE, states

from hf_equi.groups import ACROBOT, GRIDWORLD
from hf_equi.models.q_network.state_actions import state_action, values_action
from hf_equi.testing import assert_action


def test_they_act_on_states_and_on_scores():
    for group, shape in ((SQUARE, (2,)), (ACROBOT, (6,)), (GRIDWORLD, (3, 9, 9))):
        assert_action(state_action(group), [states(3, *shape)])
        assert_action(values_action(group), [torch.randn(3, group.permutations.shape[1])])
    turned = state_action(SQUARE).apply(1, torch.tensor([[1.0, 0.0]]))
    assert turned.tolist() == [[0.0, 1.0]]

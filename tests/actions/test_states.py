"""The action of an environment's symmetries on its states."""

from __future__ import annotations

import torch

from hf_equi.actions import PixelAction, VectorAction, state_action
from hf_equi.groups import ACROBOT, GRIDWORLD, WALLED_GRIDWORLD
from hf_equi.testing import assert_action


def test_numbers_and_images() -> None:
    for group, states, kind in (
        (ACROBOT, torch.randn(2, 6), VectorAction),
        (WALLED_GRIDWORLD, torch.randn(4, 4), VectorAction),
        (GRIDWORLD, torch.rand(4, 1, 21, 21), PixelAction),
    ):
        action = state_action(group)
        assert isinstance(action, kind)
        assert torch.equal(action.group.product, group.product)
        assert_action(action, [states])

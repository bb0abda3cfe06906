"""States of random episodes, and how messages write them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hf_equi.testing.probing import shown_state, visited


class Corridor:
    """Three cells: the second action leads on, and out of the last cell."""

    class Actions:
        n, start = 2, 3

    action_space = Actions()

    def reset(self) -> tuple[list[float], dict[str, Any]]:
        self.cell = 0
        return [0.0], {}

    def step(self, action: int) -> tuple[list[float], float, bool, bool, dict[str, Any]]:
        assert action in (3, 4)
        self.cell += action - 3
        return [float(self.cell)], 0.0, self.cell == 3, False, {}


@pytest.mark.parametrize("count", [1, 10])
def test_first_and_last_states_are_among_those_visited(count: int) -> None:
    steps = visited(Corridor(), count, torch.Generator().manual_seed(0))
    found = [int(step.state) for step in steps]
    for state, action, outcome in steps:
        ahead = int(state) + action
        assert outcome.tolist() == [ahead, 0, ahead == 3]
    assert found[::4] == [0] * len(found[::4])
    assert found[1::4] == [2] * len(found[1::4])
    assert len(found) == count


def test_many_numbers_are_shown_by_place() -> None:
    assert shown_state(torch.tensor([0.123456, -2.0])) == "[0.1235, -2.0]"
    image = torch.zeros(1, 5, 5)
    image[0, 1, 2] = 7
    assert shown_state(image) == "the array of the shape (1, 5, 5) that is not 0 at (0, 1, 2)"
    assert shown_state(torch.ones(1, 5, 5)).endswith("(0, 3, 0), …")

"""Environments in the states that observations describe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.testing.places import place_of

gymnasium: Any = pytest.importorskip("gymnasium", reason="environments come from gymnasium, an extra")
import hf_equi.environments  # noqa: E402, F401  which registers ours


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "hf_equi/WalledGridworld-v0"])
def test_steps_from_there_are_those_of_the_episode(name: str) -> None:
    """Wherever the placed environment was before."""
    env, other = gymnasium.make(name), gymnasium.make(name)
    env.reset(seed=0)
    place = place_of(other)
    observation, *_ = env.step(0)
    for action in (1, 0, 1, 1, 0):
        other.reset(seed=5)
        place(other, observation)
        expected, found = env.step(action), other.step(action)
        assert np.allclose(expected[0], found[0], atol=1e-5)
        assert expected[1:4] == found[1:4]
        observation = expected[0]


def test_others_say_how() -> None:
    with pytest.raises(
        ConfigurationError, match=r"put PendulumEnv into .*pass place=.*set_observation\(observation\)"
    ):
        place_of(gymnasium.make("Pendulum-v1"))

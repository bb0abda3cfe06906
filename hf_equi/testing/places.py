"""How an environment is put into the state that an observation describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hf_equi.errors import ConfigurationError

__all__ = ["Place", "place_of"]

Place = Callable[[Any, Any], None]
"""Puts an environment into the state that an observation, a numpy array, describes."""


def place_of(env: Any) -> Place:
    """Return how to put an environment into a state: known for CartPole, Acrobot, and those that have a method for it.

    Args:
        env: The environment, with its wrappers.

    Raises:
        ConfigurationError: For other environments; the message says how to write such a function.
    """
    inner = env.unwrapped
    if hasattr(inner, "set_observation"):
        return _by_its_own_method
    known = {"CartPoleEnv": _cart_pole, "AcrobotEnv": _acrobot}
    name = type(inner).__name__
    if name not in known:
        raise ConfigurationError(
            f"How to put {name} into the state that an observation describes is not known: pass place=, a function "
            "of the environment and an observation, such as lambda env, observation: setattr(env.unwrapped, 'state', "
            "observation); or give the environment a method set_observation(observation)."
        )
    return known[name]


def _by_its_own_method(env: Any, observation: Any) -> None:
    env.unwrapped.set_observation(observation)


def _cart_pole(env: Any, observation: Any) -> None:
    env.unwrapped.state = observation.astype("float64")
    env.unwrapped.steps_beyond_terminated = None


def _acrobot(env: Any, observation: Any) -> None:
    """Set the two angles and their speeds; the observation holds the cosine and the sine of each angle."""
    cos1, sin1, cos2, sin2, *speeds = torch.from_numpy(observation).double()
    env.unwrapped.state = torch.stack([sin1.atan2(cos1), sin2.atan2(cos2), *speeds]).numpy()

"""gymnasium, which only the environments need, and what they share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_equi.checks import check_choice, to_install
from hf_equi.errors import ConfigurationError

try:
    import gymnasium
except ImportError as error:
    raise ConfigurationError(f"The environments need gymnasium: {to_install('gymnasium', 'rl')}") from error

__all__ = ["STEPS", "check_action", "check_render_mode", "gymnasium", "painted", "register"]

STEPS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
"""The steps down, right, up and left, in rows and columns. A counter-clockwise quarter turn takes each to the next."""


def check_render_mode(mode: str | None) -> None:
    """Refuse a mode other than `"rgb_array"`, or `None` for no pictures."""
    check_choice("render_mode", mode, (None, "rgb_array"))


def check_action(env: gymnasium.Env[Any, Any], action: Any) -> None:
    """Refuse what is not an action: numpy would count a negative one from the end."""
    if not env.action_space.contains(action):
        raise ConfigurationError(f"action={action!r} is not in {env.action_space}.")


def painted(cells: NDArray[Any], colours: list[tuple[int, int, int]], pixels: int) -> NDArray[np.uint8]:
    """Return a picture, `(H * pixels, W * pixels, 3)`, of a map of numbers of colours, `(H, W)`."""
    picture: NDArray[np.uint8] = np.array(colours, dtype=np.uint8)[cells]
    return picture.repeat(pixels, axis=0).repeat(pixels, axis=1)


def register(name: str, module: str, max_episode_steps: int) -> None:
    """Make an environment of this package known to gymnasium, as version 0."""
    gymnasium.register(
        f"hf_equi/{name}-v0", f"hf_equi.environments.{module}:{name}", max_episode_steps=max_episode_steps
    )

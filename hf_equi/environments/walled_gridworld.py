"""A grid world with walls and one goal, whose states are places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_equi.environments._gymnasium import STEPS, check_action, check_render_mode, gymnasium, painted
from hf_equi.errors import ConfigurationError

__all__ = ["WalledGridworld"]

_MAP = """
. . . . . . . . .
. . . . . . . . .
. . # # # . # . .
. . . . . . # . .
. . # . . . # . .
. . # . . . . . .
. . # . # # # . .
. . . . . . . . .
. . . . . . . . .
"""
_WALLS = np.array([[cell == "#" for cell in row.split()] for row in _MAP.split("\n")[1:-1]])
_HALF = len(_WALLS) // 2
_FREE = np.argwhere(~_WALLS) - _HALF
_COLOURS = [(255, 255, 255), (96, 96, 96), (46, 160, 67), (32, 80, 200)]  # free, walls, the goal, the agent


class WalledGridworld(gymnasium.Env[NDArray[np.float32], "int | np.integer[Any]"]):
    """A grid world of 9 × 9 cells with a walled room in its middle and a reward at one goal.

    `hf_equi/WalledGridworld-v0`. The observation holds the agent's row and column and the goal's, float32, each from
    -1 to 1: the number of cells from the middle, divided by 4. The four actions are one step down (0), right (1), up
    (2) or left (3). A step into a wall, or out of the grid, leaves the agent where it is. At the goal the reward is 1
    and the episode ends. Every other reward is 0. After 100 steps the episode is cut off. At first the agent is in any
    free cell but the goal, all equally likely.

    `hf_equi.groups.WALLED_GRIDWORLD` are its symmetries. Quarter turns map the walls to themselves, mirrors do not:

        . . . . . . . . .
        . . . . . . . . .
        . . # # # . # . .
        . . . . . . # . .
        . . # . . . # . .
        . . # . . . . . .
        . . # . # # # . .
        . . . . . . . . .
        . . . . . . . . .

    Args:
        random_goal (`bool`, *optional*, defaults to `False`):
            Whether the goal is in another free cell in each episode, all equally likely; otherwise in the middle.
        render_mode (`str`, *optional*):
            `"rgb_array"`, for pictures from `render()`.

    Raises:
        ConfigurationError: If gymnasium is not installed; for a mode that does not exist.

    Example:
        ```python
        >>> import gymnasium, hf_equi.environments  # which registers it
        >>> env = gymnasium.make("hf_equi/WalledGridworld-v0")
        >>> place, _ = env.reset(seed=0)
        >>> place.shape, env.action_space
        ((4,), Discrete(4))

        ```
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012  as gymnasium declares it

    def __init__(self, *, random_goal: bool = False, render_mode: str | None = None) -> None:
        check_render_mode(render_mode)
        self.random_goal, self.render_mode = random_goal, render_mode
        self.observation_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(len(STEPS))
        self._agent = self._goal = np.zeros(2, dtype=np.int64)  # in cells from the middle

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Put the agent, and a random goal, somewhere else. `options` are not used."""
        super().reset(seed=seed)
        self._goal = self.np_random.choice(_FREE) if self.random_goal else np.zeros(2, dtype=np.int64)
        self._agent = self.np_random.choice(_FREE[(self._goal != _FREE).any(1)])
        return self._observation(), {}

    def step(self, action: int | np.integer[Any]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move the agent, unless there is a wall."""
        check_action(self, action)
        place = self._agent + STEPS[action]
        if _is_free(place):
            self._agent = place
        arrived = bool((self._agent == self._goal).all())
        return self._observation(), float(arrived), arrived, False, {}

    def set_observation(self, observation: NDArray[np.float32]) -> None:
        """Put the environment into the state that an observation describes.

        Raises:
            ConfigurationError: For places that are not free cells of the grid.
        """
        places = np.asarray(observation, dtype=np.float64) * _HALF
        cells = np.rint(places).astype(np.int64)
        fits = cells.shape == (4,) and np.allclose(places, cells, atol=1e-3)
        if not fits or not (_is_free(cells[:2]) and _is_free(cells[2:])):
            raise ConfigurationError(
                f"{np.asarray(observation).tolist()} is not an observation of WalledGridworld: the agent's row and "
                "column and the goal's, of free cells, as multiples of 1/4 from -1 to 1."
            )
        self._agent, self._goal = cells[:2], cells[2:]

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of the grid, `(144, 144, 3)`; `None` without a mode."""
        if self.render_mode is None:
            return None
        cells = _WALLS.astype(np.int64)
        for colour, place in ((2, self._goal), (3, self._agent)):
            cells[tuple(place + _HALF)] = colour
        return painted(cells, _COLOURS, 16)

    def _observation(self) -> NDArray[np.float32]:
        return (np.concatenate([self._agent, self._goal]) / _HALF).astype(np.float32)


def _is_free(place: NDArray[np.int64]) -> bool:
    """Return whether a place, in cells from the middle, is in the grid and not a wall."""
    return bool((np.abs(place) <= _HALF).all()) and not _WALLS[tuple(place + _HALF)]

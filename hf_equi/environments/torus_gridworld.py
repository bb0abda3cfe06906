"""The grid world of MDP homomorphic networks: an agent hunts a prey on a torus, and sees itself in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_equi.checks import check_share
from hf_equi.environments._gymnasium import STEPS, check_action, check_render_mode, gymnasium, painted
from hf_equi.errors import ConfigurationError

__all__ = ["TorusGridworld"]

_SIDE, _CELL = 7, 3
_AGENT = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=np.uint8)
_PREY = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)
_COLOURS = [(255, 255, 255), (32, 32, 32)]


class TorusGridworld(gymnasium.Env[NDArray[np.uint8], "int | np.integer[Any]"]):
    """The predator-prey grid world of van der Pol et al. 2020, `hf_equi/TorusGridworld-v0`.

    An agent and a prey live on a torus of 7 × 7 cells. The observation is an image, `(1, 21, 21)` uint8, black (0)
    with white (255) shapes. A cell has 3 × 3 pixels. The agent, an x, is always in the middle. The prey, a cross, is
    where the agent would have to go.

    The five actions are: stay (0), and one step down (1), right (2), up (3) or left (4), which are (+1, 0), (0, +1),
    (-1, 0) and (0, -1) in rows and columns. The agent steps first. Unless it has reached the prey, the prey then takes
    a step with probability 0.15, in each of the four directions equally often. If they meet, the reward is 1 and the
    episode ends. Every other step costs 0.1. After 100 steps the episode is cut off. At first the prey is in any cell
    but the agent's, all equally likely.

    `hf_equi.groups.GRIDWORLD` are its symmetries, the quarter turns of the image. A turn counter-clockwise takes down
    to right, right to up, up to left and left to down: `[0, 2, 3, 4, 1]`, the action that takes the place of each. The
    published code lists the inverse, `[0, 4, 1, 2, 3]`, for the same turn: the action from which each takes its value.

    Args:
        prey_moves (`float`, *optional*, defaults to 0.15):
            The probability that the prey takes a step.
        render_mode (`str`, *optional*):
            `"rgb_array"`, for pictures from `render()`.

    Raises:
        ConfigurationError: If gymnasium is not installed; for a probability or a mode that does not exist.

    The paper does not say whether the prey may walk into the agent. Here it may, and is caught.

    Example:
        ```python
        >>> import gymnasium, hf_equi.environments  # which registers it
        >>> env = gymnasium.make("hf_equi/TorusGridworld-v0")
        >>> image, _ = env.reset(seed=0)
        >>> image.shape, env.action_space
        ((1, 21, 21), Discrete(5))

        ```

    References:
        arXiv 2006.16908, section 5 and appendix.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 5}  # noqa: RUF012  as gymnasium declares it

    def __init__(self, *, prey_moves: float = 0.15, render_mode: str | None = None) -> None:
        check_share("prey_moves", prey_moves)
        check_render_mode(render_mode)
        self.prey_moves, self.render_mode = prey_moves, render_mode
        pixels = (1, _SIDE * _CELL, _SIDE * _CELL)
        self.observation_space = gymnasium.spaces.Box(0, 255, pixels, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(1 + len(STEPS))
        self._prey = np.zeros(2, dtype=np.int64)  # seen from the agent, from -3 to 3

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Put the prey somewhere else than the agent. `options` are not used."""
        super().reset(seed=seed)
        cell = 1 + self.np_random.integers(_SIDE**2 - 1)  # cell 0 is the agent's
        self._prey = _wrapped(np.array(divmod(int(cell), _SIDE)))
        return _image(self._prey), {}

    def step(self, action: int | np.integer[Any]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Move the agent, then perhaps the prey."""
        check_action(self, action)
        if action:
            self._prey = _wrapped(self._prey - STEPS[action - 1])
        if self._prey.any() and self.np_random.random() < self.prey_moves:
            self._prey = _wrapped(self._prey + STEPS[self.np_random.integers(len(STEPS))])
        caught = not self._prey.any()
        return _image(self._prey), 1.0 if caught else -0.1, caught, False, {}

    def set_observation(self, observation: NDArray[np.uint8]) -> None:
        """Put the environment into the state that an observation shows.

        Raises:
            ConfigurationError: For an image that this environment does not show.
        """
        image = np.asarray(observation)
        found = _PLACES.get(image.tobytes()) if image.shape == self.observation_space.shape else None
        if found is None:
            raise ConfigurationError(
                f"This array of shape {image.shape} and {image.dtype} is not an observation of TorusGridworld: an x "
                "in the middle of (1, 21, 21) bytes, and a cross in one of the 7 × 7 cells, 255 on 0."
            )
        self._prey = found

    def render(self) -> NDArray[np.uint8] | None:
        """Return the observation as a picture, `(168, 168, 3)`; `None` without a mode."""
        return None if self.render_mode is None else painted(_image(self._prey)[0] // 255, _COLOURS, 8)


def _wrapped(place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a place as seen from the agent, the shortest way round the torus."""
    half = _SIDE // 2
    return (place + half) % _SIDE - half


def _image(prey: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the image, `(1, 21, 21)`, of a prey at a place as seen from the agent."""
    cells = np.zeros((_SIDE, _CELL, _SIDE, _CELL), dtype=np.uint8)
    middle = _SIDE // 2
    cells[middle, :, middle] |= _AGENT
    cells[middle + prey[0], :, middle + prey[1]] |= _PREY
    return 255 * cells.reshape(1, _SIDE * _CELL, _SIDE * _CELL)


_PLACES = {_image(place).tobytes(): place for place in np.argwhere(np.ones((_SIDE, _SIDE))) - _SIDE // 2}
"""The place of the prey that each observation shows."""

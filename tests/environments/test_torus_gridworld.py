"""The grid world of MDP homomorphic networks, against a literal account of its rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hf_equi.errors import ConfigurationError

gymnasium: Any = pytest.importorskip("gymnasium", reason="environments come from gymnasium, an extra")
import hf_equi.environments  # noqa: E402, F401  which registers ours


def make(**settings: Any) -> Any:
    return gymnasium.make("hf_equi/TorusGridworld-v0", **settings)


def prey(image: np.ndarray) -> tuple[int, int]:
    """Row and column of the prey's cell from the agent's, read off an image without its code."""
    cells = image.reshape(7, 3, 7, 3).transpose(0, 2, 1, 3) // 255
    crosses = [tuple(place) for place in np.argwhere(cells[:, :, 0, 1])]
    assert crosses
    assert len(crosses) == 1
    return int(crosses[0][0]) - 3, int(crosses[0][1]) - 3


def test_gymnasium_accepts_it() -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(make(render_mode="rgb_array").unwrapped)
    assert make(render_mode="rgb_array").spec.max_episode_steps == 100


def test_the_image_shows_an_x_in_the_middle_and_a_cross() -> None:
    env = make()
    image, _ = env.reset(seed=3)
    assert image.shape == (1, 21, 21)
    assert image[0, 9:12, 9:12].tolist() == [[255, 0, 255], [0, 255, 0], [255, 0, 255]]
    row, column = prey(image)
    top, left = 9 + 3 * row, 9 + 3 * column
    assert image[0, top : top + 3, left : left + 3].tolist() == [[0, 255, 0], [255, 255, 255], [0, 255, 0]]
    assert int((image == 255).sum()) == 10


def test_the_agent_steps_and_catches_without_a_prey_that_moves() -> None:
    env = make(prey_moves=0.0)
    steps = [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)]
    for seed in range(20):
        image, _ = env.reset(seed=seed)
        for action, (down, right) in enumerate(steps):
            env.unwrapped.set_observation(image)
            row, column = prey(image)
            expected = tuple((place + 3) % 7 - 3 for place in (row - down, column - right))
            found, reward, ended, _, _ = env.step(action)
            assert prey(found) == expected
            assert (reward, ended) == ((1.0, True) if expected == (0, 0) else (-0.1, False))


def test_the_prey_moves_as_often_as_said_and_may_walk_into_the_agent() -> None:
    env = make()
    image, _ = env.reset(seed=0)
    while prey(image) != (0, 1):
        image, *_ = env.reset()
    counts: dict[tuple[int, int], int] = {}
    for _ in range(2000):
        env.reset()
        env.unwrapped.set_observation(image)
        found, reward, ended, _, _ = env.step(0)
        counts[prey(found)] = counts.get(prey(found), 0) + 1
        assert (reward, ended) == ((1.0, True) if prey(found) == (0, 0) else (-0.1, False))
    assert set(counts) == {(0, 1), (0, 0), (0, 2), (1, 1), (-1, 1)}
    assert abs(counts.pop((0, 1)) - 1700) < 64  # four standard deviations
    assert all(abs(count - 75) < 35 for count in counts.values())


def test_it_starts_anywhere_but_on_the_prey_and_ends_after_100_steps() -> None:
    env = make(prey_moves=0.0)
    assert len({prey(env.reset(seed=seed)[0]) for seed in range(600)} - {(0, 0)}) == 48
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(100)] == [False] * 99 + [True]


def test_pictures_and_wrong_input() -> None:
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (168, 168, 3)
    assert len(np.unique(picture)) == 2
    inner = env.unwrapped
    with pytest.raises(ConfigurationError, match=r"array of shape \(2, 2\) and float64 is not an observation"):
        inner.set_observation(np.zeros((2, 2)))
    with pytest.raises(ConfigurationError, match=r"action=5 is not in Discrete\(5\)"):
        inner.step(5)
    with pytest.raises(ConfigurationError, match=r"prey_moves=1\.5 is not a share"):
        type(inner)(prey_moves=1.5)
    with pytest.raises(ConfigurationError, match="render_mode='human' is not known"):
        type(inner)(render_mode="human")

"""The grid world with walls, against a literal account of its rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hf_equi.errors import ConfigurationError

gymnasium: Any = pytest.importorskip("gymnasium", reason="environments come from gymnasium, an extra")
import hf_equi.environments  # noqa: E402, F401  which registers ours

STEPS = [(1, 0), (0, 1), (-1, 0), (0, -1)]
ARM = [(-2, -2), (-2, -1), (-2, 0)]
WALLS = {(row, column) for a, b in ARM for row, column in ((a, b), (-b, a), (-a, -b), (b, -a))}


def make(**settings: Any) -> Any:
    return gymnasium.make("hf_equi/WalledGridworld-v0", **settings)


def free(place: tuple[int, int]) -> bool:
    return place not in WALLS and max(map(abs, place)) <= 4


def cells(observation: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    row, column, goal_row, goal_column = (4 * observation).astype(int).tolist()
    return (row, column), (goal_row, goal_column)


def test_gymnasium_accepts_it() -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(make(render_mode="rgb_array").unwrapped)
    assert make().spec.max_episode_steps == 100


def test_steps_from_everywhere() -> None:
    env = make(random_goal=True)
    env.reset(seed=0)
    goal = (3, -4)
    for place in [(row, column) for row in range(-4, 5) for column in range(-4, 5) if free((row, column))]:
        for action, (down, right) in enumerate(STEPS):
            env.reset()
            env.unwrapped.set_observation(np.array([*place, *goal], dtype=np.float32) / 4)
            ahead = (place[0] + down, place[1] + right)
            observation, reward, ended, _, _ = env.step(action)
            expected = ahead if free(ahead) else place
            assert cells(observation) == (expected, goal)
            assert (reward, ended) == ((1.0, True) if expected == goal else (0.0, False))


def test_every_free_cell_reaches_the_goal() -> None:
    reached, waiting = {(0, 0)}, [(0, 0)]
    while waiting:
        row, column = waiting.pop()
        ahead = {(row + down, column + right) for down, right in STEPS}
        new = {place for place in ahead if free(place)} - reached
        reached |= new
        waiting += new
    assert len(reached) == 81 - len(WALLS) == 69


def test_it_starts_anywhere_but_at_the_goal() -> None:
    env, moving = make(), make(random_goal=True)
    starts = {cells(env.reset(seed=seed)[0]) for seed in range(900)}
    assert {goal for _, goal in starts} == {(0, 0)}
    assert {place for place, _ in starts} == {(a, b) for a in range(-4, 5) for b in range(-4, 5) if free((a, b))} - {
        (0, 0)
    }
    goals = [cells(moving.reset(seed=seed)[0]) for seed in range(900)]
    assert len({goal for _, goal in goals}) == 69
    assert all(place != goal and free(place) for place, goal in goals)


def test_pictures_and_wrong_input() -> None:
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (144, 144, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 4
    for wrong in ([-0.5, 0.0, 0.0, 0.0], [0.1, 0.0, 0.0, 0.0], [1.25, 0.0, 0.0, 0.0], [0.0, 0.0]):
        with pytest.raises(ConfigurationError, match="is not an observation of WalledGridworld"):
            env.unwrapped.set_observation(np.array(wrong))

"""The check of an environment's symmetries passes where they hold, and fails on every kind of wrong one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hf_equi.errors import ConfigurationError, EquivarianceError, HfEquiWarning
from hf_equi.groups import ACROBOT, CARTPOLE, GRIDWORLD, WALLED_GRIDWORLD, EnvironmentGroup, ImageGroup
from hf_equi.testing import assert_environment_symmetric

gymnasium: Any = pytest.importorskip("gymnasium", reason="environments come from gymnasium, an extra")
import hf_equi.environments  # noqa: E402, F401  which registers ours

# Hanging, swinging, and about to end the episode.
ACROBOT_STATES = [(0.0, 0.05, 0.1, -0.1), (1.0, -0.5, 2.0, 1.0), (2.0, 0.3, 1.5, 0.5), (-2.2, 0.5, -2.0, 1.0)]


def acrobot_states() -> np.ndarray:
    a, b, v, w = np.array(ACROBOT_STATES, dtype=np.float32).T
    return np.stack([np.cos(a), np.sin(a), np.cos(b), np.sin(b), v, w], axis=1)


@pytest.mark.parametrize(
    ("name", "group", "settings"),
    [
        ("CartPole-v1", CARTPOLE, {"states": 16}),
        ("Acrobot-v1", ACROBOT, {"states": acrobot_states()}),
        ("hf_equi/TorusGridworld-v0", GRIDWORLD, {"states": 6}),
        ("hf_equi/WalledGridworld-v0", WALLED_GRIDWORLD, {"states": 16}),
    ],
)
def test_what_is_symmetric_passes(name: str, group: EnvironmentGroup, settings: dict[str, Any]) -> None:
    assert_environment_symmetric(gymnasium.make(name), group, **settings)


def test_random_goals_are_symmetric() -> None:
    env = gymnasium.make("hf_equi/WalledGridworld-v0", random_goal=True)
    assert_environment_symmetric(env, WALLED_GRIDWORLD, states=8)


MIRROR = [-1, -1, -1, -1]
WRONG: dict[str, tuple[str, EnvironmentGroup, Any, str]] = {
    "a permutation": (
        "CartPole-v1",
        EnvironmentGroup([MIRROR], [[0, 1]]),
        8,
        r"16 of 16 steps differ for element 1 \(",
    ),
    "a sign": ("CartPole-v1", EnvironmentGroup([[-1, -1, -1, 1]], [[1, 0]]), 8, "ends of the episode by 1"),
    "a permutation where steps are random": (
        "hf_equi/TorusGridworld-v0",
        EnvironmentGroup(ImageGroup.rotations(4), [[0, 4, 1, 2, 3]]),
        4,
        r"laws of its random steps differ for element 1 \(90°\) \(p = .*Action . in s = .* Action . in gs = ",
    ),
    "walls": (
        "hf_equi/WalledGridworld-v0",
        EnvironmentGroup([[1, -1, 1, -1]], [[0, 3, 2, 1]]),
        np.array([[0.75, 0.25, 0, 0]]),
        r"1 of 4 steps differ .* s = \[0.75, 0.25, .* leads to \[.* differ by up to 0.25",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_fails(what: str) -> None:
    name, group, states, message = WRONG[what]
    with pytest.raises(EquivarianceError, match=message):
        assert_environment_symmetric(gymnasium.make(name), group, states=states)


class Valley(gymnasium.ObservationWrapper):  # type: ignore[misc,name-defined]
    """MountainCar seen from the bottom of its valley, which is symmetric, unlike what is beyond the slopes."""

    BOTTOM = np.array([-np.pi / 6, 0], dtype=np.float32)

    def __init__(self) -> None:
        super().__init__(gymnasium.make("MountainCar-v0"))
        self.observation_space = gymnasium.spaces.Box(-2, 2, (2,), np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return observation - self.BOTTOM


def place_car(env: Any, observation: np.ndarray) -> None:
    env.unwrapped.state = (observation + Valley.BOTTOM).astype(np.float64)


VALLEY = EnvironmentGroup([[-1, -1]], [[2, 1, 0]])
IN_THE_VALLEY = np.array([[0.1, 0.02], [-0.3, 0.03]], dtype=np.float32)
AT_THE_GOAL = np.array([[1.02, 0.03]], dtype=np.float32)


def test_a_symmetry_of_the_states_alone_fails_at_the_ends() -> None:
    with pytest.warns(HfEquiWarning, match="No step ended an episode.*pass states="):
        assert_environment_symmetric(Valley(), VALLEY, place_car, states=IN_THE_VALLEY, starts=0)
    states = np.concatenate([IN_THE_VALLEY, AT_THE_GOAL])
    with pytest.raises(EquivarianceError, match=r"3 of 9 steps differ.*ends of the episode by 1"):
        assert_environment_symmetric(Valley(), VALLEY, place_car, states=states, starts=0)


@pytest.mark.filterwarnings("ignore:No step ended an episode")
def test_first_states_of_another_law_fail() -> None:
    with pytest.raises(EquivarianceError, match=r"law of gs differs .* element 1 \(mirror\) \(p = .*mean of s is \["):
        assert_environment_symmetric(Valley(), VALLEY, place_car, states=IN_THE_VALLEY)


class Noisy(gymnasium.Env):  # type: ignore[misc,name-defined]
    """A number that an action pushes to one side, with noise that may be skewed or wider on one side."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Discrete(2, start=1)

    def __init__(self, kind: str = "normal") -> None:
        self.kind, self.state = kind, np.zeros(1)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.state = self.np_random.normal(size=1)
        return self.state.copy(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        noise = self.np_random.normal(size=1)
        if self.kind == "skewed":
            noise = self.np_random.exponential(size=1) - 1
        if self.kind == "wider":
            noise = noise * (2 if action == 2 else 1)
        self.state = self.state + (-1, 1)[action - 1] + noise
        return self.state.copy(), 0.0, bool(abs(self.state[0]) > 2), False, {}

    def set_observation(self, observation: np.ndarray) -> None:
        self.state = np.array(observation, dtype=np.float64)


def test_laws_of_noise_are_compared() -> None:
    """With means alone, neither of the last two would fail."""
    line = EnvironmentGroup([[-1]], [[1, 0]])
    for seed in range(5):
        assert_environment_symmetric(Noisy(), line, states=8, seed=seed)
    for kind in ("skewed", "wider"):
        with pytest.raises(
            EquivarianceError, match=r"laws of its random steps differ.*Means of 32 draws.*Action [12]"
        ):
            assert_environment_symmetric(Noisy(kind), line, states=8)


def test_what_does_not_fit_is_refused() -> None:
    cart = gymnasium.make("CartPole-v1")
    refused: list[tuple[type[Exception], str, Any]] = [
        (
            EquivarianceError,
            "permutes 3 actions, but the environment has Discrete",
            lambda check: check(cart, ACROBOT),
        ),
        (
            EquivarianceError,
            "moves images, but the environment's observations are Box",
            lambda check: check(cart, EnvironmentGroup(ImageGroup.flips("horizontal"), [[1, 0]])),
        ),
        (EquivarianceError, "states= is empty", lambda check: check(cart, CARTPOLE, states=np.zeros((0, 4)))),
        (
            EquivarianceError,
            "moves states of 2 numbers, but the environment's observations are Box",
            lambda check: check(cart, EnvironmentGroup([[-1, -1]], [[1, 0]])),
        ),
        (
            EquivarianceError,
            r"moves the state \[-1.0, .* to \[1.0, .*not in Box",
            lambda check: check(gymnasium.make("MountainCar-v0"), VALLEY, place_car, states=np.array([[-1.0, 0.0]])),
        ),
        (
            EquivarianceError,
            r"states= needs observations of the shape \(4,\); received \(5,\)",
            lambda check: check(cart, CARTPOLE, states=np.zeros((1, 5))),
        ),
        (
            EquivarianceError,
            "cannot be put into the image of the state .* under element 1 .*free cells",
            lambda check: check(
                gymnasium.make("hf_equi/WalledGridworld-v0"),
                EnvironmentGroup([[1, -1, 1, -1]], [[0, 3, 2, 1]]),
                states=np.array([[-0.5, 0.25, 0, 0]]),
            ),
        ),
        (
            ConfigurationError,
            r"MountainCarEnv into the state .* pass place=.*set_observation",
            lambda check: check(gymnasium.make("MountainCar-v0"), VALLEY),
        ),
        (ConfigurationError, "states=0 is not a number of states", lambda check: check(cart, CARTPOLE, states=0)),
        (ConfigurationError, "draws=1 is not a number of draws", lambda check: check(cart, CARTPOLE, draws=1)),
    ]
    for error, message, call in refused:
        with pytest.raises(error, match=message):
            call(assert_environment_symmetric)


def test_what_is_no_environment_group_or_tolerance_is_refused() -> None:
    cart = gymnasium.make("CartPole-v1")
    refused: list[tuple[str, Any, Any, dict[str, Any]]] = [
        ("'CartPole-v1' is not an environment: pass", "CartPole-v1", CARTPOLE, {}),
        ("group= is a ImageGroup: pass an EnvironmentGroup", cart, ImageGroup.rotations(2), {}),
        ("tolerance=nan is out of", cart, CARTPOLE, {"tolerance": float("nan")}),
        ("tolerance=-1 is out of", cart, CARTPOLE, {"tolerance": -1}),
        (r"state \[9\.0, 0\.0, 0\.0, 0\.0\] is not in Box", cart, CARTPOLE, {"states": np.array([[9.0, 0, 0, 0]])}),
    ]
    for message, env, group, settings in refused:
        with pytest.raises(ConfigurationError, match=message):
            assert_environment_symmetric(env, group, **settings)


def test_a_place_that_places_nothing_is_refused() -> None:
    """All that it leads to would be symmetric."""

    def nowhere(env: Any, observation: np.ndarray) -> None: ...

    def partly(env: Any, observation: np.ndarray) -> None:
        env.unwrapped.state = np.array([*observation[:3], 0.0])

    cart = gymnasium.make("CartPole-v1")
    for place in (nowhere, partly):
        with pytest.raises(ConfigurationError, match=r"Action [01] in s = \[.* led to .* but now leads to .*a copy"):
            assert_environment_symmetric(cart, CARTPOLE, place, states=8)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_rewards_that_are_nan_are_refused(share: float) -> None:
    """They would differ from nothing."""

    class Lost(gymnasium.Wrapper):  # type: ignore[misc,name-defined]
        def step(self, action: int) -> Any:
            observation, reward, *rest = self.env.step(action)
            return observation, np.nan if action >= share else reward, *rest

    with pytest.raises(ConfigurationError, match=r"NaN cannot be compared: action [01] in \[.*leads to a reward"):
        assert_environment_symmetric(Lost(gymnasium.make("CartPole-v1")), CARTPOLE, states=4)


def test_rewards_may_differ_by_the_tolerance() -> None:
    class Rounded(gymnasium.Wrapper):  # type: ignore[misc,name-defined]
        def step(self, action: int) -> Any:
            observation, reward, *rest = self.env.step(action)
            return observation, reward + 1e-4 * action, *rest

    cart = Rounded(gymnasium.make("CartPole-v1"))
    assert_environment_symmetric(cart, CARTPOLE, states=8, starts=0, tolerance=1e-3)
    with pytest.raises(EquivarianceError, match=r"rewards by 0\.0001"):
        assert_environment_symmetric(cart, CARTPOLE, states=8, starts=0)


def test_torch_keeps_its_own_noise() -> None:
    before = torch.random.get_rng_state()
    assert_environment_symmetric(gymnasium.make("CartPole-v1"), CARTPOLE, states=4)
    assert torch.equal(before, torch.random.get_rng_state())

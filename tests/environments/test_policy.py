"""Policies: the arrays of loops in and out, exploration that is equivariant in law, ties that are broken fairly."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import hf_equi
from hf_equi.environments import QPolicy
from hf_equi.errors import ActionError, ConfigurationError


class Linear:
    """A network of which the values are given: Q(s, ·) = s W."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, weights: Any) -> None:
        self.weights, self.seen = torch.tensor(weights, dtype=torch.float32), torch.empty(0)

    def __call__(self, *, states: torch.Tensor) -> Any:
        self.seen = states
        return SimpleNamespace(q_values=states.flatten(1).float() @ self.weights)

    def greedy_actions(self, states: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self(states=states).q_values.argmax(1))


MIRRORED = Linear([[1.0, -1.0, 0.0]])  # the mirror of s is -s; it exchanges the first two actions


def shares(policy: QPolicy, state: float, draws: int = 20_000) -> np.ndarray:
    actions, _ = policy.predict(np.full((draws, 1), state, dtype=np.float32), deterministic=False)
    return np.bincount(actions, minlength=3) / draws


def test_one_state_and_many() -> None:
    policy = QPolicy(MIRRORED)
    action, state = policy.predict(np.array([2.0]))
    assert (action, state) == (0, None)
    assert isinstance(action, np.int64)
    actions, state = policy.predict(np.array([[2.0], [-2.0]]), "kept", np.array([True, False]))
    assert (actions.tolist(), actions.dtype, state) == ([0, 1], np.int64, "kept")
    assert MIRRORED.seen.dtype == torch.float32  # that of the network, not of the environment


def test_bytes_of_images_are_left_to_the_network() -> None:
    network = Linear(np.eye(4))
    image = np.array([[[0, 255], [0, 0]]], dtype=np.uint8)
    assert QPolicy(network).predict(image)[0] == 1
    assert (network.seen.shape, network.seen.dtype) == ((1, 1, 2, 2), torch.uint8)
    assert QPolicy(network).predict(np.stack([image, image[:, ::-1]]))[0].tolist() == [1, 3]


def test_epsilon_and_temperature_are_equivariant_in_law() -> None:
    for policy, expected in (
        (QPolicy(MIRRORED, 0.3, seed=0), [0.8, 0.1, 0.1]),
        (QPolicy(MIRRORED, temperature=2.0, seed=0), torch.tensor([0.5, -0.5, 0.0]).softmax(0).numpy()),
    ):
        own, mirrored = shares(policy, 1.0), shares(policy, -1.0)
        assert np.allclose(own, expected, atol=0.015)  # four standard deviations of a share
        assert np.allclose(mirrored[[1, 0, 2]], expected, atol=0.015)


def test_ties_are_broken_fairly() -> None:
    assert np.allclose(shares(QPolicy(MIRRORED, seed=0), 0.0), 1 / 3, atol=0.015)
    two = Linear([[1.0, 1.0, 0.0]])
    assert np.allclose(shares(QPolicy(two, seed=0), 1.0), [0.5, 0.5, 0.0], atol=0.015)


def test_seeds_repeat_and_leave_the_noise_of_others_alone() -> None:
    states = np.zeros((50, 1), dtype=np.float32)
    before = torch.random.get_rng_state()
    drawn = [QPolicy(MIRRORED, 1.0, seed=seed).predict(states, deterministic=False)[0].tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    free = [QPolicy(MIRRORED, 1.0).predict(states, deterministic=False)[0].tolist() for _ in range(2)]
    assert free[0] != free[1]
    assert torch.equal(before, torch.random.get_rng_state())


def test_wrong_input_is_refused() -> None:
    for settings, message in (
        ({"epsilon": 1.5}, r"epsilon=1\.5 is not a share"),
        ({"temperature": 0}, "temperature=0 is out of range"),
        ({"epsilon": 0.1, "temperature": 1.0}, "pass one of them"),
        ({"seed": -1}, "seed=-1 is not a seed"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            QPolicy(MIRRORED, **settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="network= is a Sequential, not a QNetwork or EquiQNetwork"):
        QPolicy(torch.nn.Sequential())  # type: ignore[arg-type]
    with pytest.raises(ActionError, match="The values are NaN, so no action can be drawn"):
        QPolicy(MIRRORED).predict(np.array([np.nan]), deterministic=False)
    with pytest.raises(ActionError, match=r"received a tuple\. env.reset\(\) of gymnasium returns a pair"):
        QPolicy(MIRRORED).predict((np.zeros(1), {}))  # type: ignore[arg-type]
    with pytest.raises(ActionError, match="received a dict"):
        QPolicy(MIRRORED).predict({"a": 1})  # type: ignore[arg-type]
    with pytest.raises(ActionError, match=r"has the shape \(S,\) or .*received \(1, 1, 1, 1, 1\)"):
        QPolicy(MIRRORED).predict(np.zeros((1, 1, 1, 1, 1)))


def test_without_the_extra_a_policy_works_and_the_rest_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hf_equi, "environments", hf_equi.environments)  # which is put back with the modules
    for name in [name for name in sys.modules if name.startswith("hf_equi.environments")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("gymnasium", "stable_baselines3"):
        monkeypatch.setitem(sys.modules, name, None)
    package = importlib.import_module("hf_equi.environments")
    assert package.QPolicy(MIRRORED).predict(np.array([2.0]))[0] == 0
    for name in ("TorusGridworld", "WalledGridworld", "equivariant_dqn"):
        with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[rl\]'"):
            getattr(package, name)


def test_loops_of_gymnasium_and_stable_baselines3_take_it() -> None:
    gymnasium = pytest.importorskip("gymnasium", reason="environments come from gymnasium, an extra")
    # Lean the cart against the pole: right where the pole and its speed lean right.
    policy = QPolicy(Linear([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), seed=0)
    env = gymnasium.make("CartPole-v1")
    observation, _ = env.reset(seed=0)
    steps, ended = 0, False
    while not ended:
        observation, _, terminated, truncated, _ = env.step(policy.predict(observation)[0])
        steps, ended = steps + 1, terminated or truncated
    assert steps > 100
    many = gymnasium.make_vec("CartPole-v1", num_envs=3)
    observations, _ = many.reset(seed=0)
    assert many.step(policy.predict(observations, deterministic=False)[0])[0].shape == (3, 4)
    evaluation = pytest.importorskip("stable_baselines3.common.evaluation", reason="needs the extra rl")
    mean, _ = evaluation.evaluate_policy(policy, env, n_eval_episodes=2, warn=False)
    assert mean > 100

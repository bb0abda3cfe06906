"""Stable-Baselines3's DQN trains an equivariant network, saves it and loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hf_equi.actions import state_action, values_action
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ACROBOT, CARTPOLE, GRIDWORLD
from hf_equi.testing import assert_equivariant

pytest.importorskip("stable_baselines3", reason="needs the extra rl")
import gymnasium
from stable_baselines3 import DQN, PPO

from hf_equi.environments import EquiDQNPolicy, QPolicy, equivariant_dqn

SHORT: dict[str, Any] = {"buffer_size": 500, "learning_starts": 40, "train_freq": 4, "device": "cpu", "seed": 0}


@pytest.fixture(scope="module")
def agent() -> Any:
    return DQN("MlpPolicy", "CartPole-v1", buffer_size=10, device="cpu", seed=0)


def check_symmetric(network: Any, group: Any, states: torch.Tensor) -> None:
    assert_equivariant(lambda x: network(states=x).q_values, states, state_action(group), values_action(group))


@pytest.mark.parametrize("method", ["equitune", "equizero", "lambda"])
def test_it_trains_and_stays_equivariant(agent: Any, method: str) -> None:
    dqn = equivariant_dqn(agent, CARTPOLE, method, learning_rate=1e-2, target_update_interval=150, **SHORT)
    network, target = dqn.policy.network, dqn.q_net_target.network
    before = [weight.clone() for weight in network.parameters()]
    for ours in (network, target):
        assert torch.equal(ours.base.head.weight, agent.q_net.q_net[-1].weight)
    dqn.learn(200)
    assert np.isfinite(dqn.logger.name_to_value["train/loss"])
    assert all(not torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))
    assert all(not torch.equal(*pair) for pair in zip(before, target.parameters(), strict=True))  # after 150 steps
    assert any(not torch.equal(*pair) for pair in zip(network.parameters(), target.parameters(), strict=True))
    for ours in (network, target):
        check_symmetric(ours, CARTPOLE, torch.randn(20, 4))


def test_it_is_saved_and_loaded(agent: Any, tmp_path: Path) -> None:
    dqn = equivariant_dqn(agent, CARTPOLE, "equizero", policy_kwargs={"optimizer_kwargs": {"eps": 1e-6}}, **SHORT)
    dqn.learn(60)
    dqn.save(tmp_path / "dqn")
    loaded = DQN.load(tmp_path / "dqn", device="cpu")
    states = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    assert loaded.policy.network.config.method == "equizero"
    assert (
        loaded.predict(states, deterministic=True)[0].tolist() == dqn.predict(states, deterministic=True)[0].tolist()
    )
    assert QPolicy(loaded.policy.network).predict(states)[0].tolist() == dqn.policy.predict(states)[0].tolist()
    found, mirrored = (dqn.predict(x, deterministic=True)[0] for x in (states, -states))
    assert mirrored.tolist() == (1 - found).tolist()
    loaded.set_env(gymnasium.make("CartPole-v1"))
    loaded.learn(20)
    dqn.policy.save(tmp_path / "policy.pt")
    alone = EquiDQNPolicy.load(tmp_path / "policy.pt", device="cpu")
    assert alone.predict(states)[0].tolist() == dqn.policy.predict(states)[0].tolist()


def test_an_archive_and_images_train_too(agent: Any, tmp_path: Path) -> None:
    agent.save(tmp_path / "agent")
    dqn = equivariant_dqn(tmp_path / "agent", CARTPOLE, env="CartPole-v1", **SHORT)
    assert torch.equal(dqn.policy.network.base.head.weight, agent.q_net.q_net[-1].weight)
    policy = {"group": GRIDWORLD, "method": "equitune"}
    dqn = DQN(EquiDQNPolicy, "hf_equi/TorusGridworld-v0", policy_kwargs=policy, **SHORT)
    dqn.learn(80)
    images = torch.stack([torch.as_tensor(dqn.env.reset()[0]) for _ in range(4)])
    assert images.dtype == torch.uint8
    check_symmetric(dqn.policy.network, GRIDWORLD, images)


def test_what_does_not_fit_is_refused(agent: Any, tmp_path: Path) -> None:
    agent.save(tmp_path / "agent")
    with pytest.raises(ConfigurationError, match="holds no environment to train in: pass env="):
        equivariant_dqn(tmp_path / "agent", CARTPOLE)
    with pytest.raises(ConfigurationError, match="permutes 3 actions, but the network scores 2"):
        equivariant_dqn(agent, ACROBOT, **SHORT)
    with pytest.raises(ConfigurationError, match="The agent is a policy"):
        equivariant_dqn(PPO("MlpPolicy", "CartPole-v1", device="cpu"), CARTPOLE, **SHORT)
    with pytest.raises(ConfigurationError, match="group= is a str: pass an EnvironmentGroup"):
        equivariant_dqn(agent, "cart pole", **SHORT)  # type: ignore[arg-type]
    with pytest.raises(
        ConfigurationError, match=r"states of the shape \[6\] and 3 actions, but the network reads \[4"
    ):
        equivariant_dqn(agent, CARTPOLE, env="Acrobot-v1", **SHORT)
    space = gymnasium.spaces.Discrete(2, start=1)
    with pytest.raises(ConfigurationError, match=r"The actions are Discrete\(2, start=1\): number them from 0"):
        EquiDQNPolicy(agent.observation_space, space, lambda _: 1e-3, group=CARTPOLE)
    with pytest.raises(ConfigurationError, match=r"does not take net_arch\. Describe the network by network="):
        DQN(EquiDQNPolicy, "CartPole-v1", policy_kwargs={"group": CARTPOLE, "net_arch": [8]}, **SHORT)

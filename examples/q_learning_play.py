"""The environments of the Q-learning example, and episodes in many of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from hf_equi import EquiQNetwork
from hf_equi.environments import QPolicy  # whose package registers the grid worlds
from hf_equi.groups import ACROBOT, CARTPOLE, GRIDWORLD, WALLED_GRIDWORLD, EnvironmentGroup
from hf_equi.testing.places import place_of

DISCOUNT = 0.99
"""γ of Stable-Baselines3's DQN."""
Act = Callable[[NDArray[Any], NDArray[np.int64]], NDArray[np.int64]]
"""Chooses the actions in the states of the episodes that go on, given those and their numbers."""


@dataclass(frozen=True)
class Environment:
    """An environment and how long an agent is pretrained in it.

    Args:
        title: Its name on the page.
        id: Its name in gymnasium.
        group: Its symmetries.
        steps: The steps of pretraining.
        public: The archive of the public agent below the data folder, if there is one.
    """

    title: str
    id: str
    group: EnvironmentGroup
    steps: int
    public: str | None = None

    def make(self) -> gymnasium.Env[Any, Any]:
        """Make the environment, with its limit of steps."""
        return gymnasium.make(self.id, disable_env_checker=True)


ENVIRONMENTS = {
    "torus": Environment("Gridworld, torus", "hf_equi/TorusGridworld-v0", GRIDWORLD, 100_000),
    "walled": Environment("Gridworld, walled", "hf_equi/WalledGridworld-v0", WALLED_GRIDWORLD, 100_000),
    "cartpole": Environment("CartPole", "CartPole-v1", CARTPOLE, 100_000, "rl/dqn_CartPole-v1/CartPole-v1.zip"),
    "acrobot": Environment("Acrobot", "Acrobot-v1", ACROBOT, 70_000, "rl/dqn_Acrobot-v1/Acrobot-v1.zip"),
}
"""The published numbers of steps, 100k, 100k and 70k, in the order in which the paper names its environments.

Both grid worlds get 100k.
"""


@dataclass(frozen=True)
class Episodes:
    """What happened in some episodes, from the first step to the last.

    Args:
        states: For each episode the states before its steps, `(steps, ...)`.
        rewards: For each episode the rewards of its steps, `(steps,)`.
    """

    states: list[NDArray[Any]]
    rewards: list[NDArray[np.float64]]

    @property
    def returns(self) -> list[float]:
        """The sum of the rewards of each episode."""
        return [float(own.sum()) for own in self.rewards]

    @property
    def discounted(self) -> list[float]:
        """The same with the discount of the agents."""
        return [float((own * DISCOUNT ** np.arange(len(own))).sum()) for own in self.rewards]

    def drawn(self, count: int, seed: int) -> torch.Tensor:
        """Draw some of all the states, without drawing one twice."""
        states = np.concatenate(self.states)
        picked = np.random.default_rng(seed).permutation(len(states))[:count]
        return torch.from_numpy(states[picked])


def play(environment: Environment, act: Act, seeds: Iterable[int], starts: torch.Tensor | None = None) -> Episodes:
    """Play an episode for each seed, all at once, so that the network is called once a step.

    Args:
        environment: The environment.
        act: The policy.
        seeds: The seeds of the environments. The same seed gives the same first state to every policy.
        starts: States to begin in instead, one for each seed.
    """
    seeds = list(seeds)
    envs = [environment.make() for _ in seeds]
    now = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
    if starts is not None:
        now = list(starts.numpy())
        for env, start in zip(envs, now, strict=True):
            place_of(env)(env, start)
    states: list[list[Any]] = [[] for _ in envs]
    rewards: list[list[float]] = [[] for _ in envs]
    running = np.arange(len(envs))
    while len(running):
        actions = act(np.stack([now[k] for k in running]), running)
        going = []
        for k, action in zip(running.tolist(), actions.tolist(), strict=True):
            states[k].append(now[k])
            now[k], reward, terminated, truncated, _ = envs[k].step(action)
            rewards[k].append(float(reward))
            if not (terminated or truncated):
                going.append(k)
        running = np.array(going, dtype=np.int64)
    return Episodes([np.stack(own) for own in states], [np.array(own) for own in rewards])


def greedy(network: Any) -> Act:
    """Return the policy that takes the best action."""
    policy = QPolicy(network)
    return lambda states, _: policy.predict(states)[0]


def anyhow(environment: Environment, seed: int) -> Act:
    """Return the policy that takes any action."""
    noise, actions = np.random.default_rng(seed), environment.group.permutations.shape[1]
    return lambda states, _: noise.integers(actions, size=len(states))


class Kept:
    """The policy that lets a method choose a member of the orbit in the first state, and acts by it to the end.

    Args:
        network: A network whose method takes one member.
    """

    def __init__(self, network: EquiQNetwork) -> None:
        self._network = network
        self._elements = torch.empty(0, dtype=torch.int64)

    def __call__(self, states: NDArray[Any], running: NDArray[np.int64]) -> NDArray[np.int64]:
        """Act in the states of the episodes that go on. The first call has all of them."""
        network, given = self._network, torch.from_numpy(states)
        if not len(self._elements):
            with torch.no_grad():
                self._elements = network(states=given).chosen_element
        elements = self._elements[running]
        actions = network.base.greedy_actions(network.action.apply(elements, given))
        back: NDArray[np.int64] = network.group.permutations[network.group.inverse(elements), actions].numpy()
        return back


def seeds_of(what: str, count: int) -> Sequence[int]:
    """Return seeds of environments that no other part of the example, and no training, uses."""
    begin = {"measure": 10_000, "curve": 20_000, "path": 30_000, "onwards": 40_000}[what]
    return range(begin, begin + count)

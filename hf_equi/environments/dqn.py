"""Deep Q-learning of equivariant networks in Stable-Baselines3."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedConfig

from hf_equi.auto import symmetrize
from hf_equi.checks import to_install
from hf_equi.errors import ConfigurationError
from hf_equi.groups import EnvironmentGroup, read_group
from hf_equi.models.q_network import EquiQNetwork
from hf_equi.networks.q_network import QNetwork, QNetworkConfig

try:
    from gymnasium import spaces
    from stable_baselines3 import DQN
    from stable_baselines3.dqn.policies import DQNPolicy
except ImportError as error:
    raise ConfigurationError(f"Training needs Stable-Baselines3: {to_install('stable-baselines3', 'rl')}") from error

__all__ = ["EquiDQNPolicy", "equivariant_dqn"]


class EquiDQNPolicy(DQNPolicy):
    r"""A policy with which Stable-Baselines3's DQN trains an `EquiQNetwork`, and a target network of the same kind.

    $$ \text{loss} = \text{huber}\big(Q_G(s, a) - r - \gamma \max_{a'} Q_G^-(s', a')\big) $$

    with the target network $Q_G^-$. The loss of a transition is that of its image under every element of the group.
    Exploration is DQN's own: uniform actions, which keep the symmetry in law.

    Args:
        observation_space (`gymnasium.spaces.Box`):
            Rows of numbers, or images with channels first.
        action_space (`gymnasium.spaces.Discrete`):
            The actions.
        lr_schedule (`Callable`):
            The learning rate, which DQN passes.
        group (`EnvironmentGroup` or `dict`):
            The symmetries, or their `to_dict()`, with which the archive of the agent holds no pickled group.
        method (`str`, *optional*, defaults to `"equitune"`):
            A method of `EquiQNetwork`.
        network (`dict`, *optional*):
            The settings of the `QNetworkConfig`; by default that of Stable-Baselines3 for these spaces.
        settings (`dict`, *optional*):
            Settings of the method, as `symmetrize` takes them.
        **others:
            `optimizer_class` and `optimizer_kwargs`, as of `DQNPolicy`.

    Attributes:
        network: The `EquiQNetwork` that is trained.

    Raises:
        ConfigurationError: If Stable-Baselines3 is not installed; for other spaces; as `symmetrize`.

    Example:
        ```python
        >>> from stable_baselines3 import DQN
        >>> from hf_equi.environments import EquiDQNPolicy
        >>> from hf_equi.groups import CARTPOLE
        >>> dqn = DQN(EquiDQNPolicy, "CartPole-v1", policy_kwargs={"group": CARTPOLE.to_dict()}, buffer_size=100)
        >>> dqn.policy.network.config.method
        'equitune'

        ```
    """

    def __init__(
        self,
        observation_space: Any,
        action_space: Any,
        lr_schedule: Any,
        group: EnvironmentGroup | Mapping[str, Any],
        method: str = "equitune",
        network: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> None:
        self._check(observation_space, action_space, others)
        shape = {"state_shape": list(observation_space.shape), "num_actions": int(action_space.n)}
        # The parent builds the networks, so this comes first.
        self._config = QNetworkConfig(**({**network} if network else shape))
        if (self._config.state_shape, self._config.num_actions) != tuple(shape.values()):
            raise ConfigurationError(
                f"The environment has states of the shape {shape['state_shape']} and {shape['num_actions']} actions, "
                f"but the network reads {self._config.state_shape} and scores {self._config.num_actions}: pass its "
                "own environment"
            )
        self._group, self._method, self._settings = group, method, dict(settings or {})
        super().__init__(observation_space, action_space, lr_schedule, **others)

    @property
    def network(self) -> EquiQNetwork:
        """The network that is trained."""
        network: EquiQNetwork = self.q_net.network  # type: ignore[assignment]
        return network

    def make_q_net(self) -> Any:
        """Make a symmetrised network, with new weights."""
        group = read_group(self._group) if isinstance(self._group, Mapping) else self._group
        base = QNetwork(QNetworkConfig(**self._config.to_diff_dict()))
        return _Values(symmetrize(base, group, self._method, **self._settings)).to(self.device)

    def _predict(self, obs: Any, deterministic: bool = True) -> torch.Tensor:
        return self.network.greedy_actions(self.q_net.states(obs))  # type: ignore[operator]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        group = self._group.to_dict() if isinstance(self._group, EnvironmentGroup) else dict(self._group)
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "group": group,
            "method": self._method,
            "network": _plain(self._config),
            "settings": self._settings,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    @staticmethod
    def _check(observation_space: Any, action_space: Any, others: Mapping[str, Any]) -> None:
        if not isinstance(observation_space, spaces.Box) or len(observation_space.shape) not in (1, 3):
            raise ConfigurationError(
                f"A QNetwork reads rows of numbers or images, but the observations are {observation_space}: wrap the "
                "environment, for example in gymnasium.wrappers.FlattenObservation"
            )
        if getattr(action_space, "start", 0) != 0:
            raise ConfigurationError(f"The actions are {action_space}: number them from 0")
        if unknown := sorted(set(others) - {"optimizer_class", "optimizer_kwargs"}):
            raise ConfigurationError(
                f"policy_kwargs: EquiDQNPolicy does not take {', '.join(unknown)}. Describe the network by network=, "
                'for example {"state_shape": [4], "num_actions": 2, "hidden_sizes": [256, 256]}'
            )


class _Values(nn.Module):
    """The Q-values of an `EquiQNetwork`, as Stable-Baselines3 asks for them."""

    def __init__(self, network: EquiQNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return `(B, A)`."""
        values: torch.Tensor = self.network(states=self.states(observations)).q_values
        return values

    def states(self, observations: torch.Tensor) -> torch.Tensor:
        """Return observations as the network reads them: images of bytes as they are."""
        image = observations.dim() == 4 and observations.dtype == torch.uint8
        return observations if image else observations.to(self.network.dtype)

    def set_training_mode(self, mode: bool) -> None:
        """Switch between training and evaluation."""
        self.train(mode)


def equivariant_dqn(
    agent: str | os.PathLike[str] | DQN,
    group: EnvironmentGroup,
    method: str = "equitune",
    *,
    env: Any = None,
    **settings: Any,
) -> DQN:
    """Return a DQN of Stable-Baselines3 that goes on from an agent, with a Q-network made equivariant.

    Args:
        agent (`str`, path or `stable_baselines3.DQN`):
            The agent, or its archive. Nothing in an archive is run.
        group (`EnvironmentGroup`):
            The symmetries of the environment.
        method (`str`, *optional*, defaults to `"equitune"`):
            A method of `EquiQNetwork`.
        env (`gymnasium.Env`, vectorised environment or `str`, *optional*):
            The environment; by default that of the agent, if it is not an archive.
        **settings:
            Settings of the new DQN, such as `learning_rate`. Those of the agent are not taken over, and neither is
            its replay buffer.

    Returns:
        A `stable_baselines3.DQN` with an `EquiDQNPolicy`. It learns, predicts, saves and loads as others do. Its
        network is `dqn.policy.network`, an `EquiQNetwork` to save or publish.

    Raises:
        ConfigurationError: If Stable-Baselines3 is not installed; for an agent that is not a DQN with a network that
            `QNetwork` has; without an environment; for a group or an environment that does not fit; as `symmetrize`.

    Cost: each step of training costs |G| times that of the agent, for the forwards of both networks.

    Example:
        ```python
        >>> from stable_baselines3 import DQN
        >>> from hf_equi.environments import equivariant_dqn
        >>> from hf_equi.groups import CARTPOLE
        >>> agent = DQN("MlpPolicy", "CartPole-v1", buffer_size=100)
        >>> dqn = equivariant_dqn(agent, CARTPOLE, learning_rate=1e-4, buffer_size=100)

        ```
    """
    if not isinstance(group, EnvironmentGroup):
        raise ConfigurationError(f"group= is a {type(group).__name__}: pass an EnvironmentGroup, such as CARTPOLE")
    base = QNetwork.from_stable_baselines3(agent)
    if base.config.outputs != "q_values":
        raise ConfigurationError("The agent is a policy, whose network gives logits: DQN trains Q-values")
    if env is None and isinstance(agent, DQN):
        env = agent.get_env()
    if env is None:
        raise ConfigurationError("An archive holds no environment to train in: pass env=")
    symmetric = {"group": group.to_dict(), "method": method, "network": _plain(base.config)}
    policy = {**settings.pop("policy_kwargs", {}), **symmetric}
    dqn = DQN(EquiDQNPolicy, env, policy_kwargs=policy, **settings)
    for values in (dqn.q_net, dqn.q_net_target):
        values.network.base.load_state_dict(base.state_dict())  # type: ignore[union-attr]
    return dqn


def _plain(config: PreTrainedConfig) -> dict[str, Any]:
    """Return the settings of a config as JSON has them, so that archives hold them without pickles."""
    content: dict[str, Any] = json.loads(config.to_json_string())
    return content

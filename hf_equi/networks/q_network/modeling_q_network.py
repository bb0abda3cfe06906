"""Q-networks and policies of agents with discrete actions, as transformers models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from hf_equi.bases.loading import SafeLoadingMixin
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.networks.q_network.configuration_q_network import ACTIVATIONS, QNetworkConfig
from hf_equi.networks.q_network.labelled import labelled_loss
from hf_equi.networks.q_network.stable_baselines3 import read_agent, write_agent

__all__ = ["NO_BEST_ACTION", "QNetwork", "QNetworkOutput"]

NO_BEST_ACTION = "The values are NaN, so no action is the best: look at the weights and the states."
"""What both networks say of such values."""


@dataclass
class QNetworkOutput(ModelOutput):
    """The output of `QNetwork`.

    Args:
        loss: `()` with `labels`.
        q_values: `(B, A)` the value of each action; with `config.outputs="logits"` the logits of a policy.
        features: `(B, features)` what the last layer reads, with `output_features`.
    """

    loss: torch.Tensor | None = None
    q_values: torch.Tensor | None = None
    features: torch.Tensor | None = None


class QNetwork(SafeLoadingMixin, PreTrainedModel):
    r"""Scores of the actions of an agent in a state: Q-values, or the logits of a policy.

    $$ Q(s, a) = w_a^\top f(s) + b_a $$

    with features f of a multilayer perceptron, or of convolutions for images. The default network is that of
    Stable-Baselines3's DQN.

    Args:
        config: The model's configuration.

    Letters: B states, S numbers of a state, A actions.

    Example:
        >>> from hf_equi import QNetwork, QNetworkConfig
        >>> network = QNetwork(QNetworkConfig(state_shape=4, num_actions=2))
        >>> network(torch.zeros(5, 4)).q_values.shape
        torch.Size([5, 2])
    """

    config: QNetworkConfig
    config_class = QNetworkConfig
    base_model_prefix = "model"
    main_input_name = "states"
    accepts_loss_kwargs = False

    def __init__(self, config: QNetworkConfig) -> None:
        super().__init__(config)
        layers, features = _layers(config)
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(features, config.num_actions)
        self._shape = tuple(config.state_shape)  # a config of transformers takes longer to ask than a layer to run
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def device(self) -> torch.device:
        """The device of the network. transformers would look through all modules for it, in each step of an agent."""
        return self.head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the network."""
        return self.head.weight.dtype

    @property
    def feature_size(self) -> int:
        """The number of features that the last layer reads."""
        return self.head.in_features

    def forward(
        self,
        states: torch.Tensor,
        labels: torch.Tensor | None = None,
        output_features: bool = False,
        return_dict: bool | None = None,
    ) -> QNetworkOutput | tuple[Any, ...]:
        """Score the actions in some states.

        Args:
            states: `(B, S)` floating numbers, or images `(B, C, H, W)`: floating, or bytes (`uint8`).
            labels: For Q-values `(B, A)` targets, NaN where there is none: the loss is the mean of the Huber losses
                of the others, as in Stable-Baselines3. For logits `(B,)` actions: the loss is their cross-entropy.
            output_features: Whether to return what the last layer reads.
            return_dict: `False` for a tuple; by default as in the config.

        Raises:
            ActionError: For states of another shape, kind or precision.
            ConfigurationError: For labels of another shape or kind.
        """
        self.check_states(states)
        features = self._features(states)
        values = self.head(features)
        loss = None if labels is None else labelled_loss(self.config.outputs, values, labels)
        result = (loss, values, features if output_features else None)
        if self.config.return_dict if return_dict is None else return_dict:
            return QNetworkOutput(*result)
        return tuple(part for part in result if part is not None)

    def check_states(self, states: Any) -> None:
        """Refuse anything but states of this network.

        Raises:
            ActionError: For another shape or kind.
        """
        shape = self._shape
        if not isinstance(states, torch.Tensor) or states.shape[1:] != shape:
            given = tuple(states.shape) if isinstance(states, torch.Tensor) else type(states).__name__
            raise ActionError(
                f"states= needs a tensor of the shape (B, {', '.join(map(str, shape))}); received {given}."
            )
        if not states.is_floating_point() and not (len(shape) == 3 and states.dtype == torch.uint8):
            raise ActionError(
                f"states= holds {states.dtype}: pass floating numbers, as with states.float()"
                + (", or bytes, torch.uint8." if len(shape) == 3 else ".")
            )

    def _features(self, states: torch.Tensor) -> torch.Tensor:
        """Return what the last layer reads."""
        try:
            features: torch.Tensor = self.body(self._read(states))
        except RuntimeError as error:  # looked at afterwards, because each step of an agent would pay for it before
            if states.dtype in (torch.uint8, self.dtype):
                raise
            raise ActionError(
                f"states= holds {states.dtype}, but the network has {self.dtype}: pass states.to(network.dtype)."
            ) from error
        return features

    def _read(self, states: torch.Tensor) -> torch.Tensor:
        """Return states as the first layer reads them."""
        if states.dtype != torch.uint8:
            return states
        numbers = states.to(self.head.weight.dtype)
        return numbers / 255.0 if self.config.normalize_images else numbers

    @classmethod
    def from_stable_baselines3(
        cls, agent: str | os.PathLike[str] | Any, *, convolutions: list[list[int]] | None = None
    ) -> QNetwork:
        """Read the network of an agent of Stable-Baselines3: a DQN's Q-network, or the policy of a PPO or A2C.

        Neither Stable-Baselines3 nor an environment is needed to read an archive. Nothing in it is run: its weights
        load with `weights_only=True`, and its pickled entries are never decoded.

        Args:
            agent: The archive that the agent's `save` wrote, or the agent itself.
            convolutions: For images, the channels, kernel size and stride of each convolution, if they are not those
                of `NatureCNN`: weights do not tell strides.

        Raises:
            ConfigurationError: For a file that is not such an archive, is damaged, or would run code; for an agent
                with continuous actions, observations other than a `Box` of numbers or of images, weights that are
                not finite, or a network of another architecture.

        Example:
            >>> QNetwork.from_stable_baselines3("cartpole.zip")  # doctest: +SKIP
        """
        config, layers = read_agent(agent, convolutions)
        with torch.device("meta"):  # before memory is taken for sizes that a damaged archive may give
            wanted = [tuple(module.weight.shape) for module in cls(config)._linear_layers()]
        if wanted != (given := [tuple(weight.shape) for weight, _ in layers]):
            place = f"The archive {agent}" if isinstance(agent, str | os.PathLike) else "The agent"
            raise ConfigurationError(
                f"{place} describes a network with weights of the shapes {wanted}, but its weights have the shapes "
                f"{given}: it is damaged, or has another architecture"
            )
        network = cls(config)
        with torch.no_grad():
            for module, (weight, bias) in zip(network._linear_layers(), layers, strict=True):
                module.weight.copy_(weight)
                module.bias.copy_(bias)
        network.eval()  # type: ignore[no-untyped-call]
        return network

    def greedy_actions(self, states: torch.Tensor) -> torch.Tensor:
        """Return the best action in each state, `(B,)` int64; of actions that tie, the one with the lowest number.

        Args:
            states: As in `forward`.

        Raises:
            ActionError: As `forward`; for values that are NaN.
        """
        with torch.no_grad():
            largest, actions = self(states=states, return_dict=True).q_values.max(1)
            if bool(largest.isnan().any()):
                raise ActionError(NO_BEST_ACTION)
            return actions  # type: ignore[no-any-return]

    def to_stable_baselines3(self, path: str | os.PathLike[str], *, env: Any = None, **settings: Any) -> None:
        """Write an archive that `DQN.load` reads; for logits, one that `PPO.load` reads, with a new critic.

        Args:
            path: The file.
            env: A `gymnasium` environment, whose spaces are stored: `DQN.load(path, env=env)` compares them. By
                default numbers have no bounds.
            **settings: Other arguments of the agent, such as `learning_rate` and `buffer_size`.

        Raises:
            ConfigurationError: Without the extra `rl`; for an environment with other states or actions; for
                convolutions that Stable-Baselines3 does not have.
        """
        layers = [(module.weight, module.bias) for module in self._linear_layers()]
        write_agent(self.config, layers, path, env, settings)

    def _linear_layers(self) -> list[Any]:
        """Return the layers with weights, from the first to the last."""
        return [module for module in self.modules() if isinstance(module, nn.Linear | nn.Conv2d)]

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialise as torch does, and Stable-Baselines3's DQN with it."""
        if isinstance(module, nn.Linear | nn.Conv2d):
            bound = module.weight[0].numel() ** -0.5
            for parameter in module.parameters():
                init.uniform_(parameter, -bound, bound)


def _layers(config: QNetworkConfig) -> tuple[list[nn.Module], int]:
    """Return the layers before the last one, and the number of features that they give."""
    layers: list[nn.Module] = []
    if config.convolutions:
        channels = config.state_shape[0]
        for wider, kernel, stride in config.convolutions:
            layers += [nn.Conv2d(channels, wider, kernel, stride), nn.ReLU()]
            channels = wider
        maps, height, width = config.map_shape()
        features = config.feature_size
        layers += [nn.Flatten(), nn.Linear(maps * height * width, features), nn.ReLU()]
    else:
        features = int(torch.Size(config.state_shape).numel())
        layers += [nn.Flatten()] if config.reads_images else []
    for units in config.hidden_sizes:
        layers += [nn.Linear(features, units), ACTIVATIONS[config.activation]()]
        features = units
    return layers, features

"""Networks of agents of Stable-Baselines3: their layers in archives, and archives of networks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hf_equi.bases.finite import check_finite
from hf_equi.bases.reading import AGAIN, reading
from hf_equi.checks import to_install
from hf_equi.errors import ConfigurationError
from hf_equi.networks.q_network.archives import StoredAgent, read_archive
from hf_equi.networks.q_network.configuration_q_network import ACTIVATIONS, NATURE, QNetworkConfig

__all__ = ["Layer", "layer_names", "read_agent", "write_agent"]

Layer = tuple[torch.Tensor, torch.Tensor]
"""The weight and the bias of a layer."""

_KINDS: dict[str, tuple[str, ...]] = {
    "q_values": (r"q_net\.features_extractor\.cnn", r"q_net\.features_extractor\.linear", r"q_net\.q_net"),
    "logits": (
        r"(?:pi_)?features_extractor\.cnn",
        r"(?:pi_)?features_extractor\.linear",
        r"mlp_extractor\.shared_net",
        r"mlp_extractor\.policy_net",
        r"action_net",
    ),
}
"""Where the layers of each kind of network are, from the first to the last."""
_OTHERS = r"(q_net_target|vf_features_extractor|mlp_extractor\.value_net|value_net)\."
"""The weights that do not score actions: targets and critics."""
_DEFAULT_ACTIVATIONS = {"q_values": "relu", "logits": "tanh"}
_SIMPLE = "Networks of Stable-Baselines3 that can be read are its own MlpPolicy and CnnPolicy of DQN, PPO and A2C."


def read_agent(agent: Any, convolutions: Sequence[Sequence[int]] | None) -> tuple[QNetworkConfig, list[Layer]]:
    """Read the network by which an agent scores its actions.

    Args:
        agent: An archive, or an agent.
        convolutions: The channels, kernel size and stride of each convolution; by default those of `NatureCNN`.

    Returns:
        The config of the network, and its layers from the first to the last.

    Raises:
        ConfigurationError: For anything but an agent with discrete actions and a network that `QNetwork` has.
    """
    stored = read_archive(agent) if isinstance(agent, str | os.PathLike) else _describe(agent)
    with reading(stored.start, AGAIN):  # some errors below do not name the agent
        return _read_stored(stored, convolutions)


def _read_stored(
    stored: StoredAgent, convolutions: Sequence[Sequence[int]] | None
) -> tuple[QNetworkConfig, list[Layer]]:
    """Return the same of what an archive says."""
    actions = _count_actions(stored)
    outputs, names = layer_names(stored.weights)
    floating = {name: weight.float() for name, weight in stored.weights.items() if weight.is_floating_point()}
    check_finite(floating.items(), stored.place)
    layers = [_layer(stored, name) for name in names]
    maps = [layer for layer in layers if layer[0].dim() == 4]
    rest = layers[len(maps) :]
    if len(rest) <= bool(maps):  # the last layer, and one after convolutions
        raise ConfigurationError(f"{stored.start} lacks layers of a network that scores actions. {_SIMPLE}")
    if any(weight.dim() != 2 for weight, _ in rest):
        raise ConfigurationError(f"{stored.start}: a layer is neither linear nor a convolution. {_SIMPLE}")
    shapes = _convolutions(stored, maps, convolutions)
    hidden = [weight.shape[0] for weight, _ in (rest[1:-1] if maps else rest[:-1])]
    normalize = stored.policy.get("normalize_images", True)
    config = QNetworkConfig(
        state_shape=_state_shape(stored),
        num_actions=actions,
        hidden_sizes=hidden,
        activation=_activation(stored, outputs) if hidden else _DEFAULT_ACTIVATIONS[outputs],
        convolutions=shapes,
        feature_size=rest[0][0].shape[0] if maps else 512,
        normalize_images=normalize if isinstance(normalize, bool) else normalize != "False",
        outputs=outputs,
    )
    return config, layers


def layer_names(weights: Iterable[str]) -> tuple[str, list[str]]:
    """Return the kind of network that weights belong to, and the names of its layers from the first to the last.

    Args:
        weights: The names of the weights of a policy.

    Raises:
        ConfigurationError: For weights of another architecture.

    Example:
        >>> layer_names(["q_net.q_net.0.weight", "q_net.q_net.0.bias", "q_net_target.q_net.0.weight"])
        ('q_values', ['q_net.q_net.0'])
    """
    own = [name for name in weights if not re.match(_OTHERS, name)]
    outputs = "q_values" if any(name.startswith("q_net.") for name in own) else "logits"
    if any(name.startswith("pi_features_extractor.") for name in own):  # the same as without pi_, or beside it
        own = [name for name in own if not name.startswith("features_extractor.")]
    places: dict[tuple[int, int], str] = {}
    for name in own:
        layer = name.removesuffix(".weight").removesuffix(".bias")
        found = [
            (place, int(match[1] or 0))
            for place, pattern in enumerate(_KINDS[outputs])
            if (match := re.fullmatch(rf"{pattern}(?:\.(\d+))?", layer))
        ]
        if not found or name == layer:
            ours = name.startswith("q_net.network.base.")
            way_out = "Take agent.policy.network of an agent that equivariant_dqn made." if ours else _SIMPLE
            raise ConfigurationError(f"The weight {name!r} belongs to another kind of network. {way_out}")
        places[found[0]] = layer
    for place in {place for place, _ in places}:
        numbers = sorted(number for one, number in places if one == place)
        if numbers != list(range(0, 2 * len(numbers), 2)):  # an activation follows each layer
            raise ConfigurationError(
                f"The layers {', '.join(places[place, number] for number in numbers)} are not each followed by an "
                f"activation alone. {_SIMPLE}"
            )
    return outputs, [places[place] for place in sorted(places)]


def write_agent(
    config: QNetworkConfig, layers: Sequence[Layer], path: str | os.PathLike[str], env: Any, settings: dict[str, Any]
) -> None:
    """Write an archive of an agent with a network.

    Args:
        config: The config of the network.
        layers: Its layers from the first to the last.
        path: The file.
        env: An environment with the spaces to store; `None` for numbers without bounds.
        settings: Other arguments of the agent.

    Raises:
        ConfigurationError: Without the extra `rl`; for an environment that does not fit; for other convolutions.
    """
    try:
        import stable_baselines3  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigurationError(
            f"Archives of Stable-Baselines3 are written by that package: {to_install('stable-baselines3', 'rl')}"
        ) from error
    if config.convolutions and tuple(map(tuple, config.convolutions)) != NATURE:
        raise ConfigurationError(
            f"convolutions={config.convolutions!r}: Stable-Baselines3 has those of NatureCNN alone, "
            f"{[list(one) for one in NATURE]}"
        )
    kind: Any = stable_baselines3.DQN if config.outputs == "q_values" else stable_baselines3.PPO
    hidden = config.hidden_sizes
    policy = {
        "net_arch": hidden if config.outputs == "q_values" else {"pi": hidden, "vf": hidden},
        "activation_fn": ACTIVATIONS[config.activation],
        "normalize_images": config.normalize_images,
    }
    if config.convolutions:
        policy["features_extractor_kwargs"] = {"features_dim": config.feature_size}
    name = "CnnPolicy" if config.convolutions else "MlpPolicy"
    agent = kind(name, _spaces(config) if env is None else env, policy_kwargs=policy, **settings)
    said = _describe(agent)
    if _state_shape(said) != config.state_shape or _count_actions(said) != config.num_actions:
        raise ConfigurationError(
            f"env= has states of the shape {_state_shape(said)} and {_count_actions(said)} actions, but the network "
            f"reads {config.state_shape} and scores {config.num_actions}: pass its own environment"
        )
    with torch.no_grad():
        for layer, tensors in zip(layer_names(said.weights)[1], layers, strict=True):
            for part, tensor in zip(("weight", "bias"), tensors, strict=True):
                agent.policy.get_parameter(f"{layer}.{part}").copy_(tensor)
    if config.outputs == "q_values":
        agent.q_net_target.load_state_dict(agent.q_net.state_dict())
    agent.save(path)


def _spaces(config: QNetworkConfig) -> Any:
    """Return an environment that has spaces and nothing else."""
    import gymnasium  # noqa: PLC0415  an extra

    shape, spaces = tuple(config.state_shape), gymnasium.spaces
    numbers = spaces.Box(0, 255, shape, np.uint8) if config.reads_images else spaces.Box(-torch.inf, torch.inf, shape)
    entries = {"observation_space": numbers, "action_space": spaces.Discrete(config.num_actions)}
    return type("Spaces", (gymnasium.Env,), entries)()


def _describe(agent: Any) -> StoredAgent:
    """Return the same facts about an agent as about its archive."""
    try:
        policy, states, actions = agent.policy, agent.observation_space, agent.action_space
        return StoredAgent(
            f"this {type(agent).__name__}",
            policy.state_dict(),
            {":type:": str(type(states)), "shape": states.shape, "dtype": str(states.dtype)},
            {":type:": str(type(actions)), "n": getattr(actions, "n", None), "start": getattr(actions, "start", 0)},
            {**agent.policy_kwargs, "activation_fn": str(getattr(policy, "activation_fn", None))},
        )
    except AttributeError as error:
        raise ConfigurationError(
            f"A {type(agent).__name__} is not an agent of Stable-Baselines3: pass a DQN, PPO or A2C, or the path of "
            "its archive"
        ) from error


def _class_name(said: Any) -> str:
    """Return the name of a class from its text, such as `<class 'torch.nn.modules.activation.Tanh'>`."""
    return str(said).rstrip("'>").rpartition(".")[2]


def _count_actions(stored: StoredAgent) -> int:
    kind, number, start = (
        _class_name(stored.actions.get(":type:")),
        stored.actions.get("n"),
        stored.actions.get("start"),
    )
    if kind != "Discrete":
        raise ConfigurationError(
            f"{stored.start} has actions of the kind {kind}: a network scores them one by one, so they must be "
            "Discrete"
        )
    if start not in (None, 0, "0"):
        raise ConfigurationError(f"{stored.start} numbers its actions from {start}: number them from 0")
    if not re.fullmatch(r"[1-9]\d{0,8}", str(number)):
        raise ConfigurationError(f"{stored.start} has n={number!r} actions, which is not a number of actions")
    return int(str(number))


def _state_shape(stored: StoredAgent) -> list[int]:
    kind = _class_name(stored.states.get(":type:"))
    if kind != "Box":
        raise ConfigurationError(
            f"{stored.start} reads observations of the kind {kind}: a QNetwork reads a Box of numbers or of images"
        )
    shape = stored.states.get("_shape", stored.states.get("shape"))
    if not isinstance(shape, list | tuple) or not all(isinstance(size, int) for size in shape):
        raise ConfigurationError(f"{stored.start} does not give the shape of its observations: {shape!r}")
    return list(shape)


def _layer(stored: StoredAgent, name: str) -> Layer:
    weight, bias = (stored.weights.get(f"{name}.{part}") for part in ("weight", "bias"))
    if weight is None or bias is None or bias.shape != weight.shape[:1] or not weight.is_floating_point():
        raise ConfigurationError(f"{stored.start}: the layer {name!r} lacks a weight and a bias that fit each other")
    return weight.detach(), bias.detach()


def _convolutions(
    stored: StoredAgent, maps: Sequence[Layer], given: Sequence[Sequence[int]] | None
) -> list[list[int]]:
    """Return the channels, kernel size and stride of each convolution."""
    if not maps and given:
        raise ConfigurationError(f"convolutions={given!r}: {stored.place} has none, so leave convolutions= out")
    extractor = stored.policy.get("features_extractor_class")
    own = extractor is not None and _class_name(extractor) not in ("NatureCNN", "FlattenExtractor")
    if own and not maps:
        raise ConfigurationError(
            f"{stored.start} has a features extractor of its own, {extractor}, whose code is not read. {_SIMPLE}"
        )
    wanted = NATURE if given is None else given
    shapes = [tuple(weight.shape) for weight, _ in maps]
    if maps and (
        (own and given is None)
        or len(wanted) != len(maps)
        or any(
            (out, *kernel) != (one[0], one[1], one[1]) for (out, _, *kernel), one in zip(shapes, wanted, strict=True)
        )
    ):
        raise ConfigurationError(
            f"{stored.start} has convolutions with weights of the shapes {shapes}, and those of "
            f"{'NatureCNN' if given is None else 'convolutions='} are others. Weights do not tell strides: pass "
            "convolutions=[[channels, kernel size, stride], ...]"
        )
    return [list(one) for one in wanted] if maps else []


def _activation(stored: StoredAgent, outputs: str) -> str:
    """Return our name of the activation of the hidden layers."""
    given = stored.policy.get("activation_fn")
    if given in (None, "None"):
        return _DEFAULT_ACTIVATIONS[outputs]
    known: Mapping[str, str] = {kind.__name__: name for name, kind in ACTIVATIONS.items() if isinstance(kind, type)}
    name = _class_name(given)
    if name not in known or not str(given).startswith("<class 'torch.nn."):
        raise ConfigurationError(
            f"{stored.start} has the activation {given}, which a QNetwork does not have: it has "
            f"{', '.join(sorted(known))}"
        )
    return known[name]

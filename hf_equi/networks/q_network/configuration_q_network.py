"""The configuration of QNetwork."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from huggingface_hub.dataclasses import strict
from torch import nn
from transformers import PreTrainedConfig

from hf_equi.checks import check_choice, check_count
from hf_equi.errors import ConfigurationError

__all__ = ["ACTIVATIONS", "NATURE", "OUTPUTS", "QNetworkConfig"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
}
OUTPUTS = ("q_values", "logits")
NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
"""The convolutions of Mnih et al. 2015: channels, kernel size and stride of each."""
_SMALL = ((32, 3, 2), (64, 3, 2))
_SMALLEST_NATURE = 36
"""The shortest side of an image that those of Mnih et al. can read."""


@strict
class QNetworkConfig(PreTrainedConfig):
    r"""Configuration of `QNetwork`; the defaults are those of Stable-Baselines3's DQN.

    Args:
        state_shape (`int` or `list[int]`, *optional*, defaults to 4):
            The shape of a state: S for S numbers, or `[channels, height, width]` for an image.
        num_actions (`int`, *optional*, defaults to 2):
            The number of actions A.
        hidden_sizes (`list[int]`, *optional*):
            The units of each hidden layer; by default `[64, 64]`, and for images none besides `feature_size`.
        activation (`str`, *optional*, defaults to `"relu"`):
            What follows each hidden layer: `"relu"`, `"tanh"`, `"elu"`, `"gelu"`, `"leaky_relu"` or `"silu"`.
        convolutions (`list[list[int]]`, *optional*):
            For images, the channels, kernel size and stride of each convolution. By default those of Mnih et al. 2015
            for images with sides of 36 pixels or more, and two of 3 × 3 for smaller ones. An empty list reads an image
            as a row of numbers.
        feature_size (`int`, *optional*, defaults to 512):
            The units of the layer that follows the convolutions.
        normalize_images (`bool`, *optional*, defaults to `True`):
            Whether images of bytes (`uint8`) are divided by 255. Floating numbers are read as they are.
        outputs (`str`, *optional*, defaults to `"q_values"`):
            What the scores of the actions are: `"q_values"`, or the `"logits"` of a policy.

    Raises:
        ConfigurationError: For sizes below 1, an unknown activation or kind of output, convolutions of states that are
            not images, or convolutions that do not fit into the image.

    References:
        Mnih et al. 2015, "Human-level control through deep reinforcement learning".

    Example:
        >>> QNetworkConfig().hidden_sizes, QNetworkConfig(state_shape=[3, 84, 84]).convolutions
        ([64, 64], [[32, 8, 4], [64, 4, 2], [64, 3, 1]])
    """

    model_type = "q_network"

    state_shape: Any = 4
    num_actions: int = 2
    hidden_sizes: Any = None
    activation: str = "relu"
    convolutions: Any = None
    feature_size: int = 512
    normalize_images: bool = True
    outputs: str = "q_values"

    def __post_init__(self, **kwargs: Any) -> None:
        shape = [self.state_shape] if isinstance(self.state_shape, int) else self.state_shape
        self.state_shape = _sizes("state_shape", shape, "size")
        if len(self.state_shape) not in (1, 3):
            raise ConfigurationError(
                f"state_shape={self.state_shape!r}: a state is a row of S numbers, or an image, "
                "[channels, height, width]"
            )
        if self.convolutions is None:
            self.convolutions = self._default_convolutions()
        self.convolutions = _sizes("convolutions", self.convolutions, "triple (channels, kernel size, stride)", 3)
        if self.hidden_sizes is None:
            self.hidden_sizes = [] if self.convolutions else [64, 64]
        self.hidden_sizes = _sizes("hidden_sizes", self.hidden_sizes, "size")
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("outputs", self.outputs, OUTPUTS)
        check_count("num_actions", self.num_actions, "number of actions")
        check_count("feature_size", self.feature_size, "size")
        if self.convolutions:
            self.map_shape()

    @property
    def reads_images(self) -> bool:
        """Whether states are images."""
        return len(self.state_shape) == 3

    def map_shape(self) -> tuple[int, int, int]:
        """The channels, height and width of the last feature map.

        Raises:
            ConfigurationError: If a convolution does not fit, or states are not images.
        """
        if not self.reads_images:
            raise ConfigurationError(
                f"convolutions={self.convolutions!r} read images, but a state has the shape {self.state_shape}: leave "
                "convolutions= out, or use state_shape=[channels, height, width]"
            )
        height, width = self.state_shape[1:]
        for number, (_, kernel, stride) in enumerate(self.convolutions):
            if kernel > min(height, width):
                raise ConfigurationError(
                    f"Convolution {number} of convolutions={self.convolutions!r} has a kernel of {kernel} × {kernel}, "
                    f"but reads {height} × {width} pixels: use smaller kernels or strides"
                )
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        return self.convolutions[-1][0], height, width

    def _default_convolutions(self) -> Sequence[Sequence[int]]:
        if len(self.state_shape) != 3:
            return ()
        return NATURE if min(self.state_shape[1:]) >= _SMALLEST_NATURE else _SMALL


def _sizes(name: str, given: Any, what: str, parts: int = 0) -> list[Any]:
    """Return sizes, or tuples of `parts` sizes, as lists; refuse anything else."""
    wrong = ConfigurationError(f"{name}={given!r} is not a list with one {what} in each place, 1 or more")
    if not isinstance(given, list | tuple):
        raise wrong
    if parts:
        if any(not isinstance(one, list | tuple) or len(one) != parts for one in given):
            raise wrong
        return [_sizes(name, one, "size") for one in given]
    for size in given:
        check_count(name, size, "size")
    return list(given)

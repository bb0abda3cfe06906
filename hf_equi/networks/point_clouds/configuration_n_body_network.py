"""The configuration of NBodyNetwork."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from hf_equi.checks import check_count

__all__ = ["NBodyNetworkConfig"]


@strict
class NBodyNetworkConfig(PreTrainedConfig):
    """Configuration of `NBodyNetwork`; the defaults are those of the graph network of arXiv 2102.09844.

    Args:
        hidden_size (`int`, *optional*, defaults to 64):
            The features of a body and of a pair.
        num_hidden_layers (`int`, *optional*, defaults to 4):
            The number of rounds of messages.
        use_charges (`bool`, *optional*, defaults to `True`):
            Whether messages read the product of the charges of two bodies.
        predict_velocities (`bool`, *optional*, defaults to `False`):
            Whether the velocities of the bodies are predicted too.

    Raises:
        ConfigurationError: For sizes below 1.

    Example:
        >>> NBodyNetworkConfig().num_hidden_layers
        4
    """

    model_type = "n_body_network"

    hidden_size: int = 64
    num_hidden_layers: int = 4
    use_charges: bool = True
    predict_velocities: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        check_count("hidden_size", self.hidden_size, "size")
        check_count("num_hidden_layers", self.num_hidden_layers, "size")

"""The configurations of the PointNets."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from hf_equi.checks import check_count, check_share, check_weight
from hf_equi.errors import ConfigurationError

__all__ = ["PointNetConfig", "PointNetSegmentationConfig", "checked_sizes"]


@strict
class PointNetConfig(PreTrainedConfig):
    """Configuration of `PointNetForPointCloudClassification`; the defaults are those of the code of arXiv 2310.01647.

    Args:
        channels (`list[int]`, *optional*, defaults to `[64, 64, 64, 128, 1024]`):
            The channels of the layers that read each point.
        hidden_sizes (`list[int]`, *optional*, defaults to `[512]`):
            The units of the layers between the pooled features and the classes; in arXiv 1612.00593 `[512, 256]`.
        dropout (`float`, *optional*, defaults to 0.5):
            The dropout after the last of these, in training.
        transforms (`bool`, *optional*, defaults to `False`):
            Whether small networks (T-nets) first multiply points, and their features after the second layer, by
            matrices, as in arXiv 1612.00593. They do not make the network equivariant.
        transform_weight (`float`, *optional*, defaults to 0.001):
            The weight of the distance of the second matrix to an orthogonal one, in the loss.
        label_smoothing (`float`, *optional*, defaults to 0.0):
            The share of a label that is spread over all classes, in the loss.
        num_labels (`int`, *optional*, defaults to 2):
            The number of classes, or `id2label`, as in transformers.

    Raises:
        ConfigurationError: For sizes below 1, shares outside 0 to 1, or fewer than two layers.

    Example:
        >>> PointNetConfig(num_labels=40).channels
        [64, 64, 64, 128, 1024]
    """

    model_type = "point_net"

    channels: Any = None
    hidden_sizes: Any = None
    dropout: float = 0.5
    transforms: bool = False
    transform_weight: float = 0.001
    label_smoothing: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        self.channels = checked_sizes("channels", self.channels, self._default_channels)
        self.hidden_sizes = checked_sizes("hidden_sizes", self.hidden_sizes, self._default_hidden)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        if len(self.channels) < 2:
            raise ConfigurationError(f"channels={self.channels!r}: a PointNet has two layers or more before it pools")
        check_share("dropout", self.dropout)
        check_share("label_smoothing", self.label_smoothing)
        check_weight("transform_weight", self.transform_weight)

    @property
    def _default_channels(self) -> list[int]:
        return [64, 64, 64, 128, 1024]

    @property
    def _default_hidden(self) -> list[int]:
        return [512]


@strict
class PointNetSegmentationConfig(PointNetConfig):
    """Configuration of `PointNetForPointCloudSegmentation`; the defaults are those of arXiv 1612.00593.

    Args:
        num_categories (`int`, *optional*, defaults to 16):
            The number of categories of shapes. The category of each cloud is an input; 0 for a network without it.
        channels (`list[int]`, *optional*, defaults to `[64, 128, 128, 512, 2048]`):
            As in `PointNetConfig`.
        hidden_sizes (`list[int]`, *optional*, defaults to `[256, 256, 128]`):
            The units of the layers that read each point's features and those of the cloud.
        dropout, transforms, transform_weight, label_smoothing, num_labels:
            As in `PointNetConfig`; `num_labels` is the number of parts.

    Raises:
        ConfigurationError: As in `PointNetConfig`.

    Example:
        >>> PointNetSegmentationConfig(num_labels=50).num_categories
        16
    """

    model_type = "point_net_segmentation"

    num_categories: int = 16

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        check_count("num_categories", self.num_categories, "number of categories", least=0)

    @property
    def _default_channels(self) -> list[int]:
        return [64, 128, 128, 512, 2048]

    @property
    def _default_hidden(self) -> list[int]:
        return [256, 256, 128]


def checked_sizes(name: str, given: Any, default: list[int]) -> list[int]:
    """Return a list of sizes; refuse anything else.

    Args:
        name: The name of the setting.
        given: What was given; `None` for the default.
        default: The default.

    Raises:
        ConfigurationError: For anything but a list of whole numbers of 1 or more.
    """
    if given is None:
        return list(default)
    if not isinstance(given, list | tuple) or not given:
        raise ConfigurationError(f"{name}={given!r} is not a list of sizes, such as {default}")
    for size in given:
        check_count(name, size, "size")
    return list(given)

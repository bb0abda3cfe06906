"""The configurations of the DGCNNs."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from hf_equi.checks import check_count, check_share
from hf_equi.networks.point_clouds.configuration_point_net import checked_sizes

__all__ = ["DGCNNConfig", "DGCNNSegmentationConfig"]


@strict
class DGCNNConfig(PreTrainedConfig):
    """Configuration of `DGCNNForPointCloudClassification`; the defaults are those of arXiv 1801.07829.

    Args:
        neighbours (`int`, *optional*, defaults to 20):
            The neighbours of each point that a layer reads, itself included; a cloud must have as many points.
        channels (`list[int]`, *optional*, defaults to `[64, 64, 128, 256]`):
            The channels of the edge convolutions.
        feature_size (`int`, *optional*, defaults to 1024):
            The channels of the layer before pooling.
        hidden_sizes (`list[int]`, *optional*, defaults to `[512, 256]`):
            The units of the layers between the pooled features and the classes.
        dropout (`float`, *optional*, defaults to 0.5):
            The dropout after each of these, in training.
        label_smoothing (`float`, *optional*, defaults to 0.0):
            The share of a label that is spread over all classes, in the loss; 0.2 in the authors' code.
        num_labels (`int`, *optional*, defaults to 2):
            The number of classes, or `id2label`, as in transformers.

    Raises:
        ConfigurationError: For sizes below 1, or shares outside 0 to 1.

    Example:
        >>> DGCNNConfig(num_labels=40).channels
        [64, 64, 128, 256]
    """

    model_type = "dgcnn"

    neighbours: int = 20
    channels: Any = None
    feature_size: int = 1024
    hidden_sizes: Any = None
    dropout: float = 0.5
    label_smoothing: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        self.channels = checked_sizes("channels", self.channels, self._default_channels)
        self.hidden_sizes = checked_sizes("hidden_sizes", self.hidden_sizes, self._default_hidden)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        check_count("neighbours", self.neighbours, "size")
        check_count("feature_size", self.feature_size, "size")
        check_share("dropout", self.dropout)
        check_share("label_smoothing", self.label_smoothing)

    @property
    def _default_channels(self) -> list[int]:
        return [64, 64, 128, 256]

    @property
    def _default_hidden(self) -> list[int]:
        return [512, 256]


@strict
class DGCNNSegmentationConfig(DGCNNConfig):
    """Configuration of `DGCNNForPointCloudSegmentation`; the defaults are those of arXiv 1801.07829.

    Args:
        num_categories (`int`, *optional*, defaults to 16):
            The number of categories of shapes. The category of each cloud is an input; 0 for a network without it.
        transforms (`bool`, *optional*, defaults to `True`):
            Whether a small network first multiplies the points by a matrix. It does not make the network equivariant.
        channels (`list[int]`, *optional*, defaults to `[64, 64, 64]`):
            The channels of the edge convolutions. All but the last have two layers.
        hidden_sizes (`list[int]`, *optional*, defaults to `[256, 256, 128]`):
            The units of the layers that read each point's features and those of the cloud. All but the last have
            dropout.
        neighbours, feature_size, dropout, label_smoothing, num_labels:
            As in `DGCNNConfig`; `num_labels` is the number of parts. The authors' code has 40 neighbours, that of
            arXiv 2310.01647 has 20.

    Raises:
        ConfigurationError: As in `DGCNNConfig`.

    Example:
        >>> DGCNNSegmentationConfig(num_labels=50).hidden_sizes
        [256, 256, 128]
    """

    model_type = "dgcnn_segmentation"

    num_categories: int = 16
    transforms: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        check_count("num_categories", self.num_categories, "number of categories", least=0)

    @property
    def _default_channels(self) -> list[int]:
        return [64, 64, 64]

    @property
    def _default_hidden(self) -> list[int]:
        return [256, 256, 128]

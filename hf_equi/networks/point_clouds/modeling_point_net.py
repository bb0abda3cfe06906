"""PointNets: layers that read each point by itself, and the maximum over the points."""

from __future__ import annotations

import torch
from torch import nn

from hf_equi.networks.point_clouds.configuration_point_net import PointNetConfig, PointNetSegmentationConfig
from hf_equi.networks.point_clouds.layers import PointLayers, Transform, pooled_maximum
from hf_equi.networks.point_clouds.modeling_point_clouds import PointCloudClassifier, PointCloudSegmenter

__all__ = ["PointNetForPointCloudClassification", "PointNetForPointCloudSegmentation"]

_BEFORE = 2
"""The layers before the features are transformed."""


class PointNetForPointCloudClassification(PointCloudClassifier):
    r"""A PointNet that classifies point clouds. It is not equivariant by itself.

    $$ z = \text{MLP}\big(\max_i f(x_i)\big) $$

    Args:
        config: The model's configuration.

    References:
        Qi et al. 2017, arXiv 1612.00593. The default sizes, without T-nets, are those of the code of arXiv 2310.01647.

    Example:
        >>> from hf_equi.networks import PointNetConfig, PointNetForPointCloudClassification
        >>> network = PointNetForPointCloudClassification(PointNetConfig(num_labels=10)).eval()
        >>> network(torch.randn(2, 100, 3)).logits.shape
        torch.Size([2, 10])
    """

    config: PointNetConfig
    config_class = PointNetConfig

    def __init__(self, config: PointNetConfig) -> None:
        super().__init__(config)
        self.encoder = _Encoder(config)
        sizes = [config.channels[-1], *config.hidden_sizes]
        self.head = nn.Sequential(
            PointLayers(sizes), nn.Dropout(config.dropout), nn.Linear(sizes[-1], int(config.num_labels or 0))
        )
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def feature_size(self) -> int:
        """The channels of the last layer before pooling."""
        size: int = self.config.channels[-1]
        return size

    def cloud_features(
        self, points: torch.Tensor, kept: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the pooled features, and the penalty of the T-net."""
        each, penalty = self.encoder(points, kept)
        return pooled_maximum(each[-1], kept), penalty


class PointNetForPointCloudSegmentation(PointCloudSegmenter):
    r"""A PointNet that finds the parts of shapes. It is not equivariant by itself.

    $$ z_i = \text{MLP}\big(f_1(x_i), \dots, f_L(x_i), \max_j f_L(x_j), \text{category}\big) $$

    Args:
        config: The model's configuration.

    References:
        Qi et al. 2017, arXiv 1612.00593, appendix C; the T-nets are off by default.

    Example:
        >>> from hf_equi.networks import PointNetForPointCloudSegmentation, PointNetSegmentationConfig
        >>> config = PointNetSegmentationConfig(num_labels=4, num_categories=2, channels=[16, 32])
        >>> network = PointNetForPointCloudSegmentation(config).eval()
        >>> network(torch.randn(2, 100, 3), categories=torch.tensor([0, 1])).logits.shape
        torch.Size([2, 100, 4])
    """

    config: PointNetSegmentationConfig
    config_class = PointNetSegmentationConfig

    def __init__(self, config: PointNetSegmentationConfig) -> None:
        super().__init__(config)
        self.encoder = _Encoder(config)
        channels, hidden = config.channels, config.hidden_sizes
        self.layers = PointLayers([sum(channels) + channels[-1] + config.num_categories, *hidden])
        self.head = nn.Linear(hidden[-1], int(config.num_labels or 0))
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def feature_size(self) -> int:
        """The channels of the last layer before pooling."""
        size: int = self.config.channels[-1]
        return size

    def part_logits(
        self, points: torch.Tensor, kept: torch.Tensor | None, category: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return the logits, the pooled features, and the penalty of the T-net."""
        each, penalty = self.encoder(points, kept)
        features = pooled_maximum(each[-1], kept)
        cloud = features if category is None else torch.cat([features, category], 1)
        of_cloud = cloud.unsqueeze(1).expand(-1, points.shape[1], -1)
        return self.head(self.layers(torch.cat([*each, of_cloud], 2), kept)), features, penalty


class _Encoder(nn.Module):
    """The layers before pooling, with or without T-nets."""

    def __init__(self, config: PointNetConfig) -> None:
        super().__init__()
        channels = config.channels
        self.first = PointLayers([3, *channels[:_BEFORE]])
        self.rest = PointLayers(channels[_BEFORE - 1 :])
        self.weight = config.transform_weight
        self.of_points = Transform(3) if config.transforms else None
        self.of_features = Transform(channels[_BEFORE - 1]) if config.transforms else None

    def forward(
        self, points: torch.Tensor, kept: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        """Return what every layer says of each point, and the penalty of each cloud."""
        if self.of_points is None or self.of_features is None:
            first = self.first.each(points, kept)
            return [*first, *self.rest.each(first[-1], kept)], None
        first = self.first.each(points @ self.of_points(points, kept), kept)
        matrix = self.of_features(first[-1], kept)
        first[-1] = first[-1] @ matrix
        square = matrix @ matrix.mT - torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
        return [*first, *self.rest.each(first[-1], kept)], self.weight * square.square().sum((1, 2))

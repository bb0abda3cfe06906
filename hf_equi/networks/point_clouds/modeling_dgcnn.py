"""DGCNNs: graphs of nearest neighbours, found anew in every layer."""

from __future__ import annotations

import torch
from torch import nn

from hf_equi.networks.point_clouds.configuration_dgcnn import DGCNNConfig, DGCNNSegmentationConfig
from hf_equi.networks.point_clouds.edges import EdgeConvolution
from hf_equi.networks.point_clouds.layers import SLOPE, PointLayers, Transform, pooled_maximum, pooled_mean
from hf_equi.networks.point_clouds.modeling_point_clouds import PointCloudClassifier, PointCloudSegmenter

__all__ = ["DGCNNForPointCloudClassification", "DGCNNForPointCloudSegmentation"]


class DGCNNForPointCloudClassification(PointCloudClassifier):
    r"""A dynamic graph CNN that classifies point clouds. It is not equivariant by itself.

    Edge convolutions (`EdgeConvolution`), a layer that reads what all of them say of a point, the maximum and the mean
    over the points, and a multilayer perceptron.

    Args:
        config: The model's configuration.

    Cost: in evaluation memory does not grow with the neighbours, and distances are held for a few points at a time.

    References:
        Wang et al. 2019, arXiv 1801.07829.

    Example:
        >>> from hf_equi.networks import DGCNNConfig, DGCNNForPointCloudClassification
        >>> network = DGCNNForPointCloudClassification(DGCNNConfig(num_labels=10)).eval()
        >>> network(torch.randn(2, 100, 3)).logits.shape
        torch.Size([2, 10])
    """

    config: DGCNNConfig
    config_class = DGCNNConfig

    def __init__(self, config: DGCNNConfig) -> None:
        super().__init__(config)
        pairs = zip([3, *config.channels], config.channels, strict=False)
        self.edges = nn.ModuleList([EdgeConvolution(before, [after], config.neighbours) for before, after in pairs])
        self.last = PointLayers([sum(config.channels), config.feature_size], SLOPE)
        sizes = [2 * config.feature_size, *config.hidden_sizes]
        self.head = nn.Sequential(
            PointLayers(sizes, SLOPE, config.dropout), nn.Linear(sizes[-1], int(config.num_labels or 0))
        )
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def feature_size(self) -> int:
        """The maximum and the mean of the layer before pooling."""
        return 2 * self.config.feature_size

    @property
    def least_points(self) -> int:
        """The neighbours."""
        return self.config.neighbours

    def cloud_features(self, points: torch.Tensor, kept: torch.Tensor | None) -> tuple[torch.Tensor, None]:
        """Return the pooled features."""
        found = self.last(torch.cat(_each(self.edges, points, kept), 2), kept)
        return torch.cat([pooled_maximum(found, kept), pooled_mean(found, kept)], 1), None


class DGCNNForPointCloudSegmentation(PointCloudSegmenter):
    r"""A dynamic graph CNN that finds the parts of shapes. It is not equivariant by itself.

    Args:
        config: The model's configuration.

    Cost: as that of `DGCNNForPointCloudClassification`, but edge convolutions with two layers read all pairs.

    References:
        Wang et al. 2019, arXiv 1801.07829, section 5.3.

    Example:
        >>> from hf_equi.networks import DGCNNForPointCloudSegmentation, DGCNNSegmentationConfig
        >>> config = DGCNNSegmentationConfig(num_labels=4, num_categories=2)
        >>> network = DGCNNForPointCloudSegmentation(config).eval()
        >>> network(torch.randn(2, 100, 3), categories=torch.tensor([0, 1])).logits.shape
        torch.Size([2, 100, 4])
    """

    config: DGCNNSegmentationConfig
    config_class = DGCNNSegmentationConfig

    def __init__(self, config: DGCNNSegmentationConfig) -> None:
        super().__init__(config)
        channels, hidden, count = config.channels, config.hidden_sizes, config.neighbours
        self.transform = _EdgeTransform(count) if config.transforms else None
        pairs = list(zip([3, *channels], channels, strict=False))
        self.edges = nn.ModuleList(
            [EdgeConvolution(before, [after, after], count) for before, after in pairs[:-1]]
            + [EdgeConvolution(before, [after], count) for before, after in pairs[-1:]]
        )
        self.last = PointLayers([sum(channels), config.feature_size], SLOPE)
        self.category = PointLayers([config.num_categories, 64], SLOPE) if config.num_categories else None
        read = config.feature_size + sum(channels) + (64 if config.num_categories else 0)
        self.layers = PointLayers([read, *hidden[:-1]], SLOPE, config.dropout)
        self.final = PointLayers([[read, *hidden][-2], hidden[-1]], SLOPE)
        self.head = nn.Linear(hidden[-1], int(config.num_labels or 0), bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def feature_size(self) -> int:
        """The channels of the layer before pooling."""
        return self.config.feature_size

    @property
    def least_points(self) -> int:
        """The neighbours."""
        return self.config.neighbours

    def part_logits(
        self, points: torch.Tensor, kept: torch.Tensor | None, category: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Return the logits, and the pooled features."""
        if self.transform is not None:
            points = points @ self.transform(points, kept)
        each = _each(self.edges, points, kept)
        features = pooled_maximum(self.last(torch.cat(each, 2), kept), kept)
        parts = [features]
        if self.category is not None:
            parts.append(self.category(category))
        of_cloud = torch.cat(parts, 1).unsqueeze(1).expand(-1, points.shape[1], -1)
        found = self.final(self.layers(torch.cat([of_cloud, *each], 2), kept), kept)
        return self.head(found), features, None


class _EdgeTransform(Transform):
    """A T-net that reads the neighbours of each point."""

    def __init__(self, neighbours: int) -> None:
        super().__init__(3, SLOPE)
        self.edges = EdgeConvolution(3, [64, 128], neighbours)
        self.points = PointLayers([128, 1024], SLOPE)

    def forward(self, x: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        """Return the matrix of each cloud, `(B, N, 3)` to `(B, 3, 3)`."""
        return self.of_points(self.edges(x, kept), kept)


def _each(edges: nn.ModuleList, points: torch.Tensor, kept: torch.Tensor | None) -> list[torch.Tensor]:
    """Return what every edge convolution says of each point."""
    found = []
    for edge in edges:
        points = edge(points, kept)
        found.append(points)
    return found

"""Networks of point clouds: classification, segmentation into parts, and the motion of bodies."""

from __future__ import annotations

from hf_equi.networks.point_clouds.configuration_dgcnn import DGCNNConfig, DGCNNSegmentationConfig
from hf_equi.networks.point_clouds.configuration_n_body_network import NBodyNetworkConfig
from hf_equi.networks.point_clouds.configuration_point_net import PointNetConfig, PointNetSegmentationConfig
from hf_equi.networks.point_clouds.modeling_dgcnn import (
    DGCNNForPointCloudClassification,
    DGCNNForPointCloudSegmentation,
)
from hf_equi.networks.point_clouds.modeling_n_body_network import NBodyNetwork, NBodyOutput
from hf_equi.networks.point_clouds.modeling_point_clouds import (
    PointCloudClassifier,
    PointCloudClassifierOutput,
    PointCloudSegmenter,
    PointCloudSegmenterOutput,
)
from hf_equi.networks.point_clouds.modeling_point_net import (
    PointNetForPointCloudClassification,
    PointNetForPointCloudSegmentation,
)

__all__ = [
    "DGCNNConfig",
    "DGCNNForPointCloudClassification",
    "DGCNNForPointCloudSegmentation",
    "DGCNNSegmentationConfig",
    "NBodyNetwork",
    "NBodyNetworkConfig",
    "NBodyOutput",
    "PointCloudClassifier",
    "PointCloudClassifierOutput",
    "PointCloudSegmenter",
    "PointCloudSegmenterOutput",
    "PointNetConfig",
    "PointNetForPointCloudClassification",
    "PointNetForPointCloudSegmentation",
    "PointNetSegmentationConfig",
]

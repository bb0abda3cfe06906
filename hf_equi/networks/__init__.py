"""Networks that transformers does not have, as transformers models."""

from __future__ import annotations

from hf_equi.networks.point_clouds import (
    DGCNNConfig,
    DGCNNForPointCloudClassification,
    DGCNNForPointCloudSegmentation,
    DGCNNSegmentationConfig,
    NBodyNetwork,
    NBodyNetworkConfig,
    NBodyOutput,
    PointCloudClassifier,
    PointCloudClassifierOutput,
    PointCloudSegmenter,
    PointCloudSegmenterOutput,
    PointNetConfig,
    PointNetForPointCloudClassification,
    PointNetForPointCloudSegmentation,
    PointNetSegmentationConfig,
)
from hf_equi.networks.q_network import QNetwork, QNetworkConfig, QNetworkOutput
from hf_equi.networks.recurrent_seq2seq import (
    GroupRecurrentSeq2Seq,
    GroupRecurrentSeq2SeqConfig,
    RecurrentSeq2Seq,
    RecurrentSeq2SeqConfig,
)
from hf_equi.networks.scheduled_sampling import ScheduledSampling

__all__ = [
    "DGCNNConfig",
    "DGCNNForPointCloudClassification",
    "DGCNNForPointCloudSegmentation",
    "DGCNNSegmentationConfig",
    "GroupRecurrentSeq2Seq",
    "GroupRecurrentSeq2SeqConfig",
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
    "QNetwork",
    "QNetworkConfig",
    "QNetworkOutput",
    "RecurrentSeq2Seq",
    "RecurrentSeq2SeqConfig",
    "ScheduledSampling",
]

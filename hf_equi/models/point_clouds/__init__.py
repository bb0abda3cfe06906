"""Point clouds: classes, parts of shapes, and the motion of bodies."""

from __future__ import annotations

from hf_equi.models.point_clouds.configuration_equi_point_clouds import (
    EquiNBodyConfig,
    EquiPointCloudClassificationConfig,
    EquiPointCloudSegmentationConfig,
)
from hf_equi.models.point_clouds.modeling_equi_n_body import EquiForNBody, EquiNBodyOutput
from hf_equi.models.point_clouds.modeling_equi_point_cloud_classification import (
    EquiForPointCloudClassification,
    EquiPointCloudClassifierOutput,
)
from hf_equi.models.point_clouds.modeling_equi_point_cloud_segmentation import (
    EquiForPointCloudSegmentation,
    EquiPointCloudSegmenterOutput,
)
from hf_equi.models.point_clouds.processor import PointCloudProcessor

__all__ = [
    "EquiForNBody",
    "EquiForPointCloudClassification",
    "EquiForPointCloudSegmentation",
    "EquiNBodyConfig",
    "EquiNBodyOutput",
    "EquiPointCloudClassificationConfig",
    "EquiPointCloudClassifierOutput",
    "EquiPointCloudSegmentationConfig",
    "EquiPointCloudSegmenterOutput",
    "PointCloudProcessor",
]

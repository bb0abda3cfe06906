"""Image classifiers."""

from __future__ import annotations

from hf_equi.models.image_classification.configuration_equi_image_classification import EquiImageClassificationConfig
from hf_equi.models.image_classification.modeling_equi_image_classification import EquiForImageClassification
from hf_equi.models.image_classification.modeling_equi_image_model import EquiImageModel

__all__ = ["EquiForImageClassification", "EquiImageClassificationConfig", "EquiImageModel"]

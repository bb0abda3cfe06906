"""Models that predict something for each pixel: classes, depth, or heat maps of key points."""

from __future__ import annotations

from hf_equi.models.dense.configuration_equi_dense import EquiDenseConfig
from hf_equi.models.dense.modeling_equi_dense_prediction import EquiForDensePrediction
from hf_equi.models.dense.outputs import EquiDensePredictionOutput

__all__ = ["EquiDenseConfig", "EquiDensePredictionOutput", "EquiForDensePrediction"]

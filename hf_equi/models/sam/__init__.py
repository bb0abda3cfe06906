"""Models that segment what prompts point at: SAM and its kin."""

from __future__ import annotations

from hf_equi.models.sam.configuration_equi_sam import EquiSamConfig
from hf_equi.models.sam.embeddings import SamEmbeddings
from hf_equi.models.sam.modeling_equi_sam import EquiSamModel, EquiSamOutput

__all__ = ["EquiSamConfig", "EquiSamModel", "EquiSamOutput", "SamEmbeddings"]

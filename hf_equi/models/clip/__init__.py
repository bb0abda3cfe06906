"""Models that compare images with texts, as CLIP does."""

from __future__ import annotations

from hf_equi.models.clip.configuration_equi_clip import EquiCLIPConfig, EquiSiglipConfig
from hf_equi.models.clip.modeling_equi_clip import EquiCLIPModel, EquiSiglipModel

__all__ = ["EquiCLIPConfig", "EquiCLIPModel", "EquiSiglipConfig", "EquiSiglipModel"]

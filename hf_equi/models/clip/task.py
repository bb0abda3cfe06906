"""The task that makes an EquiCLIPModel in `symmetrize`."""

from __future__ import annotations

from typing import ClassVar

from transformers import PreTrainedModel, SiglipConfig

from hf_equi.models.clip.configuration_equi_clip import EquiCLIPConfig, EquiSiglipConfig
from hf_equi.models.clip.modeling_equi_clip import EquiCLIPModel, EquiSiglipModel
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.task import Request
from hf_equi.models.vision.clip_cuts import known_clip_cut
from hf_equi.models.vision.map_check import check_maps
from hf_equi.models.vision.task import SETTINGS, VisionTask

__all__ = ["CLIPTask"]


class CLIPTask(VisionTask):
    """Models that compare images with texts."""

    what = "model that compares images with texts"
    model_class = EquiCLIPModel
    entries: ClassVar[tuple[str, ...]] = (*SETTINGS, "selection")

    def make_config(self, request: Request) -> EquiConfig:
        """Make and check the config; selection by class uses probabilities."""
        entries = request.common(*self.entries)
        if entries.get("selection") == "class":
            entries.setdefault("level", "probabilities")
        kind = EquiSiglipConfig if isinstance(request.base_config, SiglipConfig) else EquiCLIPConfig
        config = kind(**entries)
        self.check_request(request, config.create_method())
        for model in self.classes(request.base_config) if config.create_level().reads_maps else ():
            check_maps(known_clip_cut(model), model, request.group, request.base_config)
        return config

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> EquiCLIPModel:
        """Return the base in its wrapper, with its processor."""
        kind = EquiSiglipModel if isinstance(config, EquiSiglipConfig) else EquiCLIPModel
        model = kind(config, base, request.settings.get("canonicalizer"))
        model.processor = request.companion
        return model

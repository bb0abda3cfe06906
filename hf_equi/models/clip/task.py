"""How `symmetrize` makes an EquiCLIPModel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import AutoModelForZeroShotImageClassification, AutoProcessor, PreTrainedModel, SiglipConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING

from hf_equi.models.clip.configuration_equi_clip import EquiCLIPConfig, EquiSiglipConfig
from hf_equi.models.clip.modeling_equi_clip import EquiCLIPModel, EquiSiglipModel
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.task import Request
from hf_equi.models.vision.clip_cuts import check_clip, known_clip_cut
from hf_equi.models.vision.map_check import check_maps
from hf_equi.models.vision.task import SETTINGS, VisionTask

__all__ = ["CLIPTask"]


class CLIPTask(VisionTask):
    """Models that compare images with texts."""

    name = "clip"
    what = "model that compares images with texts"
    auto_class = AutoModelForZeroShotImageClassification
    processor_class = AutoProcessor
    settings: ClassVar[frozenset[str]] = frozenset({*SETTINGS, "selection", "processor"})

    @property
    def mapping(self) -> Mapping[Any, Any]:
        """The base classes by their configs."""
        known: Mapping[Any, Any] = MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING
        return known

    def check_base(self, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base of a family that cannot be cut."""
        check_clip(base)

    def make_config(self, request: Request) -> EquiConfig:
        """The config, checked; by class means by their probabilities."""
        entries = request.common(*SETTINGS, "selection")
        if entries.get("selection") == "class":
            entries.setdefault("level", "probabilities")
        kind = EquiSiglipConfig if isinstance(request.base_config, SiglipConfig) else EquiCLIPConfig
        config = kind(**entries)
        self.check_request(request, config.create_method())
        for model in self.classes(request.base_config) if config.create_level().reads_maps else ():
            check_maps(known_clip_cut(model), model, request.group, request.base_config)
        return config

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> EquiCLIPModel:
        """The base in its wrapper, with its processor."""
        kind = EquiSiglipModel if isinstance(config, EquiSiglipConfig) else EquiCLIPModel
        model = kind(config, base)
        model.processor = request.companion
        return model

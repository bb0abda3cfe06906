"""The task that makes an EquiForImageClassification in `symmetrize`."""

from __future__ import annotations

from typing import ClassVar

from transformers import PreTrainedModel

from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.image_classification.configuration_equi_image_classification import EquiImageClassificationConfig
from hf_equi.models.image_classification.modeling_equi_image_classification import EquiForImageClassification
from hf_equi.models.task import Request
from hf_equi.models.vision.classification_cuts import known_cut
from hf_equi.models.vision.map_check import check_maps
from hf_equi.models.vision.task import SETTINGS, VisionTask

__all__ = ["ImageClassificationTask"]


class ImageClassificationTask(VisionTask):
    """Image classifiers."""

    what = "model that classifies images"
    model_class = EquiForImageClassification
    entries: ClassVar[tuple[str, ...]] = (*SETTINGS, "loss")
    commands: ClassVar[tuple[str, ...]] = ("audit --images",)

    def owns(self, model: PreTrainedModel) -> bool:
        """Return whether its class is listed as an image classifier, or named like one."""
        return super().owns(model) or type(model).__name__.endswith("ForImageClassification")

    def make_config(self, request: Request) -> EquiConfig:
        """The config, checked."""
        config = EquiImageClassificationConfig(**request.common(*self.entries))
        self.check_request(request, config.create_method())
        kinds = self.classes(request.base_config)
        named = [kind for kind in kinds if kind.__name__ in (request.base_config.architectures or [])]
        if kinds and config.create_level().reads_maps:
            cut = known_cut((named or [*kinds])[0], request.base_config)
            check_maps(cut, (named or [*kinds])[0], request.group, request.base_config)
        return config

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> EquiForImageClassification:
        """Return the base in its wrapper, with its processor."""
        model = EquiForImageClassification(config, base, request.settings.get("canonicalizer"))
        model.processor = request.companion
        return model

"""The task that makes an EquiSamModel in `symmetrize`."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import PreTrainedModel

from hf_equi.groups import ImageGroup
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.sam.base_check import is_video_model
from hf_equi.models.sam.configuration_equi_sam import EquiSamConfig
from hf_equi.models.sam.modeling_equi_sam import EquiSamModel
from hf_equi.models.task import Request
from hf_equi.models.vision.task import VisionTask

__all__ = ["SamTask"]


class SamTask(VisionTask):
    """Models that segment by prompts."""

    what = "model that segments images by prompts"
    model_class = EquiSamModel
    group_class: ClassVar[Any] = ImageGroup
    entries: ClassVar[tuple[str, ...]] = (
        "padding",
        "orbit_chunk_size",
        "lambda_units",
        "lambda_dropout",
        "task_weight",
        "prior_weight",
        "temperature",
        "relaxation",
    )

    def owns(self, model: PreTrainedModel) -> bool:
        """Return whether it segments by prompts, or does so in videos, which `check_base` refuses with a reason."""
        return super().owns(model) or is_video_model(type(model))

    def make_config(self, request: Request) -> EquiConfig:
        """The config, checked."""
        config = EquiSamConfig(**request.common(*self.entries))
        self.check_request(request, config.create_method())
        return config

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> EquiSamModel:
        """Return the base in its wrapper, with its processor."""
        model = EquiSamModel(config, base, request.settings.get("canonicalizer"))
        model.processor = request.companion
        return model

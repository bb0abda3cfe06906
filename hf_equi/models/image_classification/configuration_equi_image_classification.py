"""The configuration of EquiForImageClassification."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.models.image_classification.methods import create
from hf_equi.models.vision.configuration_equi_vision import EquiVisionConfig
from hf_equi.symmetrizers import Symmetrizer

__all__ = ["EquiImageClassificationConfig"]


@strict
class EquiImageClassificationConfig(EquiVisionConfig):
    r"""Configuration of `EquiForImageClassification`.

    Args:
        loss (`str`, *optional*, defaults to `"max_probability"`):
            What equizero minimises: `"max_probability"` (minus the largest probability), `"entropy"`; to compare with
            what the authors' code computes, `"published_least_confident"`.
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"`, `"lambda"`, `"attention"` or `"identity"`.
        level, padding, lambda_units, lambda_dropout, lambda_features, objective:
            As in `EquiVisionConfig`.
        base_config, group, orbit_chunk_size, hf_equi_version, stores_base, base_name, base_revision:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As `EquiVisionConfig`, and for an unknown loss.

    Example:
        >>> EquiImageClassificationConfig(method="equizero", loss="entropy").level
        'features'
    """

    model_type = "equi_image_classification"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="vit")
    }

    loss: str = "max_probability"
    problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None = None
    image_size: Any = None
    num_channels: int | None = None

    def _read_base(self) -> None:
        """Take over the classes, and what pipelines look for."""
        base: Any = self.base_config
        self.id2label, self.label2id = dict(base.id2label), dict(base.label2id)
        self.problem_type = getattr(base, "problem_type", None)
        self.image_size = getattr(base, "image_size", None)
        self.num_channels = getattr(base, "num_channels", None)

    def create_method(self) -> Symmetrizer:
        """The method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """
        return create(self.method, self.create_level().average, self.loss)

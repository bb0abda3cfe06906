"""The configuration of EquiSamModel."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.errors import ConfigurationError
from hf_equi.groups import ImageGroup
from hf_equi.models.sam.methods import create
from hf_equi.models.vision.configuration_equi_pixels import CANONICAL_SETTINGS
from hf_equi.models.vision.configuration_equi_vision import EquiVisionConfig
from hf_equi.symmetrizers import Method

__all__ = ["EquiSamConfig"]


@strict
class EquiSamConfig(EquiVisionConfig):
    r"""Configuration of `EquiSamModel`.

    Args:
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"`, `"lambda"`, `"canonical"` or `"identity"`.
        padding, lambda_units, lambda_dropout, canonicalizer_settings, prior_weight, temperature, relaxation:
            As in `EquiVisionConfig`.
        task_weight (`float`, *optional*, defaults to 1.0):
            0 to train the canonicalizer alone, by its prior: the base then does not run. No other value has an effect,
            because a SAM computes no loss.
        level, lambda_features, objective, theta:
            The defaults of `EquiVisionConfig`. There is nothing to choose.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`; the group as the `to_dict` of an `ImageGroup` gives it.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiVisionConfig`, and for another value of an entry that has one value here.

    Example:
        >>> EquiSamConfig(method="equizero").create_method().loss.name
        'predicted_iou'
    """

    model_type = "equi_sam"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="sam")
    }
    group_class: ClassVar[Any] = ImageGroup
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        *EquiVisionConfig.keys_to_ignore_at_inference,
        "image_embeddings",
    ]
    method_settings: ClassVar[tuple[str, ...]] = ("method", *CANONICAL_SETTINGS)

    def create_method(self) -> Method:
        """Make the method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """
        return create(self.method, **self.canonical_settings)

    def _check(self) -> None:
        super()._check()
        usual = {"level": "features", "lambda_features": "shared", "objective": "cross_entropy"}
        wrong = [name for name, value in usual.items() if getattr(self, name) != value]
        wrong += [] if self.task_weight in (0, 1) else ["task_weight"]
        if wrong:
            raise ConfigurationError(
                f"{', '.join(wrong)}: a model that segments by prompts does not use these settings: leave them out"
                + ("; task_weight= is 0 or 1, because it computes no loss" if "task_weight" in wrong else "")
            )

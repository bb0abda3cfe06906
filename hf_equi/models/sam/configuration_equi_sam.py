"""The configuration of EquiSamModel."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.errors import ConfigurationError
from hf_equi.groups import ImageGroup
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.sam.methods import create
from hf_equi.models.vision.configuration_equi_pixels import EquiPixelConfig
from hf_equi.symmetrizers import Method

__all__ = ["EquiSamConfig"]


@strict
class EquiSamConfig(EquiPixelConfig):
    r"""Configuration of `EquiSamModel`.

    Args:
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"`, `"lambda"`, `"canonical"` or `"identity"`.
        padding, lambda_units, lambda_dropout, canonicalizer_settings, prior_weight, temperature, relaxation:
            As in `EquiPixelConfig`.
        task_weight (`float`, *optional*, defaults to 1.0):
            0 to train the canonicalizer alone, by its prior: the base then does not run. No other value has an effect,
            because a SAM computes no loss.
        theta:
            `None`: no method here has a Θ.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`; the group as the `to_dict` of an `ImageGroup` gives it.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiPixelConfig`, and for another weight of the task.

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
        *EquiPixelConfig.keys_to_ignore_at_inference,
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
        if self.task_weight not in (0, 1):
            raise ConfigurationError(
                f"task_weight={self.task_weight}: a model that segments by prompts computes no loss that it could "
                "weigh: use 1, or 0 to train the canonicalizer alone"
            )

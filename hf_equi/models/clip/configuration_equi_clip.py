"""The configurations of EquiCLIPModel and EquiSiglipModel."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.models.clip.methods import create
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.vision.configuration_equi_vision import EquiVisionConfig
from hf_equi.symmetrizers import Method

__all__ = ["EquiCLIPConfig", "EquiSiglipConfig"]


@strict
class EquiCLIPConfig(EquiVisionConfig):
    r"""Configuration of `EquiCLIPModel`.

    Args:
        selection (`str`, *optional*, defaults to `"image"`):
            What equizero takes from one member of the orbit: everything about an `"image"`, or for each `"class"` the
            largest probability, as the authors' code does (at the level of probabilities).
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"`, `"lambda"`, `"attention"`, `"canonical"`, `"canonical_lambda"` or
            `"identity"`.
        level, padding, lambda_units, lambda_dropout, lambda_features, objective:
            As in `EquiVisionConfig`.
        canonicalizer_settings, theta, task_weight, prior_weight, temperature, relaxation:
            As in `EquiVisionConfig`.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiVisionConfig`; for an unknown selection; for selection by class with another
            method or level.

    Example:
        >>> EquiCLIPConfig(method="equizero").selection
        'image'
    """

    model_type = "equi_clip"
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        *EquiVisionConfig.keys_to_ignore_at_inference,
        "logits_per_text",
        "text_embeds",
        "image_embeds",
    ]
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="clip")
    }

    method_settings: ClassVar[tuple[str, ...]] = ("method", "level", "selection", *CANONICAL_SETTINGS)

    selection: str = "image"
    projection_dim: int | None = None

    def _read_base(self) -> None:
        """Copy the entries that tools look for."""
        self.projection_dim = getattr(self.base_config, "projection_dim", None)

    @property
    def text_config(self) -> Any:
        """The base's."""
        return getattr(self.base_config, "text_config", None)

    @property
    def vision_config(self) -> Any:
        """The base's."""
        return getattr(self.base_config, "vision_config", None)

    def create_method(self) -> Method:
        """Make the method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """
        return create(self.method, self.create_level().average, self.selection, **self.canonical_settings)


@strict
class EquiSiglipConfig(EquiCLIPConfig):
    """Configuration of `EquiSiglipModel`: that of `EquiCLIPModel`.

    Its model type says that each pair of an image and a text is a separate question. Pipelines use it to know that
    scores are sigmoids of logits, and that texts are padded to 64 tokens.

    Example:
        >>> EquiSiglipConfig().model_type
        'equi_siglip'
    """

    model_type = "equi_siglip"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="siglip")
    }

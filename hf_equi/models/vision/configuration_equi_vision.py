"""The base of the configurations of symmetrised models of images that are cut before their head."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup
from hf_equi.models.vision.configuration_equi_pixels import EquiPixelConfig
from hf_equi.models.vision.levels import Level, create_level

__all__ = ["LAMBDA_FEATURES", "OBJECTIVES", "EquiVisionConfig"]

LAMBDA_FEATURES = ("shared", "frozen")
OBJECTIVES = ("cross_entropy", "published_double_softmax")


@strict
class EquiVisionConfig(EquiPixelConfig):
    r"""A base config, a group of the image plane, a method, and the level at which it combines.

    Args:
        level (`str`, *optional*, defaults to `"features"`):
            Where members are combined: `"features"`, before the head; `"logits"`; `"probabilities"`; or `"spatial"`,
            at feature maps that are pulled back before they are pooled.
        lambda_features (`str`, *optional*, defaults to `"shared"`):
            What the network of `"lambda"`, `"canonical_lambda"` and `"attention"` reads: `"shared"`, the features of
            the same forward pass, or `"frozen"`, those of a frozen copy of the base, as in the paper. The copy costs
            one more forward of every member.
        objective (`str`, *optional*, defaults to `"cross_entropy"`):
            The loss for labels. `"published_double_softmax"` takes the softmax twice, as the authors' code does.
        padding, lambda_units, lambda_dropout:
            As in `EquiPixelConfig`.
        canonicalizer_settings, theta, task_weight, prior_weight, temperature, relaxation:
            As in `EquiPixelConfig`.
        base_config, group, method, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`; the group as the `to_dict` of an `ImageGroup`, `SO2` or `O2` gives it.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiPixelConfig`, and for an unknown level, objective or source of features.
    """

    level: str = "features"
    lambda_features: str = "shared"
    objective: str = "cross_entropy"

    def create_level(self) -> Level:
        """Make the level.

        Raises:
            ConfigurationError: If it is unknown.
        """
        return create_level(self.level)

    def _check(self) -> None:
        self.create_level()
        super()._check()
        choices: dict[str, tuple[str, ...]] = {"lambda_features": LAMBDA_FEATURES, "objective": OBJECTIVES}
        for name, known in choices.items():
            check_choice(name, getattr(self, name), known)

    def _check_continuous(self, group: ContinuousGroup) -> None:
        """Refuse settings that have no meaning for a group whose elements cannot be listed.

        Raises:
            ConfigurationError: As in `EquiPixelConfig`, and for the spatial level.
        """
        super()._check_continuous(group)
        if self.create_level().reads_maps:
            raise ConfigurationError(
                f"level={self.level!r} moves feature maps back, and {group!r} would resample them: use "
                "level='features'"
            )

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> Any:
        """Return the base's text config, if it has one."""
        base: Any = self.base_config
        return base.get_text_config(decoder=decoder, encoder=encoder)

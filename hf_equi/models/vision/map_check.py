"""The check whether a group acts on the feature maps of a base, made from its config."""

from __future__ import annotations

from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.groups import ImageGroup
from hf_equi.models.vision.cuts import BodyCut, Cut
from hf_equi.models.vision.probing import image_shape

__all__ = ["check_maps"]


def check_maps(cut: Cut | None, kind: type, group: ImageGroup, config: Any) -> None:
    """Refuse the spatial level if the base's maps are unknown, or if a group cannot move them.

    Args:
        cut: The place where the base is cut, if known.
        kind: The base's class.
        group: The group.
        config: The base's config.

    Raises:
        ActionError: For a grid that breaks the symmetry, and for tokens under a group that resamples.
        ConfigurationError: If the base's maps are unknown.
    """
    if cut is None or not cut.has_maps:
        raise ConfigurationError(
            f"It is unknown how {kind.__name__} pools its feature maps, so it has no spatial level: use "
            'level="features"'
        )
    if isinstance(cut, BodyCut):
        _, height, width = image_shape(config)
        cut.layout.action(group, getattr(config, "vision_config", config), (height, width))

"""Whether a group acts on the feature maps of a base, told from its config."""

from __future__ import annotations

from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.groups import ImageGroup
from hf_equi.models.vision.cuts import BodyCut, Cut
from hf_equi.models.vision.probing import image_shape

__all__ = ["check_maps"]


def check_maps(cut: Cut | None, kind: type, group: ImageGroup, config: Any) -> None:
    """Refuse the spatial level of a base whose maps are not known, or whose maps a group cannot move.

    Args:
        cut: Where the base is cut, if that is known.
        kind: Its class.
        group: The group.
        config: The config of the base.

    Raises:
        ActionError: For a grid that breaks the symmetry, and tokens under a group that resamples.
        ConfigurationError: For a base without known maps.
    """
    if cut is None or not cut.has_maps:
        raise ConfigurationError(
            f"It is not known how {kind.__name__} pools its feature maps, so it has no spatial level: use "
            'level="features"'
        )
    if isinstance(cut, BodyCut):
        _, height, width = image_shape(config)
        cut.layout.action(group, getattr(config, "vision_config", config), (height, width))

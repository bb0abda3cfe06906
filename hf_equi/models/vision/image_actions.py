"""How a group of the image plane acts on pixels, finite or continuous."""

from __future__ import annotations

from hf_equi.actions import PixelAction, PlaneAction
from hf_equi.groups import O2, SO2, ImageGroup

__all__ = ["IMAGE_GROUPS", "image_action"]

IMAGE_GROUPS = (ImageGroup, SO2, O2)
"""The classes of groups that act on images."""


def image_action(group: ImageGroup | SO2 | O2, padding: str = "reflect") -> PixelAction | PlaneAction:
    """Return the action of a group on pixels.

    Args:
        group: The group.
        padding: How images continue beyond their edges where they are resampled.

    Raises:
        ActionError: For an unknown padding.

    Example:
        >>> image_action(ImageGroup.rotations(4)), image_action(SO2())
        (PixelAction(ImageGroup.rotations(4), padding='reflect'), PlaneAction(SO2(), padding='reflect'))
    """
    return PixelAction(group, padding) if isinstance(group, ImageGroup) else PlaneAction(group, padding)

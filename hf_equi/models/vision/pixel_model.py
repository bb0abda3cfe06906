"""The base of all wrapped models that read images: the group on pixels."""

from __future__ import annotations

from typing import Any

from hf_equi.actions import PixelAction, PlaneAction
from hf_equi.canonicalization import LearnedMember
from hf_equi.models.canonicalized import CanonicalizedModel
from hf_equi.models.vision.checkpoints import VisionCheckpointMixin
from hf_equi.models.vision.image_actions import image_action
from hf_equi.models.vision.probing import image_shape

__all__ = ["EquiPixelModel"]


class EquiPixelModel(VisionCheckpointMixin, CanonicalizedModel):  # type: ignore[misc]
    """A model of images made equivariant to a group of the image plane, whatever it says of an image."""

    main_input_name = "pixel_values"
    what_is_read = "images"

    @classmethod
    def read_by_canonicalizers(cls, config: Any) -> tuple[PixelAction | PlaneAction, tuple[int, ...]]:
        """Pixels, and the shape of an image."""
        return image_action(config.read_group(), config.padding), image_shape(config.base_config)

    def input_shape(self) -> tuple[int, ...]:
        """The number of channels, height and width of one image."""
        return image_shape(self.base.config)

    def make_action(self, group: Any) -> PixelAction | PlaneAction:
        """Make the group's action on pixels."""
        return image_action(group, self.config.padding)

    @property
    def group(self) -> Any:
        """The group that the model is equivariant to: an `ImageGroup`, `SO2` or `O2`."""
        return self.action.group

    @property
    def base_forwards(self) -> int:
        """The most images that the base reads for one image, if a canonicalizer names one pose."""
        select = self.method.select
        if isinstance(select, LearnedMember):
            return len(select.theta_in(self.group)) + int(select.network.base_forwards)
        return 1 if self.method.selects_one else int(self.group.order)

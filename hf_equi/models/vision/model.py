"""The base of all wrapped models of images: run the base on orbits, and combine."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.actions import PixelAction, PlaneAction
from hf_equi.bases.orbit_reader import check_batch
from hf_equi.bases.weight_dtype import weight_dtype
from hf_equi.canonicalization import LearnedMember
from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup
from hf_equi.models.canonicalized import CanonicalizedModel
from hf_equi.models.vision.checkpoints import VisionCheckpointMixin
from hf_equi.models.vision.cuts import Cut
from hf_equi.models.vision.image_actions import image_action
from hf_equi.models.vision.levels import create_level
from hf_equi.models.vision.orbits import ImageOrbits, ImageReader
from hf_equi.models.vision.probing import feature_size, image_shape
from hf_equi.symmetrizers import Equitune
from hf_equi.symmetrizers.outside_loss import refuse_outside_loss

__all__ = ["EquiVisionModel"]


class EquiVisionModel(VisionCheckpointMixin, CanonicalizedModel):  # type: ignore[misc]
    """A model of images made equivariant to a group of the image plane."""

    frozen_base: PreTrainedModel
    _cut: Cut
    main_input_name = "pixel_values"
    what_is_read = "images"

    @classmethod
    def find_cut(cls, base: PreTrainedModel) -> Cut:
        """Return the place where the base is cut."""
        raise NotImplementedError

    @classmethod
    def read_by_canonicalizers(cls, config: Any) -> tuple[PixelAction | PlaneAction, tuple[int, ...]]:
        """Pixels, and the shape of an image."""
        return image_action(config.read_group(), config.padding), image_shape(config.base_config)

    def prepare(self) -> None:
        """Find where to cut the base, and make the network of the method.

        Raises:
            ConfigurationError: For the spatial level if the base's feature maps are unknown.
        """
        self._cut = self.find_cut(self.base)
        if self.config.create_level().reads_maps and not self._cut.has_maps:
            raise ConfigurationError(
                f"It is unknown how {type(self.base).__name__} pools its feature maps, so it has no spatial level: "
                'use level="features"'
            )
        self._features: int | None = None
        if self.method.feature_weights is not None:
            self._features = feature_size(self._cut, self.base)
            self.add_network(self._features)
            if self.config.lambda_features == "frozen":
                self.frozen_base = copy.deepcopy(self.base).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Any:
        """Set the mode. The frozen copy stays in eval mode, as all frozen parts do."""
        super().train(mode)
        if hasattr(self, "frozen_base"):  # loading has unfrozen its weights
            self.frozen_base.requires_grad_(False).eval()
        return self

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

    def _check_objective(self, labels: torch.Tensor | None) -> None:
        """Refuse training without the labels that the objective needs.

        Raises:
            ConfigurationError: In training, if the objective is not the cross-entropy of the logits.
        """
        if self.training and labels is None and self.config.objective != "cross_entropy":
            refuse_outside_loss(f"config.objective={self.config.objective!r} takes the softmax twice")

    def _read_orbits(
        self, pixel_values: torch.Tensor | None, orbit_features: Any, extras: dict[str, Any]
    ) -> ImageOrbits:
        """Return the base's outputs for the orbits of images, computed now or passed as features.

        Raises:
            ActionError: If the images are not a tensor with numbers in it.
            ConfigurationError: Without images, or with two kinds of them; if features of orbits have another size than
                the network reads; if the level needs more than features.
        """
        if orbit_features is not None:
            check_batch(orbit_features, "orbit_features", "images")
            if pixel_values is not None:
                raise ConfigurationError(
                    "pixel_values= and orbit_features= describe the same images in two forms: pass one of them"
                )
            if self.method.select.has_network:
                raise ConfigurationError(
                    f"method={self.config.method!r} selects members by the images, which orbit_features= do not "
                    "contain: pass pixel_values"
                )
            self._check_features(orbit_features)
            features = orbit_features.to(weight_dtype(self.base, orbit_features.dtype))
            return ImageOrbits.of_features(self.action.group, features, self.method)
        if pixel_values is None:
            raise ConfigurationError(f"{type(self).__name__} needs pixel_values, or orbit_features made from them")
        return self._reader(extras).read(self.base, pixel_values, getattr(self, "frozen_base", None))

    def _check_features(self, features: torch.Tensor) -> None:
        if self.config.create_level().reads_maps:
            raise ConfigurationError(
                "orbit_features are features, but the spatial level combines feature maps: pass pixel_values"
            )
        if self._features not in (None, features.shape[-1]):
            raise ConfigurationError(
                f"orbit_features= has {features.shape[-1]} numbers for each member, but the network of this model "
                f"reads {self._features}: pass those of its own get_orbit_features"
            )

    def _reader(self, extras: dict[str, Any]) -> ImageReader:
        level = self.config.create_level()
        return ImageReader(self.action, self.method, level, self._cut, self.config.orbit_chunk_size, extras)

    @property
    def base_forwards(self) -> int:
        """The most images that the base reads for one image, if a canonicalizer names one pose."""
        select = self.method.select
        if isinstance(select, LearnedMember):
            return len(select.theta_in(self.group)) + int(select.network.base_forwards)
        return 1 if self.method.selects_one else int(self.group.order)

    def get_orbit_features(self, pixel_values: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Return the features of every member, to train a head or λ on without running the base again.

        Weights are then computed from these features, even with `lambda_features="frozen"`. A base that was trained
        after it was wrapped gives other features than its frozen copy.

        Args:
            pixel_values: `(batch, channels, height, width)`.
            **kwargs: Other arguments of the base.

        Returns:
            `(batch, group, features)`, which `forward` takes as `orbit_features`.

        Raises:
            ActionError: If the group does not act on the images, or they are not tensors.
            ConfigurationError: For hidden states or attentions; for a continuous group.

        Cost: one base forward for each distinct member of the orbit.
        """
        if not isinstance(self.group, FiniteGroup):
            raise ConfigurationError(
                f"{self.group!r} has infinitely many elements, so the features of an orbit cannot be listed: call the "
                "model with pixel_values, or choose a finite subgroup, ImageGroup.rotations(8)"
            )
        # For every member, whichever the method asks for, and without maps.
        reader = replace(self._reader(self.checked_extras(kwargs)), method=Equitune(), level=create_level("features"))
        orbits = reader.read(self.base, pixel_values)
        return orbits.features[orbits.orbit.row_of]

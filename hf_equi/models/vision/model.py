"""What every wrapped model of images does: run its base on orbits, and combine."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_equi.actions import PixelAction
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ImageGroup
from hf_equi.models.base import WrapperMixin
from hf_equi.models.vision.cuts import Cut
from hf_equi.models.vision.levels import create_level
from hf_equi.models.vision.orbit_forward import ImageOrbits, OrbitReader, check_batch
from hf_equi.models.vision.probing import feature_size, image_shape
from hf_equi.symmetrizers import Equitune
from hf_equi.symmetrizers.outside_loss import refuse_outside_loss

__all__ = ["VisionWrapperMixin", "checked_extras"]


class VisionWrapperMixin(WrapperMixin):
    """The base of a model of images inside a `PreTrainedModel`. Comes before it in the bases of a model."""

    base: Any
    frozen_base: PreTrainedModel
    _cut: Cut
    _owns_weights: bool
    main_input_name: ClassVar[str] = "pixel_values"

    def _wrap_images(
        self, base: PreTrainedModel | None, check: Callable[[PreTrainedModel], None], cut: Callable[[Any], Cut]
    ) -> None:
        """Hold a base, find where to cut it, and make the network of the method.

        Raises:
            ConfigurationError: For the spatial level of a base whose feature maps are not known.
        """
        self._wrap(base, check)
        self._cut = cut(self.base)
        if self.config.create_level().reads_maps and not self._cut.has_maps:
            raise ConfigurationError(
                f"It is not known how {type(self.base).__name__} pools its feature maps, so it has no spatial level: "
                'use level="features"'
            )
        self._features: int | None = None
        if self.method.network_weights is not None:
            self._features = feature_size(self._cut, self.base)
            self._add_network(self._features)
            if self.config.lambda_features == "frozen":
                self.frozen_base = copy.deepcopy(self.base).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Any:
        """Set the mode. What is frozen evaluates all the same, so that no dropout or batch statistic changes it."""
        super().train(mode)  # type: ignore[misc]
        if mode:
            _evaluate_frozen(self.base)
        if hasattr(self, "frozen_base"):  # loading has let its weights loose
            self.frozen_base.requires_grad_(False).eval()
        return self

    def _input_shape(self) -> tuple[int, ...]:
        return image_shape(self.base.config)

    def _stored_action(self, group: ImageGroup) -> PixelAction:
        return PixelAction(group, self.config.padding)

    def _check_objective(self, labels: torch.Tensor | None) -> None:
        """Refuse to train for an objective without the labels that it is one of.

        Raises:
            ConfigurationError: In training, for another objective than the cross-entropy of the logits.
        """
        if self.training and labels is None and self.config.objective != "cross_entropy":  # type: ignore[attr-defined]
            refuse_outside_loss(f"config.objective={self.config.objective!r} takes the softmax twice")

    def _read_orbits(
        self, pixel_values: torch.Tensor | None, orbit_features: Any, extras: dict[str, Any]
    ) -> ImageOrbits:
        """What the base says of the orbits of images, or what it said of them before.

        Raises:
            ActionError: For anything but a tensor with numbers in it.
            ConfigurationError: Without images, or with two kinds of them; for features of orbits of another size than
                the network reads, or at a level that needs more than them.
        """
        if orbit_features is not None:
            check_batch(orbit_features, "orbit_features")
            if pixel_values is not None:
                raise ConfigurationError(
                    "pixel_values= and orbit_features= are two kinds of the same images: pass one of them"
                )
            self._check_features(orbit_features)
            features = orbit_features.to(_weight_dtype(self.base, orbit_features.dtype))
            return ImageOrbits.of_features(self.action.group, features, self.method)
        if pixel_values is None:
            raise ConfigurationError(f"{type(self).__name__} needs pixel_values, or orbit_features of them")
        return self._reader(extras).read(self.base, pixel_values, getattr(self, "frozen_base", None))

    def _check_features(self, features: torch.Tensor) -> None:
        if self.config.create_level().reads_maps:
            raise ConfigurationError(
                "orbit_features are features, and the spatial level combines feature maps: pass pixel_values"
            )
        if self._features not in (None, features.shape[-1]):
            raise ConfigurationError(
                f"orbit_features= has {features.shape[-1]} numbers a member, and the network of this model reads "
                f"{self._features}: pass those of its own get_orbit_features"
            )

    def _reader(self, extras: dict[str, Any]) -> OrbitReader:
        method, level = self.method, self.config.create_level()
        return OrbitReader(self.action, method, level, self._cut, self.config.orbit_chunk_size, extras)

    def get_orbit_features(self, pixel_values: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """The features of every member, to train a head or λ on without running the base again.

        Weights are read off these features then, with `lambda_features="frozen"` too: a base that was trained since it
        was wrapped gives others than its frozen copy.

        Args:
            pixel_values: `(batch, channels, height, width)`.
            **kwargs: What the base takes beside.

        Returns:
            `(batch, group, features)`: what `forward` takes as `orbit_features`.

        Raises:
            ActionError: For images that the group does not act on, or that are no tensor.
            ConfigurationError: For hidden states or attentions.

        Cost: one base forward a distinct member of the orbit.
        """
        # Of every member, whatever the method asks for, and no maps.
        reader = replace(self._reader(checked_extras(kwargs)), method=Equitune(), level=create_level("features"))
        orbits = reader.read(self.base, pixel_values)
        return orbits.features[orbits.orbit.row_of]


def _weight_dtype(base: nn.Module, default: torch.dtype) -> torch.dtype:
    """That of the weights of a base; replicas of `DataParallel` have none."""
    return next((weight.dtype for weight in base.parameters() if weight.is_floating_point()), default)


def _evaluate_frozen(module: nn.Module) -> None:
    """Let the largest parts of a module that have weights, none of them trained, evaluate."""
    trained = [parameter.requires_grad for parameter in module.parameters()]
    if trained and not any(trained):
        module.eval()
    elif not all(trained):
        for child in module.children():
            _evaluate_frozen(child)


def checked_extras(kwargs: dict[str, Any]) -> dict[str, Any]:
    """What the base is given beside images.

    Raises:
        ConfigurationError: For hidden states or attentions.
    """
    if kwargs.pop("output_hidden_states", None) or kwargs.pop("output_attentions", None):
        raise ConfigurationError(
            "A symmetrised model has logits alone: hidden states and attentions are those of the members of an orbit. "
            "Ask the base for them: model.unwrap()."
        )
    return {key: value for key, value in kwargs.items() if value is not None}

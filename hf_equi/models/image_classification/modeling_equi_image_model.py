"""EquiImageModel: the invariant features of images, from an image classifier without its head."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from hf_equi.canonicalization import Canonicalizer
from hf_equi.errors import ConfigurationError
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.image_classification.base_check import check_classifier
from hf_equi.models.image_classification.card import ImageFeaturesCard
from hf_equi.models.image_classification.configuration_equi_image_classification import EquiImageClassificationConfig
from hf_equi.models.vision.classification_cuts import find_classification_cut
from hf_equi.models.vision.cuts import Cut
from hf_equi.models.vision.levels import LINKS, Head
from hf_equi.models.vision.logits_cut import LogitsCut
from hf_equi.models.vision.model import EquiVisionModel
from hf_equi.models.vision.orbits import combine
from hf_equi.symmetrizers import Select

__all__ = ["EquiImageModel", "WrappedClassifier"]


class WrappedClassifier(EquiVisionModel):
    """The base class of models that hold an image classifier, with its head or without."""

    config_class = EquiImageClassificationConfig
    auto_class: ClassVar[Any] = AutoModelForImageClassification
    processor_class: ClassVar[Any] = AutoImageProcessor

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base that does not turn images into classes."""
        check_classifier(base)

    @classmethod
    def find_cut(cls, base: PreTrainedModel) -> Cut:
        """Cut before the head, or after the logits if the head is unknown."""
        return find_classification_cut(base) or LogitsCut()

    def _head(self) -> Head:
        """Return what follows the features."""
        multi = self.config.problem_type == "multi_label_classification"
        link = LINKS["sigmoid" if multi else "softmax"]
        cut: Any = self._cut
        return Head(partial(cut.head, self.base), partial(cut.pool, self.base), link)


class EquiImageModel(WrappedClassifier):
    r"""The invariant features that an `EquiForImageClassification` computes before its head.

    $$ f_G(gx) = f_G(x), \qquad f_G(x) = \text{combine}_g\; g^{-1} f(gx) $$

    `AutoModel` makes it from the checkpoint of a classifier, and so does `pipeline("image-feature-extraction")` with
    the name of a folder. `EquiForImageClassification.feature_model` makes it from a model object. Its own checkpoints
    hold the head too, and are those of the classifier. For a family whose features are unknown, its features are its
    logits.

    It has no loss, so a canonicalizer gets no prior from training on its features: train that with the classifier.

    Args:
        config: The classifier's configuration.
        base: The wrapped classifier, shared and not copied; by default a new one from the configuration.

    Raises:
        UnsupportedModelError: As in `EquiForImageClassification`.
        ConfigurationError: As in `EquiForImageClassification`, and at a level that has no features.

        Cost: that of the classifier. Guarantee: exact, like that of the classifier.

    Example:
        >>> from transformers import ResNetConfig, ResNetForImageClassification
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        >>> base = ResNetForImageClassification(ResNetConfig(**sizes)).eval()
        >>> model, image = symmetrize(base, ImageGroup.rotations(4)).feature_model(), torch.rand(1, 3, 32, 32)
        >>> features = [model(x).pooler_output for x in (image, image.rot90(1, (2, 3)))]
        >>> features[0].shape, torch.allclose(*features, atol=1e-5)
        (torch.Size([1, 16]), True)
    """

    card_kind: ClassVar[CardKind] = ImageFeaturesCard()

    @classmethod
    def of(cls, model: WrappedClassifier) -> EquiImageModel:
        """Return the model without its head; all weights are shared.

        Raises:
            ConfigurationError: At a level that has no features.
        """
        network = getattr(model, Select.network_name, None)
        made = cls(model.config, model.base, network if isinstance(network, Canonicalizer) else None)
        for name, part in model.named_children():
            setattr(made, name, part)
        for name in ("processor", "_peft_base", "_loaded_base"):
            setattr(made, name, getattr(model, name))
        made.train(model.training)
        return made

    def prepare(self) -> None:
        """Prepare the model as the classifier is prepared.

        Raises:
            ConfigurationError: As in the classifier, and at a level that has no features.
        """
        self._check_level()
        super().prepare()

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        orbit_features: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling | tuple[Any, ...]:
        """Return invariant features of images.

        Args:
            pixel_values: `(batch, channels, height, width)`, square for groups with rotations by 90°.
            orbit_features: `(batch, group, features)` from `get_orbit_features`, instead of images.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: Other arguments of the base, such as `interpolate_pos_encoding`.

        Returns:
            An output with `pooler_output`, `(batch, features)`: the `image_features` of the classifier.

        Raises:
            ActionError: If the group does not act on the images, or they are not tensors.
            ConfigurationError: Without images; at a level that has no features; for features at the spatial level; for
                hidden states or attentions.
        """
        self._check_level()
        orbits = self._read_orbits(pixel_values, orbit_features, self.checked_extras(kwargs))
        level = self.config.create_level()
        out = combine(orbits, self._head(), self.method, level, features_only=True)
        return self.returned(BaseModelOutputWithPooling(pooler_output=out.features), return_dict)

    def _check_level(self) -> None:
        if not self.config.create_level().has_features:
            raise ConfigurationError(
                f"level={self.config.level!r} combines what the head computes from the members, so images have no "
                'invariant features: load the model with level="features", or set config.level to that'
            )

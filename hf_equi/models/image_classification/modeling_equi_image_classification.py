"""EquiForImageClassification: an image classifier made equivariant to a group of the image plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from transformers.loss.loss_utils import LOSS_MAPPING
from transformers.utils import ModelOutput

from hf_equi.bases.compat import replace_pipeline
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.image_classification.card import ImageClassifierCard
from hf_equi.models.image_classification.modeling_equi_image_model import EquiImageModel, WrappedClassifier
from hf_equi.models.vision.losses import labelled_loss
from hf_equi.models.vision.orbits import combine

__all__ = ["EquiForImageClassification", "EquiImageClassifierOutput"]


@dataclass
class EquiImageClassifierOutput(ModelOutput):
    """The output of `EquiForImageClassification`.

    Args:
        loss: `()`, with `labels`: the base's own loss, computed from the combined logits. With `task_weight=0` the
            loss of the canonicalizer: always in training, and in evaluation without labels.
        logits: `(batch, classes)`; log-probabilities at the level of probabilities.
        image_features: `(batch, features)` invariant features, at the levels of features and of feature maps.
        chosen_element: `(batch,)` the element that equizero took.
        margin: `(batch,)` how much lower its loss was than that of the next member; for a canonicalizer, how much
            higher its best score was than the next one.
        group_weights: `(batch, group)` the weights of λ-equitune and of attention, which add up to 1; those of
            canonical-λ-equitune in the order of Θ.
        prior_loss: `()` the cross-entropy of a canonicalizer's scores to the identity, or for a continuous group the
            squared distance of its element to the identity, without its weight.
        canonical_element: `(batch,)` the element h(x) that takes the canonical image, which the base reads, to the
            given one; for a continuous group its matrix, `(batch, 2, 2)`.
        identity_share: `()` the share of images for which it is the identity; `None` for a continuous group.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    image_features: torch.Tensor | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None
    prior_loss: torch.Tensor | None = None
    canonical_element: torch.Tensor | None = None
    identity_share: torch.Tensor | None = None


class EquiForImageClassification(WrappedClassifier):
    r"""An image classifier that ignores how an image is turned or mirrored, without retraining.

    $$ M_G(gx) = M_G(x), \qquad M_G(x) = h\Big(\text{combine}_g\; g^{-1} f(gx)\Big) $$

    with features f and head h of the base. Methods: equi-tuning (the mean), equizero (the member of which the base is
    surest), λ-equitune and attention (weighted means), canonical (the member that a canonicalizer chooses before the
    base runs), canonical-λ-equitune (a weighted mean around that member). Exact in float32 to 1e-5 for rotations by
    multiples of 90° and for flips; equizero up to its margin. Other rotations resample: see `PixelAction`.

    For a family whose step from features to logits is unknown, the logits are used as the features.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        canonicalizer: For `"canonical"` and `"canonical_lambda"`: a `hf_equi.canonicalization.Canonicalizer`, held
            and not copied, on the device of the base and in its own dtype, or a rule, a function from images to
            elements; by default a new one as the configuration describes it, in float32 at least.

    Raises:
        UnsupportedModelError: For a base that is not an image classifier.
        ConfigurationError: For a configuration without a group; for the spatial level if the base's maps are unknown.

    Cost: one base forward for each distinct member of the orbit, at most |G|. At the spatial level always |G|, because
    the maps of equal members are moved differently. With `lambda_features="frozen"` twice that.

    References:
        arXiv 2210.06475, equation 5; arXiv 2305.09900, equations 1 to 4, §5.2 and §D.4.

    Example:
        >>> from transformers import ResNetConfig, ResNetForImageClassification
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        >>> base = ResNetForImageClassification(ResNetConfig(**sizes)).eval()
        >>> model, image = symmetrize(base, ImageGroup.rotations(4)), torch.rand(1, 3, 32, 32)
        >>> torch.allclose(model(image).logits, model(image.rot90(1, (2, 3))).logits, atol=1e-5)
        True
    """

    card_kind: ClassVar[CardKind] = ImageClassifierCard()
    accepts_loss_kwargs = False

    def feature_model(self) -> EquiImageModel:
        """The model without its head, for invariant features of images. All weights are shared.

        `pipeline("image-feature-extraction", model=model, image_processor=model.processor)` does the same by itself.

        Raises:
            ConfigurationError: At a level that has no features.
        """
        return EquiImageModel.of(self)

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        orbit_features: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiImageClassifierOutput | tuple[Any, ...]:
        """Classify images.

        Args:
            pixel_values: `(batch, channels, height, width)`, square for groups with rotations by 90°.
            labels: `(batch,)` classes, for the loss, as the base takes them. In training with `task_weight=0` only
                the canonicalizer runs: labels are not used, and `logits` is `None`.
            orbit_features: `(batch, group, features)` from `get_orbit_features`, instead of images.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: Other arguments of the base, such as `interpolate_pos_encoding`.

        Raises:
            ActionError: If the group does not act on the images, or they are not tensors.
            ConfigurationError: Without images; for features at the spatial level; for hidden states or attentions; in
                training without labels, with the published objective or a canonicalizer that trains.
        """
        if self._prior_only:
            selection = self._select_by_prior(pixel_values)
            prior = EquiImageClassifierOutput(self.penalised(None, selection))
            return self.returned(self._said(prior, selection), return_dict)
        self._check_objective(labels)
        self._settle_problem(labels)
        orbits = self._read_orbits(pixel_values, orbit_features, self.checked_extras(kwargs))
        out = combine(orbits, self._head(), self.method, self.config.create_level())
        loss = None
        if labels is not None and out.logits is not None:
            loss = labelled_loss(partial(self._loss, labels), out.logits, self.config.objective)
        loss = self.penalised(loss, orbits.selection)
        weights = None if out.log_weights is None else out.log_weights.softmax(1)
        result = EquiImageClassifierOutput(
            loss, out.logits, out.features, out.decision.chosen_element, out.decision.margin, weights
        )
        return self.returned(self._said(result, orbits.selection), return_dict)

    def _settle_problem(self, labels: torch.Tensor | None) -> None:
        """Find the kind of problem before anything is combined, as transformers does: from the first labels."""
        config = self.config
        if config.problem_type is None and labels is not None:
            integers = not labels.is_floating_point()
            several = "single_label_classification" if integers else "multi_label_classification"
            config.problem_type = "regression" if config.num_labels == 1 else several
            config.check_problem()
        self.base.config.problem_type = config.problem_type

    def _loss(self, labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the base's own loss, or that of image classifiers for a class that does not define one."""
        known = hasattr(self.base, "_loss_function") or getattr(self.base, "loss_type", None) in LOSS_MAPPING
        function: Any = self.base.loss_function if known else LOSS_MAPPING["ForImageClassification"]
        loss: torch.Tensor = function(labels, logits, config=self.base.config)
        return loss


replace_pipeline(
    "image-feature-extraction",
    "transformers.pipelines.image_feature_extraction.ImageFeatureExtractionPipeline",
    "hf_equi.models.image_classification.pipelines.FeaturesPipeline",
)

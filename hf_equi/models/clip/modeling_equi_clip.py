"""EquiCLIPModel: a model that compares images with texts, made equivariant to a group of the image plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch.nn.functional import cross_entropy, normalize
from transformers import AutoModelForZeroShotImageClassification, AutoProcessor, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from hf_equi.errors import ConfigurationError
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.clip.card import CLIPCard, SiglipCard
from hf_equi.models.clip.configuration_equi_clip import EquiCLIPConfig, EquiSiglipConfig
from hf_equi.models.vision.clip_cuts import ClipCut, check_clip, find_clip_cut
from hf_equi.models.vision.levels import LINKS, Head, Level, create_level
from hf_equi.models.vision.losses import labelled_loss
from hf_equi.models.vision.model import EquiVisionModel
from hf_equi.models.vision.orbits import CombinedImages, combine

__all__ = ["EquiCLIPModel", "EquiCLIPOutput", "EquiSiglipModel"]


@dataclass
class EquiCLIPOutput(ModelOutput):
    """The output of `EquiCLIPModel`.

    Args:
        loss: `()`, with `return_loss` the base's contrastive loss, with `labels` the cross-entropy over the texts.
            With `task_weight=0` the loss of the canonicalizer: always in training, and in evaluation without these.
        logits_per_image: `(batch, texts)`; log-probabilities at the level of probabilities.
        logits_per_text: `(texts, batch)`.
        text_embeds: `(texts, dim)` of length 1.
        image_embeds: `(batch, dim)` of length 1, at the levels of features and of feature maps.
        chosen_element: `(batch,)` the element that equizero took.
        margin: `(batch,)` how much higher its similarity was than that of the next member; for a canonicalizer, how
            much higher its best score was than the next one.
        group_weights: `(batch, group)` the weights of λ-equitune and of attention, which add up to 1; those of
            canonical-λ-equitune in the order of Θ.
        prior_loss: `()` the cross-entropy of a canonicalizer's scores to the identity, or for a continuous group the
            squared distance of its element to the identity, without its weight.
        canonical_element: `(batch,)` the element h(x) that takes the canonical image, which the base reads, to the
            given one; for a continuous group its matrix, `(batch, 2, 2)`.
        identity_share: `()` the share of images for which it is the identity; `None` for a continuous group.
    """

    loss: torch.Tensor | None = None
    logits_per_image: torch.Tensor | None = None
    logits_per_text: torch.Tensor | None = None
    text_embeds: torch.Tensor | None = None
    image_embeds: torch.Tensor | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None
    prior_loss: torch.Tensor | None = None
    canonical_element: torch.Tensor | None = None
    identity_share: torch.Tensor | None = None

    def __getitem__(self, k: str | int | slice) -> Any:
        """Return an entry. `"logits"`, which the Trainer uses to smooth labels, is `logits_per_image`."""
        return super().__getitem__("logits_per_image" if k == "logits" else k)  # type: ignore[no-untyped-call]


def _of_base(name: str) -> Any:
    """Give access to a part of the base under its own name, if the base has it: the same object."""
    return property(lambda self: getattr(self.base, name))


class EquiCLIPModel(EquiVisionModel):
    r"""A model that compares images with texts and ignores how an image is turned, without retraining.

    $$ f_G(gx) = f_G(x), \qquad f_G(x) = \text{combine}_g\; f(gx) $$

    with features f of images. Methods: equi-tuning (the mean), equizero (the member that is most similar to one of the
    texts), λ-equitune and attention (weighted means), canonical (the member that a canonicalizer chooses before the
    base runs), canonical-λ-equitune (a weighted mean around that member). Exact in float32 to 1e-5 for rotations by
    multiples of 90° and for flips; equizero up to its margin. Other rotations resample: see `PixelAction`. The base
    reads texts as usual.

    The parts of the base keep their own names: `logit_scale`, `logit_bias` (SigLIP), `temperature` (ALIGN),
    `vision_model`, `text_model`, `visual_projection`, `text_projection`. The output of `vision_model` depends on how
    an image is turned; that of `get_image_features` does not.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied: CLIP, SigLIP, ALIGN or Chinese-CLIP; by default a new one from
            the configuration.
        canonicalizer: For `"canonical"` and `"canonical_lambda"`: a `hf_equi.canonicalization.Canonicalizer`, held
            and not copied, on the device of the base and in its own dtype, or a rule, a function from images to
            elements; by default a new one as the configuration describes it, in float32 at least.

    Raises:
        UnsupportedModelError: For a base of another family.
        ConfigurationError: For a configuration without a group.

    Cost: the image tower once for each distinct member of the orbit, at most |G|. At the spatial level always |G|,
    because the maps of equal members are moved differently. With `lambda_features="frozen"` twice that. The text tower
    runs once.

    References:
        arXiv 2305.09900, equations 1 to 4, §4.2, §5.2 and §D.1.

    Example:
        >>> from transformers import CLIPConfig, CLIPModel
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> vision = {**sizes, "image_size": 16, "patch_size": 8}
        >>> base = CLIPModel(CLIPConfig(text_config=sizes, vision_config=vision, projection_dim=6)).eval()
        >>> clip, image = symmetrize(base, ImageGroup.rotations(4)), torch.rand(1, 3, 16, 16)
        >>> features = [clip.get_image_features(x).pooler_output for x in (image, image.rot90(1, (2, 3)))]
        >>> torch.allclose(*features, atol=1e-5)
        True
    """

    config_class = EquiCLIPConfig
    auto_class: ClassVar[Any] = AutoModelForZeroShotImageClassification
    card_kind: ClassVar[CardKind] = CLIPCard()
    processor_class: ClassVar[Any] = AutoProcessor
    accepts_loss_kwargs = False
    _cut: ClipCut
    # Attributes that code for the bases reads. If a base lacks one, so does its model: AttributeError.
    logit_scale, logit_bias, temperature = _of_base("logit_scale"), _of_base("logit_bias"), _of_base("temperature")
    text_model, vision_model = _of_base("text_model"), _of_base("vision_model")
    text_projection, visual_projection = _of_base("text_projection"), _of_base("visual_projection")

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base of a family that cannot be cut."""
        check_clip(base)

    @classmethod
    def find_cut(cls, base: PreTrainedModel) -> ClipCut:
        """Return the place where the base is cut."""
        return find_clip_cut(base)

    def get_text_features(self, *args: Any, **kwargs: Any) -> Any:
        """The base's."""
        return self.base.get_text_features(*args, **kwargs)

    def get_image_features(
        self,
        pixel_values: torch.Tensor | None = None,
        text_features: torch.Tensor | None = None,
        orbit_features: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling | tuple[Any, ...]:
        """Return invariant features of images.

        Args:
            pixel_values: `(batch, channels, height, width)`.
            text_features: `(texts, dim)` the texts by which equizero chooses.
            orbit_features: `(batch, group, dim)` from `get_orbit_features`, instead of images.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: Other arguments of the base.

        Returns:
            An output with `pooler_output`, `(batch, dim)`, not normalised.

        Raises:
            ActionError: As in `forward`.
            ConfigurationError: At a level that combines outputs for texts; for equizero without texts; for texts that
                are not features.
        """
        if self.method.loss is not None and text_features is None:
            raise ConfigurationError(
                "Equizero chooses a member of each image by its similarity to texts: pass text_features=, or call "
                "the model"
            )
        head = self._head(text_features)
        orbits = self._read_orbits(pixel_values, orbit_features, self.checked_extras(kwargs))
        out = combine(orbits, head, self.method, self._level(), features_only=True)
        if out.features is None:
            raise ConfigurationError(
                f"level={self.config.level!r} combines the similarities to texts, so images have no features of their "
                'own: use level="features" or call the model'
            )
        return self.returned(BaseModelOutputWithPooling(pooler_output=out.features), return_dict)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        text_features: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        orbit_features: torch.Tensor | None = None,
        return_loss: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiCLIPOutput | tuple[Any, ...]:
        """Compare images with texts.

        Args:
            input_ids: `(texts, length)`.
            pixel_values: `(batch, channels, height, width)`, square for groups with rotations by 90°.
            attention_mask: `(texts, length)`. Later arguments are keyword-only: families order them differently.
            text_features: `(texts, dim)` from `get_text_features`, instead of `input_ids`.
            labels: `(batch,)` the right text of each image, for the cross-entropy.
            orbit_features: `(batch, group, dim)` from `get_orbit_features`, instead of `pixel_values`.
            return_loss: Whether to compute the base's contrastive loss, which needs as many texts as images.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: Other arguments of the base, such as `interpolate_pos_encoding` or `token_type_ids`.

        Raises:
            ActionError: If the group does not act on the images, or they are not tensors.
            ConfigurationError: Without images or texts, or with two kinds of them; for features at the spatial level
                or of a wrong size; for both losses at once; for the contrastive loss of combined probabilities, or
                with unequal numbers of texts and images; for hidden states or attentions; in training without a loss,
                with the published objective or a canonicalizer that trains.
        """
        if self._prior_only:
            selection = self._select_by_prior(pixel_values)
            prior = EquiCLIPOutput(self.penalised(None, selection))
            return self.returned(self._said(prior, selection), return_dict)
        self._check_losses(labels, return_loss)
        extras = self.checked_extras(kwargs)
        texts = self._texts(input_ids, attention_mask, text_features, extras)
        head = self._head(texts)
        orbits = self._read_orbits(pixel_values, orbit_features, extras)
        out = combine(orbits, head, self.method, self._level())
        result = self._output(out, texts, labels, bool(return_loss))
        result.loss = self.penalised(result.loss, orbits.selection)
        return self.returned(self._said(result, orbits.selection), return_dict)

    def _texts(
        self, ids: torch.Tensor | None, mask: torch.Tensor | None, features: Any, extras: dict[str, Any]
    ) -> torch.Tensor:
        """Return the features of the texts; compute them unless they are given."""
        if features is not None:
            if ids is not None:
                raise ConfigurationError(
                    "input_ids= and text_features= describe the same texts in two forms: pass one of them"
                )
            given: torch.Tensor = features
            return given
        if ids is None:
            raise ConfigurationError("EquiCLIPModel needs input_ids, or text_features of them")
        return self._cut.text_features(self.base, ids, mask, **extras)

    def _level(self) -> Level:
        """The level at which members are combined. A largest sigmoid is that of the largest logit."""
        by_class = self.config.selection == "class" and self._cut.links == "sigmoid"
        return create_level("logits") if by_class else self.config.create_level()

    def _head(self, texts: torch.Tensor | None) -> Head:
        """Return what follows the features: the similarity to these texts.

        Raises:
            ConfigurationError: For texts that are not features.
        """
        if texts is not None:
            _check_texts(texts)

        def logits(features: torch.Tensor) -> torch.Tensor:
            if texts is None:
                raise ConfigurationError("EquiCLIPModel compares images with texts: pass text_features=")
            return self._cut.similarity(self.base, features, texts)

        return Head(logits, partial(self._cut.pool, self.base), LINKS[self._cut.links])

    def _check_losses(self, labels: torch.Tensor | None, contrastive: bool | None) -> None:
        """Refuse losses that do not exist."""
        if not contrastive:
            self._check_objective(labels)
        if labels is not None and contrastive:
            raise ConfigurationError("labels= and return_loss= ask for two different losses: pass one of them")
        if contrastive and self._cut.links == "softmax" and self._level().name == "probabilities":
            raise ConfigurationError(
                'At level="probabilities" logits are normalised over the texts, but the contrastive loss of '
                'return_loss= also compares images: use level="features" or level="logits", or pass labels='
            )

    def _output(
        self, out: CombinedImages, texts: torch.Tensor, labels: torch.Tensor | None, contrastive: bool
    ) -> EquiCLIPOutput:
        logits: Any = out.logits
        loss = None
        if contrastive:
            if logits.shape[0] != logits.shape[1]:
                raise ConfigurationError(
                    f"return_loss= compares pairs; received {logits.shape[0]} images and {logits.shape[1]} texts. "
                    "Pass one text for each image, or use labels= instead."
                )
            loss = self._cut.contrastive_loss(self.base, logits.T)
        elif labels is not None:
            loss = labelled_loss(partial(cross_entropy, target=labels), logits, self.config.objective)
        images = None if out.features is None else normalize(out.features, dim=-1)
        weights = None if out.log_weights is None else out.log_weights.softmax(1)
        decision = out.decision
        return EquiCLIPOutput(
            loss, logits, logits.T, normalize(texts, dim=-1), images, decision.chosen_element, decision.margin, weights
        )


def _check_texts(features: Any) -> None:
    """Refuse anything but a batch of features."""
    unfit = not torch.is_tensor(features) or features.dim() != 2 or not features.shape[0]
    if unfit or not features.is_floating_point():
        shape = f" of {features.dtype} {tuple(features.shape)}" if torch.is_tensor(features) else ""
        raise ConfigurationError(
            f"text_features= is a {type(features).__name__}{shape}, but features of texts are a tensor of floats "
            "(texts, dim): pass get_text_features(...).pooler_output, or input_ids="
        )


class EquiSiglipModel(EquiCLIPModel):
    """An `EquiCLIPModel` for SigLIP. Its pipelines read the logits as answers to a separate question for each text.

    Example:
        >>> EquiSiglipModel.config_class.model_type
        'equi_siglip'
    """

    config_class = EquiSiglipConfig
    card_kind: ClassVar[CardKind] = SiglipCard()

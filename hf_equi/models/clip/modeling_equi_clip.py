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
    """Output of `EquiCLIPModel`.

    Args:
        loss: `()`, with `return_loss` the base's contrastive loss, with `labels` the cross-entropy of the texts.
        logits_per_image: `(batch, texts)`; log-probabilities at the level of probabilities.
        logits_per_text: `(texts, batch)`.
        text_embeds: `(texts, dim)` of length 1.
        image_embeds: `(batch, dim)` of length 1, at the levels of features and of feature maps.
        chosen_element: `(batch,)` the element that equizero took.
        margin: `(batch,)` by how much its similarity was above that of the next member.
        group_weights: `(batch, group)` the weights of λ-equitune and of attention, which add up to 1.
    """

    loss: torch.Tensor | None = None
    logits_per_image: torch.Tensor | None = None
    logits_per_text: torch.Tensor | None = None
    text_embeds: torch.Tensor | None = None
    image_embeds: torch.Tensor | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None

    def __getitem__(self, k: str | int | slice) -> Any:
        """An entry; `"logits"`, by which the Trainer smooths labels, is that of images, which labels are of."""
        return super().__getitem__("logits_per_image" if k == "logits" else k)  # type: ignore[no-untyped-call]


def _of_base(name: str) -> Any:
    """A part of the base under its own name, where the base has it: the same object."""
    return property(lambda self: getattr(self.base, name))


class EquiCLIPModel(EquiVisionModel):
    r"""A model that compares images with texts and does not care how an image is turned, without retraining.

    $$ f_G(gx) = f_G(x), \qquad f_G(x) = \text{combine}_g\; f(gx) $$

    with features f of images. Methods: equi-tuning (the mean), equizero (the member that is most similar to one of the
    texts), λ-equitune and attention (weighted means). Exact in float32 to 1e-5 for rotations by multiples of 90° and
    flips, equizero up to its margin; other rotations resample, see `PixelAction`. Texts are left to the base.

    The parts of the base can be reached by its own names: `logit_scale`, `logit_bias` (SigLIP), `temperature` (ALIGN),
    `vision_model`, `text_model`, `visual_projection`, `text_projection`. What `vision_model` says of an image depends
    on how it is turned; what `get_image_features` says does not.

    Args:
        config: Its configuration.
        base: The base model, shared and not copied: CLIP, SigLIP, ALIGN or Chinese-CLIP; by default a new one from
            the configuration.

    Raises:
        UnsupportedModelError: For a base of another family.
        ConfigurationError: For a configuration without a group.

    Cost: the image tower once a distinct member of the orbit, at most |G|, and at the spatial level |G|, as maps of
    equal members are moved differently; with `lambda_features="frozen"` twice that. The text tower once.

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
    # What code written for the bases reads. Where a base lacks one, so does its model: AttributeError.
    logit_scale, logit_bias, temperature = _of_base("logit_scale"), _of_base("logit_bias"), _of_base("temperature")
    text_model, vision_model = _of_base("text_model"), _of_base("vision_model")
    text_projection, visual_projection = _of_base("text_projection"), _of_base("visual_projection")

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base of a family that cannot be cut."""
        check_clip(base)

    @classmethod
    def find_cut(cls, base: PreTrainedModel) -> ClipCut:
        """Where the base is cut."""
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
        """Invariant features of images.

        Args:
            pixel_values: `(batch, channels, height, width)`.
            text_features: `(texts, dim)` that equizero chooses by.
            orbit_features: `(batch, group, dim)` of `get_orbit_features`, instead of images.
            return_dict: `False` for a tuple; by default as the config says.
            **kwargs: What the base takes beside.

        Returns:
            With `pooler_output`, `(batch, dim)`, not normalised.

        Raises:
            ActionError: As `forward`.
            ConfigurationError: At a level that combines what is said of texts; of equizero without texts; for texts
                that are not features.
        """
        if self.method.loss is not None and text_features is None:
            raise ConfigurationError(
                "Equizero chooses an image's member by its similarity to texts: pass text_features=, or call the model"
            )
        head = self._head(text_features)
        orbits = self._read_orbits(pixel_values, orbit_features, self.checked_extras(kwargs))
        out = combine(orbits, head, self.method, self._level(), features_only=True)
        if out.features is None:
            raise ConfigurationError(
                f"At level={self.config.level!r} what is said of texts is combined, and images have no features: use "
                'level="features" or call the model'
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
            attention_mask: `(texts, length)`. What follows has no place, as it differs among the families.
            text_features: `(texts, dim)` of `get_text_features`, instead of `input_ids`.
            labels: `(batch,)` the right text of each image, for the cross-entropy.
            orbit_features: `(batch, group, dim)` of `get_orbit_features`, instead of `pixel_values`.
            return_loss: Whether to compute the base's contrastive loss, of as many texts as images.
            return_dict: `False` for a tuple; by default as the config says.
            **kwargs: What the base takes beside, as `interpolate_pos_encoding` or `token_type_ids`.

        Raises:
            ActionError: For images that the group does not act on, or that are not tensors.
            ConfigurationError: Without images or texts, or with two kinds of them; for features at the spatial level
                or of a wrong size; for both losses at once, or the contrastive one of combined probabilities or of
                more texts than images, or fewer; for hidden states or attentions; in training for the published
                objective, without a loss.
        """
        self._check_losses(labels, return_loss)
        extras = self.checked_extras(kwargs)
        texts = self._texts(input_ids, attention_mask, text_features, extras)
        head = self._head(texts)
        orbits = self._read_orbits(pixel_values, orbit_features, extras)
        out = combine(orbits, head, self.method, self._level())
        result = self._output(out, texts, labels, bool(return_loss))
        result.loss = self.penalised(result.loss, orbits.selection)
        return self.returned(result, return_dict)

    def _texts(
        self, ids: torch.Tensor | None, mask: torch.Tensor | None, features: Any, extras: dict[str, Any]
    ) -> torch.Tensor:
        """The features of the texts, where they are not there already."""
        if features is not None:
            if ids is not None:
                raise ConfigurationError(
                    "input_ids= and text_features= are two kinds of the same texts: pass one of them"
                )
            given: torch.Tensor = features
            return given
        if ids is None:
            raise ConfigurationError("EquiCLIPModel needs input_ids, or text_features of them")
        return self._cut.text_features(self.base, ids, mask, **extras)

    def _level(self) -> Level:
        """Where members are combined. A largest sigmoid is that of the largest logit, and has one complement."""
        by_class = self.config.selection == "class" and self._cut.links == "sigmoid"
        return create_level("logits") if by_class else self.config.create_level()

    def _head(self, texts: torch.Tensor | None) -> Head:
        """What follows the features: the similarity to these texts.

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
        """Refuse losses that there are not."""
        if not contrastive:
            self._check_objective(labels)
        if labels is not None and contrastive:
            raise ConfigurationError("labels= and return_loss= ask for two losses: pass one of them")
        if contrastive and self._cut.links == "softmax" and self._level().name == "probabilities":
            raise ConfigurationError(
                'At level="probabilities" logits are normalised over the texts, and the contrastive loss of '
                'return_loss= compares images as well: use level="features" or level="logits", or pass labels='
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
                    "Pass a text for each image, or labels= in its place."
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
    """Refuse what is not a batch of features."""
    unfit = not torch.is_tensor(features) or features.dim() != 2 or not features.shape[0]
    if unfit or not features.is_floating_point():
        shape = f" of {features.dtype} {tuple(features.shape)}" if torch.is_tensor(features) else ""
        raise ConfigurationError(
            f"text_features= is a {type(features).__name__}{shape}, and features of texts are a tensor of floats "
            "(texts, dim): pass get_text_features(...).pooler_output, or input_ids="
        )


class EquiSiglipModel(EquiCLIPModel):
    """An `EquiCLIPModel` of SigLIP, whose pipelines read its logits as answers to a question for each text.

    Example:
        >>> EquiSiglipModel.config_class.model_type
        'equi_siglip'
    """

    config_class = EquiSiglipConfig
    card_kind: ClassVar[CardKind] = SiglipCard()

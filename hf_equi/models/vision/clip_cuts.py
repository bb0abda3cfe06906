"""Where CLIP-like models of transformers are cut.

ALIGN pools by a plain mean (`pooling_type="mean"`, the default), so for a mean over an orbit the features level and
the spatial level give the same. They differ for the others: CLIP and Chinese-CLIP pass the class token through a norm,
and SigLIP reads all tokens by attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AlignModel, ChineseCLIPModel, CLIPModel, PreTrainedModel, SiglipModel
from transformers.models.align.modeling_align import align_loss
from transformers.models.chinese_clip import modeling_chinese_clip
from transformers.models.clip import modeling_clip

from hf_equi.bases.similarity import similarity
from hf_equi.errors import UnsupportedModelError
from hf_equi.models.vision.cuts import BodyCut, PixelMaps, TokenMaps, taken_by

__all__ = ["ClipCut", "check_clip", "find_clip_cut", "known_clip_cut"]

Loss = Callable[[Tensor], Tensor]
"""Turns logits `(T, R)`, with a text and its image at the same place, into a scalar."""


@dataclass(frozen=True, kw_only=True)
class ClipCut(BodyCut):
    """A cut of a model with an image tower and a text tower. Features are projected but not normalised yet.

    Args:
        body: The name of the image tower in the base.
        pooling: Turns maps into features, given the base and its image tower.
        layout: The meaning of the axes of its maps.
        loss: The contrastive loss of the family.
        links: How logits become probabilities: by a softmax over the texts, or by a sigmoid for each pair.

    Example:
        >>> import torch
        >>> from transformers import CLIPConfig, CLIPModel
        >>> sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> vision = {**sizes, "image_size": 16, "patch_size": 8}
        >>> base = CLIPModel(CLIPConfig(text_config=sizes, vision_config=vision, projection_dim=6)).eval()
        >>> cut, texts = find_clip_cut(base), torch.tensor([[1, 2, 49407]])
        >>> features = cut.features(base, torch.rand(2, 3, 16, 16))
        >>> cut.similarity(base, features, cut.text_features(base, texts)).shape
        torch.Size([2, 1])
    """

    loss: Loss
    links: Literal["softmax", "sigmoid"] = "softmax"

    def features(self, base: PreTrainedModel, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """Return projected features of images, `(R, D)`, not normalised."""
        model: Any = base
        known = taken_by(self.body_of(base).forward, kwargs)
        features: Tensor = model.get_image_features(pixel_values, return_dict=True, **known).pooler_output
        return features

    def text_features(
        self, base: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        """Return projected features of texts, not normalised.

        Args:
            base: A model of the family.
            input_ids: `(T, length)`.
            attention_mask: The mask, of the same shape.
            **kwargs: Further arguments, such as `token_type_ids`; those that the base does not name are left out.

        Returns:
            `(T, D)`.
        """
        model: Any = base
        known = taken_by(model.get_text_features, kwargs)
        out = model.get_text_features(input_ids, attention_mask=attention_mask, return_dict=True, **known)
        features: Tensor = out.pooler_output
        return features

    def similarity(self, base: PreTrainedModel, image_features: Tensor, text_features: Tensor) -> Tensor:
        """Return how well images and texts agree: scaled cosines, the base's `logits_per_image`.

        Args:
            base: A model of the family.
            image_features: `(..., D)`.
            text_features: `(T, D)`.

        Returns:
            Logits, `(..., T)`.

        Raises:
            ConfigurationError: If features have different sizes.
        """
        return similarity(base, image_features, text_features)

    def contrastive_loss(self, base: PreTrainedModel, logits_per_text: Tensor) -> Tensor:
        """Return the base's training loss, computed by its own function from the logits `(T, R)` of T = R pairs."""
        return self.loss(logits_per_text)


def find_clip_cut(base: PreTrainedModel) -> ClipCut:
    """Return the cut of a CLIP-like model.

    Raises:
        UnsupportedModelError: For any other model.
    """
    check_clip(base)
    return known_clip_cut(type(base))


def known_clip_cut(kind: type) -> ClipCut:
    """Return the cut of a class of the four families, before a model of it exists."""
    return next(cut for model_class, cut in _CUTS.items() if issubclass(kind, model_class))


def check_clip(base: PreTrainedModel | type[PreTrainedModel]) -> None:
    """Refuse a model that cannot be cut.

    Raises:
        UnsupportedModelError: For any model outside the four families.
    """
    kind = base if isinstance(base, type) else type(base)
    if not issubclass(kind, tuple(_CUTS)):
        known = ", ".join(model_class.__name__ for model_class in _CUTS)
        raise UnsupportedModelError(
            f"{kind.__name__} is not a CLIP-like model with an image tower and a text tower that can be cut. Known "
            f"families are {known}: load a model of one with AutoModel."
        )


def _projected_class_token(base: Any, body: Any, maps: Tensor) -> Tensor:
    features: Tensor = base.visual_projection(body.post_layernorm(maps[:, 0]))
    return features


def _attention_head(base: Any, body: Any, maps: Tensor) -> Tensor:
    features: Tensor = body.head(maps)
    return features


def _pooler(base: Any, body: Any, maps: Tensor) -> Tensor:
    features: Tensor = body.pooler(maps)
    return features.flatten(1)  # (R, C, 1, 1) to (R, C)


def _sigmoid_loss(logits_per_text: Tensor) -> Tensor:
    """Treat every pair as a separate question (Zhai et al. 2023, arXiv 2303.15343); SigLIP has no function for it."""
    signs = 2 * torch.eye(len(logits_per_text), device=logits_per_text.device) - 1
    return -F.logsigmoid(signs * logits_per_text).sum(-1).mean()


_TOWER = "vision_model"

_CUTS: dict[type[PreTrainedModel], ClipCut] = {
    CLIPModel: ClipCut(
        _TOWER,
        _projected_class_token,
        TokenMaps(special=1),
        loss=modeling_clip.image_text_contrastive_loss,
    ),
    SiglipModel: ClipCut(
        _TOWER,
        _attention_head,
        TokenMaps(),
        loss=_sigmoid_loss,
        links="sigmoid",
    ),
    AlignModel: ClipCut(_TOWER, _pooler, PixelMaps(), loss=align_loss),
    ChineseCLIPModel: ClipCut(
        _TOWER,
        _projected_class_token,
        TokenMaps(special=1),
        loss=modeling_chinese_clip.image_text_contrastive_loss,
    ),
}

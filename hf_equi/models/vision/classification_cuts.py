"""Where image classifiers of transformers are cut, by the type of their config.

Most poolings are affine: a plain mean over the maps, one selected token, or both side by side. Then the mean of
features over an orbit equals the pooled mean of the maps. So the spatial level and the features level give the same
for equitune and for the weighted means. They differ if a layer norm comes after the mean (ConvNeXt, ConvNeXt V2, and
BEiT and Data2Vec with `use_mean_pooling`, their default) or before it (PoolFormer), and for SwiftFormer in training,
which normalises maps by their batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

from hf_equi.models.vision.cuts import BodyCut, Cut, TokenMaps, merged_grid, taken_by

__all__ = ["ClassificationCut", "TimmCut", "find_classification_cut", "known_cut"]

Head = Callable[[Any, Tensor], Tensor]
"""Turns features into logits, given the base."""


def _classify(base: Any, features: Tensor) -> Tensor:
    """Apply one linear layer."""
    logits: Tensor = base.classifier(features)
    return logits


def _drop_and_classify(base: Any, features: Tensor) -> Tensor:
    """Apply dropout that, unlike the base's, does not overwrite features that others may read."""
    return _classify(base, F.dropout(features, base.dropout.p, base.dropout.training))


def _classify_by_two_tokens(base: Any, features: Tensor) -> Tensor:
    """Apply a separate head to each of two tokens."""
    of_class, of_distillation = features.chunk(2, dim=-1)
    logits: Tensor = (base.cls_classifier(of_class) + base.distillation_classifier(of_distillation)) / 2
    return logits


def _classify_by_two_heads(base: Any, features: Tensor) -> Tensor:
    logits: Tensor = (base.head(features) + base.dist_head(features)) / 2
    return logits


def _fully_connect(base: Any, features: Tensor) -> Tensor:
    logits: Tensor = base.fc(features)
    return logits


def _pooler(base: Any, body: Any, maps: Tensor) -> Tensor:
    """Let the body pool `(R, C, h, w)`, or pick what it needs of the tokens."""
    features: Tensor = body.pooler(maps)
    return features.flatten(1)  # (R, C, 1, 1) to (R, C)


def _token_pooler(base: Any, body: Any, maps: Tensor) -> Tensor:
    """Let the body pool over tokens, which it expects on the last axis."""
    return _pooler(base, body, maps.transpose(1, 2))


def _pixel_mean(base: Any, body: Any, maps: Tensor) -> Tensor:
    return maps.mean((-2, -1))


def _norm_of_mean(base: Any, body: Any, maps: Tensor) -> Tensor:
    features: Tensor = body.layernorm(maps.mean((-2, -1)))
    return features


def _mean_of_norm(base: Any, body: Any, maps: Tensor) -> Tensor:
    features: Tensor = base.norm(maps).mean((-2, -1))
    return features


def _class_token(base: Any, body: Any, maps: Tensor) -> Tensor:
    return maps[:, 0]


def _two_tokens(base: Any, body: Any, maps: Tensor) -> Tensor:
    return maps[:, :2].flatten(1)


def _token_mean(base: Any, body: Any, maps: Tensor) -> Tensor:
    return maps.mean(1)


def _patch_mean(base: Any, body: Any, maps: Tensor) -> Tensor:
    return maps[:, 1:].mean(1)


def _class_token_and_patch_mean(base: Any, body: Any, maps: Tensor) -> Tensor:
    return torch.cat([maps[:, 0], maps[:, 1:].mean(1)], dim=-1)


def _class_token_and_patch_mean_behind_registers(base: Any, body: Any, maps: Tensor) -> Tensor:
    patches = maps[:, 1 + body.config.num_register_tokens :]
    return torch.cat([maps[:, 0], patches.mean(1)], dim=-1)


@dataclass(frozen=True)
class ClassificationCut(BodyCut):
    """A cut of an image classifier of transformers.

    Args:
        body: The name of its body in the base.
        pooling: Turns maps into features, given the base and its body.
        layout: The meaning of the axes of its maps.
        classify: Turns features into logits, given the base.

    Example:
        >>> import torch
        >>> from transformers import ResNetConfig, ResNetForImageClassification
        >>> sizes = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic"}
        >>> base = ResNetForImageClassification(ResNetConfig(num_labels=3, **sizes)).eval()
        >>> cut, images = find_classification_cut(base), torch.rand(2, 3, 32, 32)
        >>> features = cut.features(base, images)
        >>> tuple(features.shape), tuple(cut.maps(base, images).shape)
        ((2, 8), (2, 8, 4, 4))
        >>> torch.equal(cut.head(base, features), base(images).logits)
        True
    """

    classify: Head = _classify

    def head(self, base: PreTrainedModel, features: Tensor) -> Tensor:
        """Return the logits of features, `(R, F)` to `(R, classes)`, without changing the features."""
        return self.classify(base, features)


class TimmCut(Cut):
    """A cut of a model of timm, before its linear classifier.

    Its maps may be pixels, pixels with channels last, or tokens. VGG pools them by a convolution, and rotating them
    changes its result. So there is no spatial level.
    """

    def features(self, base: PreTrainedModel, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """Return what the timm classifier reads, `(R, F)`."""
        model: Any = base.get_submodule("timm_model")
        maps = model.forward_features(
            pixel_values.to(base.device, base.dtype), **taken_by(model.forward_features, kwargs)
        )
        features: Tensor = model.forward_head(maps, pre_logits=True)
        return features

    def head(self, base: PreTrainedModel, features: Tensor) -> Tensor:
        """Return the logits of features, `(R, F)` to `(R, classes)`."""
        model: Any = base.get_submodule("timm_model")
        logits: Tensor = model.get_classifier()(features)
        return logits


_ONE = TokenMaps(special=1)
_MERGED = TokenMaps(grid=merged_grid)

_CUTS: dict[str, ClassificationCut] = {
    "beit": ClassificationCut("beit", _pooler, _ONE),
    "bit": ClassificationCut("bit", _pooler),
    "clip": ClassificationCut("vision_model", _patch_mean, _ONE),
    "convnext": ClassificationCut("convnext", _norm_of_mean),
    "convnextv2": ClassificationCut("convnextv2", _norm_of_mean),
    "data2vec-vision": ClassificationCut("data2vec_vision", _pooler, _ONE),
    "deit": ClassificationCut("deit", _class_token, TokenMaps(special=2)),
    "dinov2": ClassificationCut("dinov2", _class_token_and_patch_mean, _ONE),
    "dinov2_with_registers": ClassificationCut(
        "dinov2_with_registers",
        _class_token_and_patch_mean_behind_registers,
        TokenMaps(special=1, registers="num_register_tokens"),
    ),
    "efficientnet": ClassificationCut("efficientnet", _pooler, classify=_drop_and_classify),
    "focalnet": ClassificationCut("focalnet", _token_pooler, _MERGED),
    "ijepa": ClassificationCut("ijepa", _token_mean, TokenMaps()),
    "metaclip_2": ClassificationCut("vision_model", _patch_mean, _ONE),
    "mobilenet_v1": ClassificationCut("mobilenet_v1", _pooler, classify=_drop_and_classify),
    "mobilenet_v2": ClassificationCut("mobilenet_v2", _pooler, classify=_drop_and_classify),
    "mobilevit": ClassificationCut("mobilevit", _pixel_mean, classify=_drop_and_classify),
    "mobilevitv2": ClassificationCut("mobilevitv2", _pixel_mean),
    "poolformer": ClassificationCut("poolformer", _mean_of_norm),
    "pvt_v2": ClassificationCut("pvt_v2", _pixel_mean),
    "regnet": ClassificationCut("regnet", _pooler),
    "resnet": ClassificationCut("resnet", _pooler),
    "segformer": ClassificationCut("segformer", _pixel_mean),
    "siglip": ClassificationCut("vision_model", _token_mean, TokenMaps()),
    "swiftformer": ClassificationCut("swiftformer", _mean_of_norm, classify=_classify_by_two_heads),
    "swin": ClassificationCut("swin", _token_pooler, _MERGED),
    "swinv2": ClassificationCut("swinv2", _token_pooler, _MERGED),
    "textnet": ClassificationCut("textnet", _pixel_mean, classify=_fully_connect),
    "vit": ClassificationCut("vit", _class_token, _ONE),
    "vit_msn": ClassificationCut("vit", _class_token, _ONE),
}
# A family may have a second class, with another head.
_CUTS_BY_CLASS: dict[str, ClassificationCut] = {
    "DeiTForImageClassificationWithTeacher": ClassificationCut(
        "deit", _two_tokens, TokenMaps(special=2), _classify_by_two_tokens
    ),
}


def find_classification_cut(base: PreTrainedModel) -> ClassificationCut | TimmCut | None:
    """Return the cut of an image classifier.

    Returns:
        The cut, or `None` for an unknown family, which has only logits and probabilities. A class of your own also
        gets `None`, even if it is a subclass: it may pool in its own way.
    """
    if type(base) not in _classes(base):
        return None
    if base.config.model_type == "timm_wrapper":
        model: Any = base.get_submodule("timm_model")
        # Distilled models have two classifiers, and some have a convolution.
        return TimmCut() if isinstance(model.get_classifier(), nn.Linear) else None
    return known_cut(type(base), base.config)


def known_cut(kind: type, config: Any) -> ClassificationCut | None:
    """Return the cut of a transformers class before a model of it exists; `None` for classes that wrap timm."""
    if config.model_type == "segformer" and not config.reshape_last_stage:
        return None  # its maps are then tokens
    return _CUTS_BY_CLASS.get(kind.__name__) or _CUTS.get(config.model_type)


def _classes(base: PreTrainedModel) -> tuple[type, ...]:
    """Return the transformers image classifiers whose config is of the base's type: usually one, or none."""
    if type(base.config) not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        return ()
    found: Any = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(base.config)]
    return found if isinstance(found, tuple) else (found,)

"""Tiny random vision models of every family that can be cut: built once a process, a copy to each who asks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    PreTrainedConfig,
    PreTrainedModel,
)

SIDE = 32
"""Of images, where a model takes any size or has this one."""
LABELS = 4

_SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_PATCHES = {**_SIZES, "image_size": SIDE, "patch_size": 8}
_RESIDUAL = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
_WINDOWS = {"image_size": SIDE, "patch_size": 4, "embed_dim": 8, "depths": [2, 1], "window_size": 4}
_TEXT = {**_SIZES, "vocab_size": 40, "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2}

_CLASSIFIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet-basic": ("resnet", {**_RESIDUAL, "layer_type": "basic"}),
    "resnet": ("resnet", {**_RESIDUAL, "layer_type": "bottleneck"}),
    "vit": ("vit", _PATCHES),
    "convnext": ("convnext", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}),
    "mobilenet_v2": ("mobilenet_v2", {"depth_multiplier": 0.25, "min_depth": 4, "output_stride": 8}),
    "swin": ("swin", {**_WINDOWS, "num_heads": [2, 2]}),
    "beit": ("beit", _PATCHES),
    "deit": ("deit", _PATCHES),
    "deit-teacher": ("deit", _PATCHES),
    "beit-class-token": ("beit", {**_PATCHES, "use_mean_pooling": False}),
    "bit": ("bit", {**_RESIDUAL, "num_groups": 4}),
    "clip": ("clip", {"vision_config": _PATCHES, "text_config": _TEXT}),
    "convnextv2": ("convnextv2", {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}),
    "data2vec-vision": ("data2vec-vision", _PATCHES),
    "dinov2": ("dinov2", _PATCHES),
    "dinov2_with_registers": ("dinov2_with_registers", {**_PATCHES, "num_register_tokens": 3}),
    "efficientnet": ("efficientnet", {"width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 320}),
    "focalnet": ("focalnet", {"image_size": SIDE, "embed_dim": 8, "depths": [1, 1]}),
    "ijepa": ("ijepa", _PATCHES),
    "metaclip_2": ("metaclip_2", {"vision_config": _PATCHES, "text_config": _TEXT}),
    "mobilenet_v1": ("mobilenet_v1", {"depth_multiplier": 0.125, "min_depth": 4}),
    "mobilevit": (
        "mobilevit",
        {"hidden_sizes": [8, 12, 16], "neck_hidden_sizes": [4, 8, 8, 12, 12, 16, 20], "num_attention_heads": 2},
    ),
    "mobilevitv2": ("mobilevitv2", {"width_multiplier": 0.1}),
    "poolformer": (
        "poolformer",
        {
            "num_encoder_blocks": 2,
            "hidden_sizes": [8, 16],
            "depths": [1, 1],
            "patch_sizes": [7, 3],
            "strides": [4, 2],
            "padding": [2, 1],
        },
    ),
    "pvt_v2": (
        "pvt_v2",
        {
            "hidden_sizes": [8, 8, 16, 16],
            "depths": [1, 1, 1, 1],
            "num_attention_heads": [1, 2, 2, 2],
            "mlp_ratios": [2, 2, 2, 2],
        },
    ),
    "regnet": ("regnet", {**_RESIDUAL, "groups_width": 8}),
    "segformer": (
        "segformer",
        {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 2]},
    ),
    "siglip": ("siglip", {"vision_config": _PATCHES, "text_config": _TEXT}),
    "swiftformer": ("swiftformer", {"embed_dims": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}),
    "swinv2": ("swinv2", {**_WINDOWS, "num_heads": [2, 2]}),
    "textnet": (
        "textnet",
        {"stem_out_channels": 8, "hidden_sizes": [8, 8, 8, 8, 16]},
    ),
    "vit_msn": ("vit_msn", _PATCHES),
}
CLASSIFIERS = tuple(_CLASSIFIERS)
"""Every family of image classifiers that is cut, in its variants."""
FAMILIES = CLASSIFIERS[:9]
"""Those that the library names."""

_CLIPS: dict[str, dict[str, Any]] = {
    "clip": {"text_config": _TEXT, "vision_config": _PATCHES, "projection_dim": 12},
    "siglip": {"text_config": {**_TEXT, "projection_size": 16}, "vision_config": _PATCHES},
    "align": {
        "text_config": _TEXT,
        "vision_config": {"width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 80},
        "projection_dim": 80,
        "temperature_init_value": 0.2,
    },
    "chinese_clip": {"text_config": _TEXT, "vision_config": _PATCHES, "projection_dim": 12},
}
CLIPS = tuple(_CLIPS)
"""The families of CLIP-like models."""


_DEEP = (
    "align",
    "efficientnet",
    "mobilenet_v1",
    "mobilevit",
    "mobilevitv2",
    "pvt_v2",
    "segformer",
    "swiftformer",
    "textnet",
)


def classifier(family: str) -> PreTrainedModel:
    """An image classifier that a test may change."""
    return copy.deepcopy(_classifier(family))


def clip(family: str) -> PreTrainedModel:
    """A CLIP-like model that a test may change."""
    return copy.deepcopy(_clip(family))


def images(count: int = 3, size: tuple[int, int] = (SIDE, SIDE), seed: int = 1) -> Tensor:
    """Random images, `(count, 3, height, width)`."""
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def texts(count: int = 3) -> dict[str, Tensor]:
    """Random texts with an end token, and a mask that hides the last place of the first one."""
    ids = torch.randint(3, 40, (count, 6), generator=torch.Generator().manual_seed(2))
    ids[:, 4:] = 2
    mask = torch.ones_like(ids)
    mask[0, 5] = 0
    return {"input_ids": ids, "attention_mask": mask}


def side(family: str) -> int:
    """Of the images with which the maps of a family have more than one place."""
    return 2 * SIDE if family in _DEEP else SIDE


@cache
def _classifier(family: str) -> PreTrainedModel:
    model_type, settings = _CLASSIFIERS[family]
    config = AutoConfig.for_model(model_type, num_labels=LABELS, **settings)
    # With two classes of one config the Auto class asks for the name of one.
    model_class = {
        "deit": DeiTForImageClassification,
        "deit-teacher": DeiTForImageClassificationWithTeacher,
    }.get(family, AutoModelForImageClassification)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _create(model_class, config)
        _randomise(model)
        _calibrate(model, lambda: model(images(8, (side(family),) * 2)))
    return model.eval()


@cache
def _clip(family: str) -> PreTrainedModel:
    config = AutoConfig.for_model(family, **_CLIPS[family])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = _create(AutoModel, config)
        _randomise(model)
        _calibrate(model, lambda: model.get_image_features(images(8, (side(family),) * 2)))
    return model.eval()


def _create(model_class: Any, config: PreTrainedConfig) -> PreTrainedModel:
    model: PreTrainedModel = getattr(model_class, "from_config", model_class)(config)
    return model


@torch.no_grad()
def _randomise(model: PreTrainedModel) -> None:
    """Weights with which every layer says something: as they are initialised, some scale what they see by 1e-6."""
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.normal_(std=parameter[0].numel() ** -0.5)
        elif parameter.dim() == 1:
            parameter.add_(torch.randn_like(parameter), alpha=0.2)


@torch.no_grad()
def _calibrate(model: PreTrainedModel, run: Callable[[], object]) -> None:
    """Batch norms that have seen images, as those of a trained model have; other models are left as they are."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    run()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def symmetrise(model: PreTrainedModel) -> PreTrainedModel:
    """Weights with which every layer treats all directions alike, so that maps move exactly as images do."""
    for name, parameter in model.named_parameters():
        if "position" in name:
            parameter.zero_()
        elif parameter.dim() == 4 and parameter.shape[-2] == parameter.shape[-1]:
            mirrored = (parameter, parameter.flip(-1))
            members = [torch.rot90(kernel, turns, (-2, -1)) for kernel in mirrored for turns in range(4)]
            parameter.copy_(torch.stack(members).mean(0))
        elif "downsample" in name and model.config.model_type in ("swin", "swinv2"):
            parts = parameter.unflatten(-1, (4, -1))  # of the four neighbours that are merged
            parameter.copy_(parts.mean(-2, keepdim=True).expand_as(parts).flatten(-2))
    return model

"""Tiny random models with an output for each pixel: every family that is named, and some that nobody named."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForDepthEstimation,
    AutoModelForPoseEstimation,
    AutoModelForSemanticSegmentation,
    PreTrainedModel,
)

import hf_equi
from hf_equi import ImageGroup

SIDE = 32
"""Of images, where a model takes any size or has this one."""
CLASSES = 5
SQUARE = ImageGroup.dihedral(4)
TURNS = ImageGroup.rotations(4)

_LAYERS = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 24}
_PATCHES = {**_LAYERS, "image_size": SIDE, "patch_size": 8}
_STAGES = {"out_indices": [1, 2, 3, 4]}
_PYRAMID = {
    "depths": [1] * 4,
    "hidden_sizes": [8] * 4,
    "num_attention_heads": [1] * 4,
    "decoder_hidden_size": 8,
    "sr_ratios": [2, 1, 1, 1],
}
_MOBILE = {"hidden_sizes": [8, 12, 16], "neck_hidden_sizes": [4, 8, 8, 12, 12, 16, 20], "num_attention_heads": 2}
_SWIN = {"image_size": SIDE, "patch_size": 2, "embed_dim": 8, "depths": [1] * 4, "num_heads": [1] * 4}
_NECK = {"neck_hidden_sizes": [8] * 4, "fusion_hidden_size": 8, "reassemble_factors": [4, 2, 1, 0.5]}
_DINO = {"model_type": "dinov2", **_PATCHES, **_STAGES, "reshape_hidden_states": False, "apply_layernorm": True}
_BEIT = {"model_type": "beit", **_PATCHES, **_STAGES, "reshape_hidden_states": False, "add_fpn": False}
_DPT = {**_PATCHES, **_NECK, "backbone_out_indices": [0, 1, 2, 3], "readout_type": "ignore"}
_ANYTHING = {"patch_size": 8, **_NECK, "head_hidden_size": 8, "reassemble_hidden_size": 16}
_POSE = {"model_type": "vitpose_backbone", **_LAYERS, "patch_size": [8, 8], "out_indices": [4]}
_HEAD = {"upsample_out_channels": [8, 8], "conv_out_channels": [8]}
_SAPIENS = {**_PATCHES, "num_register_tokens": 2, "num_key_value_attention_heads": 2, "head_config": _HEAD}

_KINDS = {
    "segmentation": AutoModelForSemanticSegmentation,
    "depth": AutoModelForDepthEstimation,
    "key_points": AutoModelForPoseEstimation,
}
BASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "segformer": ("segmentation", "segformer", _PYRAMID),
    "upernet": (
        "segmentation",
        "upernet",
        {
            "backbone_config": {"model_type": "swin", **_SWIN, "out_features": [f"stage{n}" for n in (1, 2, 3, 4)]},
            "hidden_size": 8,
            "auxiliary_channels": 8,
            "auxiliary_in_channels": 32,
            "pool_scales": [1, 2],
        },
    ),
    "beit": ("segmentation", "beit", {**_PATCHES, **_STAGES, "pool_scales": [1, 2], "use_auxiliary_head": False}),
    "dpt": ("segmentation", "dpt", _DPT),
    "mobilevit": ("segmentation", "mobilevit", {**_MOBILE, "aspp_out_channels": 8, "output_stride": 16}),
    "mobilenet_v2": ("segmentation", "mobilenet_v2", {"depth_multiplier": 0.25, "min_depth": 4, "output_stride": 8}),
    "data2vec": (
        "segmentation",
        "data2vec-vision",
        {**_PATCHES, "out_indices": [2, 3, 4, 5], "pool_scales": [1, 2], "use_auxiliary_head": False},
    ),
    "dpt-depth": ("depth", "dpt", _DPT),
    "depth_anything": ("depth", "depth_anything", {"backbone_config": _DINO, **_ANYTHING}),
    "zoedepth": (
        "depth",
        "zoedepth",
        {
            "backbone_config": _BEIT,
            **_NECK,
            "bottleneck_features": 8,
            "num_relative_features": 8,
            "bin_embedding_dim": 8,
            "num_patch_transformer_layers": 4,
            "patch_transformer_hidden_size": 128,
            "patch_transformer_intermediate_size": 16,
            "patch_transformer_num_attention_heads": 2,
            "bin_configurations": [
                {"n_bins": 4, "min_depth": 0.1, "max_depth": 10.0, "name": "near"},
                {"n_bins": 4, "min_depth": 0.1, "max_depth": 80.0, "name": "far"},
            ],
        },
    ),
    "glpn": ("depth", "glpn", _PYRAMID),
    "prompt_depth": ("depth", "prompt_depth_anything", {"backbone_config": _DINO, **_ANYTHING}),
    "vitpose": (
        "key_points",
        "vitpose",
        {"backbone_config": {**_POSE, "image_size": [SIDE, SIDE]}, "scale_factor": 2},
    ),
    "sapiens": ("key_points", "sapiens2", _SAPIENS),
}
"""The kind, the model type and the sizes of each."""


GAINS = {"mobilevit": 2.0, "mobilenet_v2": 1.5, "depth_anything": 1.2, "prompt_depth": 1.2, "dpt-depth": 1.2}
"""How large weights are, where the usual size makes huge or tiny outputs."""


@cache
def _first(family: str) -> PreTrainedModel:
    kind, model_type, sizes = BASES[family]
    classes = {} if kind == "depth" else {"id2label": {n: f"class {n}" for n in range(CLASSES)}}
    if kind == "key_points":
        classes = {"id2label": dict(enumerate(["nose", "L_Eye", "R_Eye", "left_ear", "right_ear"]))}
    torch.manual_seed(0)
    model: PreTrainedModel = _KINDS[kind].from_config(AutoConfig.for_model(model_type, **sizes, **classes))
    with torch.no_grad():  # as they are initialised, small models say the same of every pixel
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(std=(0.5 if "position" in name else GAINS.get(family, 1.0) / weight[0].numel() ** 0.5))
        norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        if norms:
            model.train()(pictures(4))
    return model.eval()


def dense(family: str) -> Any:
    """A base of one's own."""
    return copy.deepcopy(_first(family))


def portrait_pose() -> Any:
    """A VitPose for images that are not square, as all published ones are."""
    config = copy.deepcopy(_first("vitpose").config)
    config.backbone_config.image_size = [SIDE, SIDE * 3 // 4]
    return AutoModelForPoseEstimation.from_config(config).eval()


def pictures(count: int = 2, size: tuple[int, int] = (SIDE, SIDE)) -> Tensor:
    """Images without any symmetry."""
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


def wrap(base: Any, group: Any = SQUARE, method: str = "equitune", **settings: Any) -> Any:
    """A symmetrised model that evaluates, of a base or a family, with networks that weigh members unequally."""
    if method in ("lambda", "canonical_lambda"):
        settings = {"lambda_units": 5, **settings}
    if method == "canonical_lambda":
        settings = {"theta": sorted({0, 1, group.order // 2 + 1} & set(range(group.order))), **settings}
    model = hf_equi.symmetrize(dense(base) if isinstance(base, str) else base, group, method, **settings)
    generator = torch.Generator().manual_seed(3)
    for network in (getattr(model, name, None) for name in ("lambda_network", "select_network")):
        for weight in network.parameters() if network is not None else ():
            weight.data.copy_(0.4 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
    return model.eval()

"""Tiny random models that segment by prompts, of every family: built once a process, a copy to each who asks."""

from __future__ import annotations

import copy
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    EdgeTamConfig,
    EdgeTamModel,
    PreTrainedConfig,
    PreTrainedModel,
    Sam2Config,
    Sam2Model,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    SamConfig,
    SamHQConfig,
    SamHQModel,
    SamImageProcessorPil,
    SamModel,
    SamProcessor,
)
from wrapped_vision import with_opinions

import hf_equi
from hf_equi import ImageGroup
from hf_equi.actions import Action, ImageBoxAction, ImagePointAction, PixelAction

SIDE = 64
"""The height and width of images."""
FAMILIES = ("sam", "sam_hq", "sam2", "sam3_tracker", "edgetam")

_LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
# A ReLU has a kink, which finite differences would meet.
_DECODER = {**_LAYERS, "num_hidden_layers": 1, "mlp_dim": 24, "iou_head_hidden_dim": 16, "hidden_act": "gelu"}
_FIRST = {
    **_LAYERS,
    "image_size": SIDE,
    "patch_size": 8,
    "output_channels": 16,
    "mlp_dim": 24,
    "window_size": 4,
    "global_attn_indexes": [1],
    "num_pos_feats": 8,
}
_HIERA = {
    "model_type": "sam2_hiera_det_model",
    "hidden_size": 8,
    "num_attention_heads": 1,
    "image_size": [SIDE, SIDE],
    "blocks_per_stage": [1, 1, 2, 1],
    "embed_dim_per_stage": [8, 16, 24, 32],
    "num_attention_heads_per_stage": [1, 1, 2, 2],
    "window_size_per_stage": [4, 2, 2, 2],
    "window_positional_embedding_background_size": [4, 4],
    "global_attention_blocks": [3],
}
_VIT = {
    "model_type": "sam3_vit_model",
    **_LAYERS,
    "intermediate_size": 24,
    "image_size": SIDE,
    "pretrain_image_size": SIDE,
    "patch_size": 8,
    "window_size": 4,
    "global_attn_indexes": [1],
}


def _prompts(patch_size: int) -> dict[str, Any]:
    return {"hidden_size": 16, "image_size": SIDE, "patch_size": patch_size, "mask_input_channels": 8}


class _BackboneConfig(PreTrainedConfig):
    """Stands in for the backbone of EdgeTAM, which is one of timm."""

    model_type = "small_backbone"


class _Backbone(PreTrainedModel):
    config_class = _BackboneConfig

    def __init__(self, config: _BackboneConfig) -> None:
        super().__init__(config)
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.stages = nn.ModuleList(nn.Conv2d(size, 2 * size, 2, 2) for size in (8, 16, 32))
        self.post_init()

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> Any:
        maps = [self.stem(pixel_values)]
        for stage in self.stages:
            maps.append(stage(maps[-1].tanh()))
        return SimpleNamespace(last_hidden_state=maps, hidden_states=None)


AutoConfig.register(_BackboneConfig.model_type, _BackboneConfig, exist_ok=True)
AutoModel.register(_BackboneConfig, _Backbone, exist_ok=True)


def _config(family: str) -> tuple[type[PreTrainedModel], PreTrainedConfig]:
    sizes = {"fpn_hidden_size": 16, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]}
    if family in ("sam", "sam_hq"):
        kind, config, own = (
            (SamModel, SamConfig, {}) if family == "sam" else (SamHQModel, SamHQConfig, {"vit_dim": 16})
        )
        return kind, config(
            vision_config=_FIRST, prompt_encoder_config=_prompts(8), mask_decoder_config={**_DECODER, **own}
        )
    if family == "sam3_tracker":
        sizes = {"fpn_hidden_size": 16, "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]]}
        vision = {"model_type": "sam3_vision_model", "backbone_config": _VIT, "scale_factors": [4.0, 2.0, 1.0]}
        prompts = _prompts(8)
        return Sam3TrackerModel, Sam3TrackerConfig(
            vision_config={**vision, **sizes}, prompt_encoder_config=prompts, mask_decoder_config=_DECODER
        )
    if family == "sam2":
        vision = {
            "model_type": "sam2_vision_model",
            "backbone_config": _HIERA,
            "backbone_channel_list": [32, 24, 16, 8],
        }
        return Sam2Model, Sam2Config(
            vision_config={**vision, **sizes}, prompt_encoder_config=_prompts(16), mask_decoder_config=_DECODER
        )
    vision = {
        "model_type": "edgetam_vision_model",
        "backbone_config": _BackboneConfig(),
        "backbone_channel_list": [64, 32, 16, 8],
    }
    return EdgeTamModel, EdgeTamConfig(
        vision_config={**vision, **sizes}, prompt_encoder_config=_prompts(16), mask_decoder_config=_DECODER
    )


@cache
def _made(family: str) -> PreTrainedModel:
    kind, config = _config(family)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = kind(config).eval()
        for parameter in model.parameters():  # as models are initialised, they hardly look at the image
            if parameter.dim() > 1:
                parameter.data.normal_(std=0.2)
            else:
                parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model


def base(family: str = "sam") -> PreTrainedModel:
    """A base of a family."""
    return copy.deepcopy(_made(family))


def images(batch: int = 2) -> Tensor:
    """Images without symmetry."""
    return torch.randn(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def prompts(batch: int = 2, kind: str = "points") -> dict[str, Tensor]:
    """Three objects for each image, by points, some of them padding, by boxes, by a mask, or by all of them."""
    generator = torch.Generator().manual_seed(2)
    # Quarters of pixels, which half precision moves without rounding.
    points = (4 * (SIDE - 1) * torch.rand(batch, 3, 2, 2, generator=generator)).round() / 4
    labels = torch.tensor([[1, 0], [1, -10], [-1, 1]]).expand(batch, -1, -1).contiguous()
    points[labels == -10] = -10.0
    corners = (4 * (SIDE - 1) * torch.rand(batch, 3, 2, 2, generator=generator)).round() / 4
    boxes = torch.cat([corners.amin(-2), corners.amax(-2)], -1)
    masks = torch.randn(batch, 1, SIDE // 2, SIDE // 2, generator=generator)
    found = {"input_points": points, "input_labels": labels, "input_boxes": boxes, "input_masks": masks}
    names = {
        "points": ("input_points", "input_labels"),
        "boxes": ("input_boxes",),
        "masks": ("input_masks",),
        "none": (),
        "mixed": tuple(found),
    }
    return {name: found[name] for name in names[kind]}


def wrap(family: str | PreTrainedModel, group: ImageGroup, method: str = "equitune", **settings: Any) -> Any:
    """A symmetrised model, of a family or a base."""
    made = base(family) if isinstance(family, str) else family
    settings = {"lambda_units": 5, **settings} if method == "lambda" else settings
    return with_opinions(hf_equi.symmetrize(made, group, method, **settings))


def actions(group: ImageGroup) -> dict[str, Action]:
    """How prompts move, by name."""
    size = (SIDE - 1, SIDE - 1)
    return {
        "input_points": ImagePointAction(group, size),
        "input_boxes": ImageBoxAction(group, size),
        "input_masks": PixelAction(group),
    }


def processor() -> SamProcessor:
    """What prepares pictures and prompts for the first two families."""
    sizes = {"size": {"longest_edge": SIDE}, "pad_size": {"height": SIDE, "width": SIDE}}
    masks = {"mask_size": {"longest_edge": SIDE // 2}, "mask_pad_size": {"height": SIDE // 2, "width": SIDE // 2}}
    return SamProcessor(SamImageProcessorPil(**sizes, **masks))

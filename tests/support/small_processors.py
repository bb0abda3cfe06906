"""Processors that need neither a network nor torchvision, and models that read what they make."""

from __future__ import annotations

from functools import cache
from typing import Any

from PIL import Image
from small_models import tokenizer
from small_vision import SIDE
from transformers import (
    AlignProcessor,
    AutoConfig,
    AutoModel,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPProcessor,
    CLIPImageProcessorPil,
    CLIPProcessor,
    EfficientNetImageProcessorPil,
    PreTrainedModel,
    SiglipImageProcessorPil,
    SiglipProcessor,
    ViTImageProcessorPil,
)

_LAYERS = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
_CONVOLUTIONS = {"width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 80}
_PROJECTIONS: dict[str, dict[str, int]] = {
    "clip": {"projection_dim": 12},
    "siglip": {},
    "align": {"projection_dim": 80},
    "chinese_clip": {"projection_dim": 12},
}
_SQUARE = {"height": SIDE, "width": SIDE}


def image_processor() -> Any:
    """For image classifiers."""
    return ViTImageProcessorPil(size=_SQUARE)


_CROPPED = {"size": {"shortest_edge": SIDE}, "crop_size": _SQUARE}
_PROCESSORS: dict[str, tuple[type, type, dict[str, Any]]] = {
    "clip": (CLIPProcessor, CLIPImageProcessorPil, _CROPPED),
    "siglip": (SiglipProcessor, SiglipImageProcessorPil, {"size": _SQUARE}),
    "align": (AlignProcessor, EfficientNetImageProcessorPil, {"size": _SQUARE}),
    "chinese_clip": (ChineseCLIPProcessor, ChineseCLIPImageProcessorPil, _CROPPED),
}


@cache
def clip_processor(family: str) -> Any:
    """For one of `small_vision.CLIPS`: the tokenizer of the tests, and PIL alone."""
    kind, images, sizes = _PROCESSORS[family]
    return kind(image_processor=images(**sizes), tokenizer=tokenizer())


def reading_clip(family: str) -> PreTrainedModel:
    """A model of one of `small_vision.CLIPS` that reads texts of 64 tokens of that tokenizer."""
    words = {"vocab_size": len(tokenizer()), "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0}
    config = AutoConfig.for_model(
        family,
        text_config={**_LAYERS, **words, **({"projection_size": 16} if family == "siglip" else {})},
        vision_config=_CONVOLUTIONS if family == "align" else {**_LAYERS, "image_size": SIDE, "patch_size": 8},
        **_PROJECTIONS[family],
    )
    model: PreTrainedModel = AutoModel.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.3)
    return model.eval()


def picture() -> Image.Image:
    """An image that no turn and no mirror leaves as it is."""
    image = Image.new("RGB", (SIDE, SIDE), (10, 120, 200))
    image.paste((250, 30, 60), (3, 5, 20, 14))
    image.paste((20, 240, 90), (16, 18, 30, 22))
    return image

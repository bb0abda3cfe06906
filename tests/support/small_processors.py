"""Processors that need neither a network nor torchvision, and models that read what they make."""

from __future__ import annotations

from functools import cache
from typing import Any

from PIL import Image
from small_models import tokenizer
from small_vision import SIDE
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPImageProcessorPil,
    CLIPProcessor,
    PreTrainedModel,
    SiglipImageProcessorPil,
    SiglipProcessor,
    ViTImageProcessorPil,
)

_LAYERS = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
_SQUARE = {"height": SIDE, "width": SIDE}


def image_processor() -> Any:
    """For image classifiers."""
    return ViTImageProcessorPil(size=_SQUARE)


@cache
def clip_processor(family: str) -> Any:
    """For `"clip"` or `"siglip"`: the tokenizer of the tests, and PIL alone."""
    if family == "siglip":
        return SiglipProcessor(image_processor=SiglipImageProcessorPil(size=_SQUARE), tokenizer=tokenizer())
    images = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=_SQUARE)
    return CLIPProcessor(image_processor=images, tokenizer=tokenizer())


def reading_clip(family: str) -> PreTrainedModel:
    """A model that reads texts of 64 tokens of that tokenizer."""
    words = {"vocab_size": len(tokenizer()), "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0}
    config = AutoConfig.for_model(
        family,
        text_config={**_LAYERS, **words, **({"projection_size": 16} if family == "siglip" else {})},
        vision_config={**_LAYERS, "image_size": SIDE, "patch_size": 8},
        **({"projection_dim": 12} if family == "clip" else {}),
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

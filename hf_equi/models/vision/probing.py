"""What can be learnt about a model without running it."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from transformers import PreTrainedModel

from hf_equi.models.vision.cuts import Cut

__all__ = ["feature_size", "image_shape"]


def image_shape(config: Any) -> tuple[int, int, int]:
    """Return channels, height and width of the images that a model reads; 3 and 224 if its config does not say.

    A config that does not say it itself may have one of a backbone that does.

    Example:
        >>> from transformers import ResNetConfig, ViTConfig
        >>> image_shape(ViTConfig(image_size=32)), image_shape(ResNetConfig(num_channels=1))
        ((3, 32, 32), (1, 224, 224))
    """
    config = getattr(config, "tracker_config", None) or config  # of a video model, around that for images
    vision = getattr(config, "vision_config", config)
    prompts = getattr(config, "prompt_encoder_config", None)  # a SAM names the size where it reads prompts
    parts = (prompts, vision, getattr(vision, "backbone_config", None))
    size, channels = (
        next((found for part in parts if (found := getattr(part, name, None))), usual)
        for name, usual in (("image_size", 224), ("num_channels", 3))
    )
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    return channels, height, width


def feature_size(cut: Cut, base: PreTrainedModel) -> int:
    """Return how many features a cut gives, from shapes alone: nothing is computed and no weight is read.

    It runs an empty copy of the base, made from its config, so hooks that others have put on the base do not fire. The
    base itself is called, with empty weights, only if its config does not describe it.

    Cost: the overhead of making a model and of one forward, without their arithmetic.
    """
    empty = _empty_copy(base)
    if empty is None:
        return _size_by_given_base(cut, base)
    with torch.no_grad(), torch.device("meta"):
        return cut.features(empty, torch.empty(1, *image_shape(base.config), dtype=empty.dtype)).shape[-1]


def _empty_copy(base: PreTrainedModel) -> PreTrainedModel | None:
    """Return a model of the same class and config, without values; `None` if no such model has the same weights."""
    try:
        with torch.device("meta"):
            empty = type(base)(copy.deepcopy(base.config)).eval()
    except Exception:  # from a foreign class, which may fail in any way if it needs more than a config
        return None
    return empty if _shapes(empty) == _shapes(base) else None


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in model.named_parameters()}


def _size_by_given_base(cut: Cut, base: PreTrainedModel) -> int:
    """Return the size that the base itself gives with empty weights."""
    tensors = chain(base.named_parameters(), base.named_buffers())
    shapes = {f"base.{name}": torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    image = torch.empty(1, *image_shape(base.config), device="meta", dtype=base.dtype)
    mode = base.training
    base.eval()  # normalisation over a batch of one fails in training mode
    try:
        with torch.no_grad(), torch.device("meta"):
            features: torch.Tensor = functional_call(_Features(cut, base), shapes, (image,))
    finally:
        base.train(mode)
    return features.shape[-1]


class _Features(nn.Module):
    """The cut of a base as a module whose tensors can be replaced for one call."""

    def __init__(self, cut: Cut, base: PreTrainedModel) -> None:
        super().__init__()
        self.cut = cut
        self.base = base

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.cut.features(self.base, images)

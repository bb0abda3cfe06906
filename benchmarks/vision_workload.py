"""The models and images of the vision benchmarks: random weights in the shapes of known models, random images."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    set_seed,
)

import hf_equi
from hf_equi import ImageGroup

__all__ = ["MODELS", "VisionWorkload"]

MODELS = ("vit", "resnet")
FOUR, EIGHT = ImageGroup.rotations(4), ImageGroup.dihedral(4)


@dataclass(frozen=True)
class VisionWorkload:
    """One model and a batch of images.

    Args:
        model: `"vit"`, a CLIP with the image tower of ViT-B/32, or `"resnet"`, a classifier of the shape of RN50.
        seed: The seed of weights and images.
        batch: The number of images that are timed.
        side: Their height and width.
        small: Whether to make a tiny model, for smoke runs.
        large_batch: The number of images of the claim about memory.
    """

    model: str
    seed: int = 0
    batch: int = 4
    side: int = 224
    small: bool = False
    large_batch: int = 32

    @classmethod
    def of_arguments(cls, model: str, arguments: argparse.Namespace) -> VisionWorkload:
        """Make the workload of a command line."""
        return cls(model, arguments.seed, 2, 64, True, 2) if arguments.smoke else cls(model, arguments.seed)

    @cached_property
    def base(self) -> PreTrainedModel:
        """The plain model."""
        set_seed(self.seed)
        return (self._clip() if self.model == "vit" else self._resnet()).eval()

    def _clip(self) -> PreTrainedModel:
        width = 32 if self.small else 768
        vision = {
            "image_size": self.side,
            "patch_size": 32,
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": 1 if self.small else 12,
            "num_attention_heads": width // (16 if self.small else 64),
        }
        text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        return CLIPModel(CLIPConfig(vision_config=vision, text_config=text))

    def _resnet(self) -> PreTrainedModel:
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]} if self.small else {}
        return ResNetForImageClassification(ResNetConfig(**sizes, num_labels=1000))

    def images(self, count: int) -> torch.Tensor:
        """Return random images."""
        return torch.randn(count, 3, self.side, self.side, generator=torch.Generator().manual_seed(self.seed))

    @cached_property
    def texts(self) -> dict[str, Any]:
        """Ten texts, which a CLIP reads with the images. A classifier reads none."""
        if self.model != "vit":
            return {}
        ids = torch.randint(1, 1000, (10, 8), generator=torch.Generator().manual_seed(self.seed))
        ids[:, -1] = 49407
        return {"input_ids": ids}

    def symmetrize(self, method: str, group: ImageGroup = FOUR, **settings: Any) -> PreTrainedModel:
        """Make the base equivariant. All models share its weights."""
        model: PreTrainedModel = hf_equi.symmetrize(self.base, group, method, **settings)
        return model.eval()

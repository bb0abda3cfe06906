"""Symmetrised models of images for tests: small, with networks that weigh members unequally."""

from __future__ import annotations

from typing import Any

import torch
from small_vision import classifier, clip, images
from transformers import PreTrainedModel

import hf_equi
from hf_equi import ImageGroup

SQUARE = ImageGroup.dihedral(4)
TURNS = ImageGroup.rotations(4)
LEVELS = ("features", "logits", "probabilities", "spatial")
METHODS: dict[str, dict[str, Any]] = {
    "equitune": {"method": "equitune"},
    "max_probability": {"method": "equizero", "loss": "max_probability"},
    "entropy": {"method": "equizero", "loss": "entropy"},
    "published_least_confident": {"method": "equizero", "loss": "published_least_confident"},
    "lambda": {"method": "lambda", "lambda_units": 5},
    "attention": {"method": "attention", "lambda_units": 5},
}
"""Of classifiers, those of equizero by their loss."""
CLIP_METHODS = {
    name: METHODS.get(name, {"method": "equizero"}) for name in ("equitune", "similarity", "lambda", "attention")
}
"""Of CLIP-like models."""


def settings_of(method: str, group: ImageGroup) -> dict[str, Any]:
    """Small sizes for a method with weights, and a Θ for the one that needs it. That Θ is not a subgroup."""
    some = {0, 1, group.order // 2 + 1} & set(range(group.order))
    theta = {"theta": sorted(some)} if method == "canonical_lambda" else {}
    return theta | ({"lambda_units": 5} if method in ("lambda", "attention", "canonical_lambda") else {})


def wrap(base: PreTrainedModel | str, group: ImageGroup = SQUARE, method: str = "equitune", **settings: Any) -> Any:
    """A symmetrised classifier, of a base or a family."""
    model = hf_equi.symmetrize(classifier(base) if isinstance(base, str) else base, group, method, **settings)
    return with_opinions(model)


def wrap_clip(
    base: PreTrainedModel | str, group: ImageGroup = TURNS, method: str = "equitune", **settings: Any
) -> Any:
    """A symmetrised CLIP-like model, of a base or a family."""
    model = hf_equi.symmetrize(clip(base) if isinstance(base, str) else base, group, method, **settings)
    return with_opinions(model)


def ragged(size: int = 32) -> torch.Tensor:
    """An image without symmetry, one that is the same everywhere, and one that a left-right mirror leaves as it is."""
    image = images(1, (size, size))[0]
    return torch.stack([image, image.mean((-2, -1), keepdim=True).expand_as(image), image + image.flip(-1)])


@torch.no_grad()
def with_opinions(model: Any) -> Any:
    """As networks are initialised, all members weigh about the same, and score about the same."""
    generator = torch.Generator().manual_seed(3)
    for network in (getattr(model, name, None) for name in ("lambda_network", "select_network")):
        for parameter in network.parameters() if network is not None else ():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model.eval()

"""The inputs on which models of images are measured: random images."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.models.cards.measuring import Probe
from hf_equi.models.cards.random_inputs import seeded
from hf_equi.models.vision.probing import image_shape

__all__ = ["image_probe"]

IMAGES = 2


def image_probe(model: Any, text_ids: torch.Tensor | None = None) -> Probe:
    """Return random images of the size that the base's config gives, and what to measure of the model's output.

    Args:
        model: The model.
        text_ids: `(texts, length)` for a model that compares images with texts.
    """
    weight = next(weight for weight in model.base.parameters() if weight.is_floating_point())
    shape = image_shape(model.config.base_config)
    pixels = torch.randn(IMAGES, *shape, generator=seeded()).to(weight.device, weight.dtype)
    texts = {} if text_ids is None else {"input_ids": text_ids.to(weight.device)}
    link = model._head(None).link if texts else model._head().link

    def run(model: Any, images: torch.Tensor) -> torch.Tensor:
        out = model(pixel_values=images, **texts)
        scores: torch.Tensor = link.log_probabilities((out.logits_per_image if texts else out.logits).float())
        return scores

    size = "×".join(map(str, shape[1:]))
    beside = f", compared with {len(texts['input_ids'])} random texts" if texts else ""
    return Probe(
        pixels,
        model.action,
        None,
        run,
        f"{IMAGES} images of {size} random pixels{beside}",
        "log-probabilities",
        exact=not model.action.resamples,
    )

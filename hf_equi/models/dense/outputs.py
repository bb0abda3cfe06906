"""What a model with an output for each pixel returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput

__all__ = ["EquiDensePredictionOutput"]


@dataclass
class EquiDensePredictionOutput(ModelOutput):
    """The output of `EquiForDensePrediction`. Its maps are as large as the base's, often smaller than the image.

    Args:
        loss: `()`, with `labels`: the base's loss of the combined output. With `task_weight=0` the loss of the
            canonicalizer: always in training, and in evaluation without labels.
        logits: `(batch, classes, height, width)`, from a model that segments; log-probabilities at the level of
            probabilities.
        predicted_depth: `(batch, height, width)`, from a model that estimates depth.
        heatmaps: `(batch, key points, height, width)`, from a model that finds key points.
        domain_logits: `(batch, domains)`, if the base scores kinds of places, as ZoeDepth does.
        field_of_view: `(batch,)`, if the base estimates it, as DepthPro does.
        chosen_element: The element that equizero took: `(batch, height, width)` for each pixel, `(batch, key points)`
            for each key point, or `(batch,)` for each image.
        margin: How much lower its loss was than that of the next member, in the same shape; for a canonicalizer,
            `(batch,)`, how much higher its best score was than the next one.
        group_weights: `(batch, group)` the weights of λ-equitune, which add up to 1; those of canonical-λ-equitune in
            the order of Θ.
        prior_loss: `()` the cross-entropy of a canonicalizer's scores to the identity, or for a continuous group the
            squared distance of its element to the identity, without its weight.
        canonical_element: `(batch,)` the element h(x) that takes the canonical image, which the base reads, to the
            given one; for a continuous group its matrix, `(batch, 2, 2)`.
        identity_share: `()` the share of images for which it is the identity; `None` for a continuous group.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    predicted_depth: torch.Tensor | None = None
    heatmaps: torch.Tensor | None = None
    domain_logits: torch.Tensor | None = None
    field_of_view: torch.Tensor | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None
    prior_loss: torch.Tensor | None = None
    canonical_element: torch.Tensor | None = None
    identity_share: torch.Tensor | None = None

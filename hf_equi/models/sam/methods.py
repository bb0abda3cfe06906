"""The methods for SAM and its kin, by name."""

from __future__ import annotations

from typing import Any

from hf_equi.registration import create_method
from hf_equi.symmetrizers import EqualWeights, Equizero, FeatureWeights, MaxSimilarity, Method

__all__ = ["TASK", "PredictedIoU", "create", "equizero"]

TASK = "sam"


class PredictedIoU(MaxSimilarity):
    r"""Minus the largest overlap (intersection over union) that the model predicts for the masks of a prompt.

    $$ l = -\max_m \text{IoU}_m $$

    It is read as the model says it, without a softmax.

    Example:
        >>> import torch
        >>> PredictedIoU().of_steps(torch.tensor([[0.3, 0.9, 0.5]]))
        tensor([-0.9000])
    """

    name = "predicted_iou"


def equizero() -> Method:
    """Return equizero by the predicted overlap."""
    return Equizero(PredictedIoU())


def create(name: str, **canonical: Any) -> Method:
    """Return the method of that name.

    Args:
        name: The name.
        **canonical: The settings of methods with a canonicalizer, as in `EquiPixelConfig.canonical_settings`.

    Raises:
        ConfigurationError: If there is no such method, or a setting is not one of its settings.
    """
    method: Method = create_method(TASK, name, **canonical)
    method.check_parts((EqualWeights, FeatureWeights), chooses=True, what="models that segment by prompts")
    return method

"""Losses computed outside a model, from its logits alone: they are refused if the model's own loss differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hf_equi.errors import ConfigurationError

__all__ = ["check_outside_loss", "refuse_outside_loss"]


def check_outside_loss(labels: Any, items: Any, reasons: Mapping[str, bool]) -> None:
    """Refuse a loss of the logits alone if the model's own loss is another one, for the given reasons.

    For `label_smoothing_factor` and `compute_loss_func` the `Trainer` does not pass the labels on. It still counts
    them: the model is told how many there are, but does not get them.

    Args:
        labels: The labels that the model was given.
        items: The `num_items_in_batch` that it was given.
        reasons: Reasons why its loss is not a function of its logits, each with whether it holds.

    Raises:
        ConfigurationError: For a count without labels, if there is a reason.

    Example:
        >>> check_outside_loss(None, 3, {"the labels are read": False})
        >>> check_outside_loss(None, 3, {"the labels are read": True})
        Traceback (most recent call last):
            ...
        hf_equi.errors.ConfigurationError: ...
    """
    found = [reason for reason, holds in reasons.items() if holds]
    if labels is None and items is not None and found:
        refuse_outside_loss(found[0])


# If a traced model raised an error here, it would be run untraced instead, and the error would be lost.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def refuse_outside_loss(reason: str) -> None:
    """Say why a loss cannot be computed outside the model.

    Raises:
        ConfigurationError: Always.
    """
    raise ConfigurationError(
        "No labels have reached the model: with label_smoothing_factor= and compute_loss_func= the Trainer does not "
        f"pass them on. A loss of the logits alone would not be this model's, because {reason}. Leave those arguments "
        "out."
    )

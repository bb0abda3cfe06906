"""A loss that is computed outside of a model, of its logits alone: where that would be another loss, it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hf_equi.errors import ConfigurationError

__all__ = ["check_outside_loss", "refuse_outside_loss"]


def check_outside_loss(labels: Any, items: Any, reasons: Mapping[str, bool]) -> None:
    """Refuse a loss of the logits alone from a model whose loss is another, for which there are reasons.

    The `Trainer` keeps labels to itself for `label_smoothing_factor` and for `compute_loss_func`. It counts them all
    the same: a model is told how many there are, and gets none.

    Args:
        labels: What the model was given.
        items: The `num_items_in_batch` that it was given.
        reasons: Why its loss is not a function of its logits, and whether that is so.

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


# An error while a model is traced would be one more reason to run it untraced, and lost.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def refuse_outside_loss(reason: str) -> None:
    """Say why a loss cannot be computed outside of a model.

    Raises:
        ConfigurationError: Always.
    """
    raise ConfigurationError(
        "No labels have reached the model: the Trainer keeps them to itself for label_smoothing_factor= and for "
        f"compute_loss_func=. A loss of the logits alone would not be this model's, because {reason}. Leave those "
        "arguments out."
    )

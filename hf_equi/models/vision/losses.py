"""The loss for labels, in its correct form and as in the authors' code."""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["labelled_loss"]


def labelled_loss(loss: Callable[[torch.Tensor], torch.Tensor], logits: torch.Tensor, objective: str) -> torch.Tensor:
    r"""Return the loss of logits `(B, C)`.

    $$ -\log \text{softmax}(z)_y \qquad\text{or}\qquad -\log \text{softmax}(\text{softmax}(z))_y $$

    Args:
        loss: A loss of logits.
        logits: The logits.
        objective: `"cross_entropy"`, or `"published_double_softmax"`: the softmax is taken twice.

    References:
        The second softmax is in the code of arXiv 2305.09900; Vlasenko et al. 2024 found and removed it.

    Example:
        >>> labelled_loss(lambda z: z[0, 0], torch.tensor([[0.0, 0.0]]), "published_double_softmax")
        tensor(0.5000)
    """
    return loss(logits.softmax(-1) if objective == "published_double_softmax" else logits)

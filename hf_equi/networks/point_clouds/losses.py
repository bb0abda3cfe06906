"""The losses of classes, for the networks of point clouds and for the models that wrap them."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from hf_equi.errors import ConfigurationError
from hf_equi.networks.point_clouds.inputs import check_labels

__all__ = ["class_loss", "motion_loss"]


def class_loss(
    logits: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor | None = None, smoothing: float = 0.0
) -> torch.Tensor:
    r"""Return the cross-entropy of classes, of clouds or of points.

    $$ -\frac{1}{n} \sum_i \sum_c \Big((1 - \epsilon) [c = y_i] + \frac{\epsilon}{C}\Big) \log \text{softmax}(z_i)_c $$

    Args:
        logits: `(B, C)`, or `(B, N, C)`.
        labels: `(B,)` or `(B, N)` int64, -100 where there is none.
        mask: `(B, N)` bool, which points there are; labels of the others do not count.
        smoothing: ε.

    Raises:
        ConfigurationError: For labels of another shape or kind, or if none counts.

    Example:
        >>> class_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
        tensor(0.6931)
    """
    check_labels(labels, logits.shape[:-1], logits.shape[-1])
    labels = labels.to(logits.device).long()
    if mask is not None:
        labels = labels.masked_fill(~mask, -100)
    if not torch.compiler.is_compiling() and not bool((labels != -100).any()):
        raise ConfigurationError("labels= are -100 alone: give the class of one point or more")
    return cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=smoothing)


def motion_loss(found: torch.Tensor, wanted: Any, mask: torch.Tensor | None, name: str) -> torch.Tensor:
    r"""Return the mean squared error of positions or velocities.

    $$ \frac{1}{3n} \sum_i \lVert \hat x_i - x_i \rVert^2 $$

    Args:
        found: `(B, N, 3)`.
        wanted: `(B, N, 3)`.
        mask: `(B, N)` bool, which bodies there are.
        name: The name of the labels, for a message.

    Raises:
        ConfigurationError: For labels of another shape or kind.

    Example:
        >>> motion_loss(torch.zeros(1, 2, 3), torch.ones(1, 2, 3), torch.tensor([[True, False]]), "labels")
        tensor(1.)
    """
    fits = isinstance(wanted, torch.Tensor) and wanted.shape == found.shape and wanted.is_floating_point()
    if not fits:
        given = f"{wanted.dtype} of the shape {tuple(wanted.shape)}" if isinstance(wanted, torch.Tensor) else wanted
        raise ConfigurationError(f"{name}= are floating numbers of the shape {tuple(found.shape)}; received {given}")
    squares: torch.Tensor = (found - wanted.to(found)).square()
    return squares.mean() if mask is None else squares[mask].mean()

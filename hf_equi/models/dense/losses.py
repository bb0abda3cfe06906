"""The losses of dense predictions: those of the bases' own classes, computed from the combined output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from transformers.models.glpn.modeling_glpn import SiLogLoss

from hf_equi.errors import ActionError

__all__ = ["class_loss", "depth_loss", "heat_map_loss", "ignored_class", "size_error"]


def ignored_class(config: Any) -> int:
    """Return the class number of pixels that do not count, as the base's config names it.

    Example:
        >>> from transformers import SegformerConfig
        >>> ignored_class(SegformerConfig())
        255
    """
    names = ("semantic_loss_ignore_index", "loss_ignore_index")
    return next((int(found) for name in names if (found := getattr(config, name, None)) is not None), 255)


def class_loss(logits: torch.Tensor, labels: torch.Tensor, config: Any) -> torch.Tensor:
    r"""Return the mean cross-entropy of classes, as all segmentation models of transformers compute it.

    Logits are first resized to the labels, bilinearly. With a single class, whose presence is scored, it is that of
    SegFormer: binary, over all pixels, with 0 where the label is ignored.

    Args:
        logits: `(B, K, h, w)`.
        labels: `(B, H, W)` class numbers.
        config: The base's config.
    """
    resized = F.interpolate(logits, size=labels.shape[-2:], mode="bilinear", align_corners=False)
    ignored = ignored_class(config)
    if logits.shape[1] > 1:
        return F.cross_entropy(resized, labels.long(), ignore_index=ignored)
    counted = (labels >= 0) & (labels != ignored)
    losses = F.binary_cross_entropy_with_logits(resized.squeeze(1), labels.to(resized.dtype), reduction="none")
    return (losses * counted).mean()


def depth_loss(depth: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the scale-invariant loss of GLPN, by its own code: `(B, H, W)` both."""
    if depth.shape != labels.shape:
        raise size_error(labels, depth)
    loss: torch.Tensor = SiLogLoss()(depth, labels.to(depth.dtype))
    return loss


def heat_map_loss(maps: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """Return the mean squared error of Sapiens2, with its weights: `(B, J, h, w)` each."""
    if maps.shape != labels.shape:
        raise size_error(labels, maps)
    mse_loss: Callable[..., torch.Tensor] = F.mse_loss
    return mse_loss(maps, labels.to(maps.dtype), weight=weight)


def size_error(labels: torch.Tensor, wanted: Any) -> ActionError:
    """Return the error about labels of another size."""
    shape = tuple(getattr(wanted, "shape", wanted))
    return ActionError(f"labels= must have the shape {shape}; received {tuple(labels.shape)}. Resize them.")

"""What the networks of point clouds accept: clouds, masks, labels, and what is refused before anything runs.

Letters: B batch, N points.
"""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.errors import ActionError, ConfigurationError

__all__ = ["check_categories", "check_labels", "check_vectors", "read_cloud"]


def read_cloud(
    points: Any, mask: Any = None, least: int = 1, name: str = "points"
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return clouds with zeros where they are padded, and which points there are.

    Args:
        points: `(B, N, 3)` floating numbers.
        mask: `(B, N)`, 0 where a cloud is padded; `None` for no padding.
        least: The fewest points that a cloud must have.
        name: The name of the argument, for messages.

    Returns:
        `(B, N, 3)`, and `(B, N)` bool, or `None` without padding.

    Raises:
        ActionError: For another shape or kind, a mask of another shape, no points or fewer than `least`, NaN or
            infinity, or several points that are all equal. The message names the sample. While a graph is traced,
            values are not looked at.
    """
    _check_shape(points, name)
    kept = None
    if mask is not None:
        if not isinstance(mask, torch.Tensor) or mask.shape != points.shape[:2]:
            given = tuple(mask.shape) if isinstance(mask, torch.Tensor) else type(mask).__name__
            raise ActionError(
                f"mask= says which points there are, a tensor of the shape {tuple(points.shape[:2])}; received "
                f"{given}."
            )
        kept = mask.to(points.device) > 0
        points = torch.where(kept.unsqueeze(-1), points, 0)
    if not (torch.compiler.is_compiling() or torch.compiler.is_exporting() or points.is_meta):
        _check_values(points.detach(), kept, least, name)
    return points, kept


def check_vectors(vectors: Any, points: torch.Tensor, kept: torch.Tensor | None, name: str) -> torch.Tensor:
    """Return a vector for each point, `(B, N, 3)`, with zeros where clouds are padded.

    Raises:
        ActionError: For another shape or kind than that of the points, and for NaN or infinity.
    """
    _check_shape(vectors, name)
    if vectors.shape != points.shape:
        raise ActionError(
            f"{name}= has the shape {tuple(vectors.shape)}, but there are points of the shape {tuple(points.shape)}: "
            "pass one vector for each."
        )
    found: torch.Tensor = vectors if kept is None else torch.where(kept.unsqueeze(-1), vectors, 0)
    if not (torch.compiler.is_compiling() or torch.compiler.is_exporting() or found.is_meta):
        _refuse_samples(~found.detach().isfinite().flatten(1).all(1), name, "holds NaN or infinity")
    return found


def check_labels(labels: Any, shape: torch.Size | tuple[int, ...], count: int) -> None:
    """Refuse labels that are not whole numbers from 0 to `count` - 1, or -100 where there is none.

    Args:
        labels: The labels.
        shape: The shape that they must have.
        count: The number of classes.

    Raises:
        ConfigurationError: For labels of another shape or kind, or of classes that do not exist.
    """
    fits = isinstance(labels, torch.Tensor) and labels.shape == tuple(shape)
    if not fits or labels.is_floating_point() or labels.dtype == torch.bool:
        given = f"{labels.dtype} of the shape {tuple(labels.shape)}" if isinstance(labels, torch.Tensor) else labels
        raise ConfigurationError(f"labels= are whole numbers of the shape {tuple(shape)}; received {given}")
    if torch.compiler.is_compiling() or labels.is_meta:
        return
    known = ((labels >= 0) & (labels < count)) | (labels == -100)
    if not bool(known.all()):
        raise ConfigurationError(
            f"labels= are classes from 0 to {count - 1}, or -100 where there is none; received "
            f"{int(labels[~known].flatten()[0])}"
        )


def check_categories(categories: Any, batch: int, count: int) -> None:
    """Refuse anything but the class of each cloud, `(B,)`, where a network reads it.

    Args:
        categories: The classes; `None` for a network that reads none.
        batch: B.
        count: The number of classes, 0 for a network that reads none.

    Raises:
        ConfigurationError: If they are missing, do not belong here, or do not exist.
    """
    if not count:
        if categories is not None:
            raise ConfigurationError("categories= are not read by this network: its config has num_categories=0")
        return
    if categories is None:
        raise ConfigurationError(
            f"This network reads the category of each cloud: pass categories=, {batch} whole numbers from 0 to "
            f"{count - 1}, or make one with num_categories=0"
        )
    whole = isinstance(categories, torch.Tensor) and not (
        categories.is_floating_point() or categories.dtype == torch.bool
    )
    if not whole or tuple(categories.shape) != (batch,):
        given = tuple(categories.shape) if isinstance(categories, torch.Tensor) else type(categories).__name__
        raise ConfigurationError(f"categories= are {batch} whole numbers, one for each cloud; received {given}")
    if not (torch.compiler.is_compiling() or categories.is_meta) and not bool(
        ((categories >= 0) & (categories < count)).all()
    ):
        raise ConfigurationError(f"categories= are numbers from 0 to {count - 1}; received others")


def _check_shape(points: Any, name: str) -> None:
    if not isinstance(points, torch.Tensor):
        raise ActionError(f"{name}= is a {type(points).__name__}: pass a tensor of the shape (batch, points, 3).")
    if points.dim() != 3 or points.shape[2] != 3 or not points.numel():
        raise ActionError(
            f"{name}= needs the shape (batch, points, 3), with one point or more; received {tuple(points.shape)}."
        )
    if not points.is_floating_point():
        raise ActionError(f"{name}= holds {points.dtype}: pass floating numbers, as with {name}.float().")


def _check_values(points: torch.Tensor, kept: torch.Tensor | None, least: int, name: str) -> None:
    """Refuse clouds that have no shape."""
    _refuse_samples(~points.isfinite().flatten(1).all(1), name, "holds NaN or infinity")
    counts = torch.full_like(points[:, 0, 0], points.shape[1]) if kept is None else kept.sum(1)
    few = counts < max(least, 1)
    if bool(few.any()):
        sample = int(few.int().argmax())
        raise ActionError(
            f"Sample {sample} of {name}= has {int(counts[sample])} points, but {max(least, 1)} or more are needed: "
            "sample more points, or use a network that reads fewer neighbours."
        )
    if kept is None:
        equal = (points == points[:, :1]).flatten(1).all(1) if points.shape[1] > 1 else few
    else:
        first = points.gather(1, kept.int().argmax(1)[:, None, None].expand(-1, 1, 3))
        equal = ((points == first).all(2) | ~kept).all(1) & (kept.sum(1) > 1)
    _refuse_samples(equal, name, "has several points that are all equal, so it has no shape")


def _refuse_samples(wrong: torch.Tensor, name: str, why: str) -> None:
    if bool(wrong.any()):
        raise ActionError(f"Sample {int(wrong.int().argmax())} of {name}= {why}: leave it out.")

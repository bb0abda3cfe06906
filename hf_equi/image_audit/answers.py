"""The answers of models to pictures in all views, as units of work, and the check of units that are read back."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.bases.chunks import images_at_once
from hf_equi.errors import ConfigurationError
from hf_equi.image_audit.pictures import Picture
from hf_equi.image_audit.subjects import Subject
from hf_equi.image_audit.views import View

__all__ = ["ExpectedAnswers", "answer", "chunk_name"]

_KEYS = {"picture", "label", "answers", "shares", "difference", "seconds"}


def chunk_name(pictures: Sequence[Picture]) -> str:
    """Return the name of the pictures of a unit, as in the folder of the audit."""
    return pictures[0].name if len(pictures) == 1 else f"{pictures[0].name} to {pictures[-1].name}"


def answer(
    subject: Subject, pictures: Sequence[Picture], pixels: Sequence[torch.Tensor], views: Sequence[View]
) -> list[dict[str, Any]]:
    """Ask a model about some pictures.

    Args:
        subject: The model.
        pictures: The pictures.
        pixels: The views of each picture, `(V, C, H, W)`.
        views: The views.

    Returns:
        One dictionary per picture: `picture` and `label`; for each view the most probable class (`answers`) and its
        probability (`shares`); the largest `difference` of a logit between upright and another element of the group;
        and the `seconds` that a view took.

    Raises:
        ConfigurationError: If the logits of the model are not finite.
    """
    start = time.perf_counter()
    logits = torch.stack([_logits(subject.model, one) for one in _together(pixels)]).flatten(0, -2)
    seconds = (time.perf_counter() - start) / (len(pictures) * len(views))
    logits = logits.reshape(len(pictures), len(views), -1)  # (B, V, C)
    if not logits.isfinite().all():
        raise ConfigurationError(f"The logits of the model {subject.name!r} are not finite: it is damaged.")
    inside = [place for place, view in enumerate(views) if view.inside]
    differences = (logits[:, inside] - logits[:, :1]).abs().amax((1, 2))
    shares, answers = logits.softmax(-1).max(-1)
    return [
        {
            "picture": picture.name,
            "label": picture.label,
            "answers": answers[row].tolist(),
            "shares": shares[row].tolist(),
            "difference": differences[row].item(),
            "seconds": seconds,
        }
        for row, picture in enumerate(pictures)
    ]


def _together(pixels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return batches of pictures of one size."""
    return [torch.cat([*pixels])] if len({one.shape for one in pixels}) == 1 else list(pixels)


def _logits(model: PreTrainedModel, images: torch.Tensor) -> torch.Tensor:
    """Return the logits of each image, `(rows, C)` on the CPU. A CPU reads images in batches of its fastest size."""
    size = images_at_once(model, images.shape[-2:].numel()) if model.device.type == "cpu" else len(images)
    with torch.no_grad():
        return torch.cat(
            [model(part.to(model.device, model.dtype)).logits.cpu().float() for part in torch.split(images, size)]
        )


class ExpectedAnswers:
    """The units of an audit of images, to check the units that are read back from its folder.

    Args:
        models: The names of the models.
        chunks: The pictures of each unit.
        views: The number of views.
        classes: The number of classes.
    """

    def __init__(self, models: Sequence[str], chunks: Sequence[Sequence[Picture]], views: int, classes: int) -> None:
        self.models, self.views, self.classes = tuple(models), views, classes
        self.chunks = {chunk_name(chunk): tuple(chunk) for chunk in chunks}

    def fault(self, unit: object) -> str:
        """Return what is wrong with a unit, in a few words; an empty text for a unit as `answer` makes it."""
        if not isinstance(unit, dict) or set(unit) != {"model", "template", "samples"}:
            return "it does not hold a model, some pictures and its answers"
        if unit["model"] not in self.models:
            return f"this audit has no model {unit['model']!r}"
        if not isinstance(unit["template"], str) or unit["template"] not in self.chunks:
            return f"this audit has no pictures {unit['template']!r}"
        pictures, rows = self.chunks[unit["template"]], unit["samples"]
        if not isinstance(rows, list) or len(rows) != len(pictures):
            return f"it does not have the answers of {len(pictures)} pictures"
        faults = (self._fault_of_row(row, picture) for row, picture in zip(rows, pictures, strict=True))
        return next(filter(None, faults), "")

    def _fault_of_row(self, row: object, picture: Picture) -> str:
        if not isinstance(row, dict) or set(row) != _KEYS:
            return f"{row!r:.60} is not an answer"
        if (row["picture"], row["label"]) != (picture.name, picture.label):
            return f"it is of {row['picture']!r:.60}, not of {picture.name!r:.60}"
        answers, shares = row["answers"], row["shares"]
        if (
            not isinstance(answers, list)
            or not isinstance(shares, list)
            or not len(answers) == len(shares) == self.views
        ):
            return f"it does not have {self.views} answers"
        if not all(type(one) is int and 0 <= one < self.classes for one in answers):
            return f"its answers are {answers!r:.60}"
        numbers = [*shares, row["difference"], row["seconds"]]
        if not all(type(one) is float and math.isfinite(one) and one >= 0 for one in numbers) or max(shares) > 1.001:
            return f"its numbers are {numbers!r:.60}"
        return ""

"""Targets that move along with their images, each sample by its own element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hf_equi.actions import Action, ImageBoxAction, ImagePointAction, PixelAction, TrivialAction
from hf_equi.checks import check_choice
from hf_equi.errors import ActionError
from hf_equi.groups import ImageGroup

__all__ = ["TARGETS", "move_targets"]

TARGETS = {
    "boxes": "boxes",
    "class_labels": "class",
    "depth": "map",
    "labels": "class",
    "mask_labels": "map",
    "masks": "map",
    "points": "points",
}
"""The kind of a target, by its usual name."""
_KINDS = ("boxes", "class", "map", "points")


def move_targets(
    group: ImageGroup,
    elements: torch.Tensor,
    targets: Mapping[str, Any],
    size: tuple[float, float],
    kinds: Mapping[str, str] | None = None,
    box_form: str = "xyxy",
) -> dict[str, Any]:
    r"""Move the targets of a batch, each sample by its own element. What is given stays as it is.

    With $g = h(x)^{-1}$, that is `group.inverse(out.canonical_element)`, they are those of the images that the base
    read. With g = h(x) a base's predictions are moved back.

    Args:
        group: The group.
        elements: `(B,)` int64, the element of each sample.
        targets: By name, each a tensor with one entry for each sample, or a sequence of one tensor for each:

            - a class stays, whatever its shape;
            - a map, such as masks or depth, `(B, H, W)` or `(B, N, H, W)`, moves as pixels do;
            - boxes, `(B, N, 4)`, and points, `(B, N, 2)`, move as in `ImageBoxAction` and `ImagePointAction`.
        size: Height and width of the images, in the units of boxes and points.
        kinds: The kind of each target by name, `"class"`, `"map"`, `"boxes"` or `"points"`; by default as in
            `TARGETS`.
        box_form: `"xyxy"`, `"xywh"` or `"cxcywh"`.

    Returns:
        New tensors, in the same form.

    Raises:
        ActionError: For a target of unknown kind, another number of samples, or another kind of group; as the actions
            do.

    Example:
        >>> group = ImageGroup.flips("horizontal")
        >>> targets = {"labels": torch.tensor([3, 5]), "points": [torch.tensor([[1.0, 0.0]]), torch.zeros(0, 2)]}
        >>> moved = move_targets(group, torch.tensor([1, 0]), targets, size=(4, 8))
        >>> moved["labels"], moved["points"][0]
        (tensor([3, 5]), tensor([[7., 0.]]))
    """
    if not isinstance(group, ImageGroup):
        raise ActionError(
            f"{group!r} is not an ImageGroup, whose elements move all kinds of targets. Move masks by PlaneAction, "
            "and classes not at all; boxes do not stay boxes when they are turned by any angle."
        )
    known = {**TARGETS, **(kinds or {})}
    if unknown := sorted(set(targets) - set(known)):
        raise ActionError(
            f"It is unknown how {', '.join(unknown)} move with an image: pass kinds={{{unknown[0]!r}: ...}}, one of "
            f"{', '.join(map(repr, _KINDS))}."
        )
    moved = {}
    for name, value in targets.items():
        check_choice("kind", known[name], _KINDS, f" to the target {name!r}", error=ActionError)
        action = _action(group, known[name], size, box_form)
        if isinstance(value, torch.Tensor):
            moved[name] = _moved(action, elements, value)
        else:
            moved[name] = _moved_each(action, elements, value, name)
    return moved


def _action(group: ImageGroup, kind: str, size: tuple[float, float], box_form: str) -> Action:
    """Return how the group moves a kind of targets."""
    if kind == "boxes":
        return ImageBoxAction(group, size, box_form)
    if kind == "points":
        return ImagePointAction(group, size)
    return PixelAction(group) if kind == "map" else TrivialAction(group)


def _moved(action: Action, elements: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return a moved copy of `(B, ...)`."""
    single = isinstance(action, PixelAction) and value.dim() == 3
    moved: torch.Tensor = action.apply(elements, value.unsqueeze(1) if single else value)
    moved = moved.squeeze(1) if single else moved
    return moved.clone() if moved.data_ptr() == value.data_ptr() else moved  # the identity may give back its input


def _moved_each(action: Action, elements: torch.Tensor, values: Sequence[torch.Tensor], name: str) -> Any:
    """Return moved copies of one tensor for each sample, which may differ in size."""
    if len(values) != len(elements):
        raise ActionError(f"{name} has {len(values)} entries for {len(elements)} samples: pass one for each.")
    pairs = zip(elements, values, strict=True)
    return type(values)([_moved(action, element[None], value[None])[0] for element, value in pairs])  # type: ignore[call-arg]

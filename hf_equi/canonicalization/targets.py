"""Targets that move along with their images, each sample by its own element."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    padding: str = "reflect",
) -> dict[str, Any]:
    r"""Move the targets of a batch, each sample by its own element. What is given stays as it is.

    With $g = h(x)^{-1}$, that is `group.inverse(out.canonical_element)`, they are those of the images that the base
    read. With g = h(x) a base's predictions are moved back.

    Args:
        group: The group.
        elements: `(B,)` int64, the element of each sample.
        targets: By name, each a tensor with one entry for each sample, or a sequence of one tensor for each:

            - a class stays;
            - a map, such as masks or depth, `(B, H, W)` or `(B, N, H, W)`, moves as pixels do. Maps of class numbers
              need an exact group: half way between the classes 0 and 4 is not the class 2;
            - boxes, `(B, N, 4)`, and points, `(B, N, 2)`, move as in `ImageBoxAction` and `ImagePointAction`.
        size: Height and width of the images, in the units of boxes and points.
        kinds: The kind of each target by name, `"class"`, `"map"`, `"boxes"` or `"points"`; by default as in
            `TARGETS`. There `"labels"` are classes. In segmentation and depth estimation they are maps:
            `kinds={"labels": "map"}`.
        box_form: `"xyxy"`, `"xywh"` or `"cxcywh"`.
        padding: How maps continue beyond their edges where they are resampled: that of the model's config.

    Returns:
        New tensors, in the same form.

    Raises:
        ActionError: For a target of unknown kind, or classes that have the shape of maps; for samples that are not
            tensors, or another number of them; for another kind of group; for maps of integers that would be
            resampled; as the actions do.

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
    makers: dict[str, Callable[[], Action]] = {
        "boxes": lambda: ImageBoxAction(group, size, box_form),
        "class": lambda: TrivialAction(group),
        "map": lambda: PixelAction(group, padding),
        "points": lambda: ImagePointAction(group, size),
    }
    actions = {name: makers[_kind(name, value, kinds or {})]() for name, value in targets.items()}
    return {name: _moved_target(actions[name], elements, value, name) for name, value in targets.items()}


def _kind(name: str, value: Any, named: Mapping[str, str]) -> str:
    """Return the kind of a target; refuse what cannot be one."""
    kind = {**TARGETS, **named}.get(name)
    if kind is None:
        raise ActionError(
            f"It is unknown how {name!r} moves with an image: pass kinds={{{name!r}: ...}}, one of "
            f"{', '.join(map(repr, _KINDS))}."
        )
    check_choice("kind", kind, _KINDS, f" to the target {name!r}", error=ActionError)
    for one in _samples(name, value):
        if kind == "class" and name not in named and one.dim() > 1:
            raise ActionError(
                f"{name} has samples of the shape {tuple(one.shape)}: these may be maps, which move with the image, "
                f'or classes, which do not. Say which: kinds={{{name!r}: "map"}} or kinds={{{name!r}: "class"}}.'
            )
    return kind


def _samples(name: str, value: Any) -> Sequence[torch.Tensor]:
    """Return one tensor for each sample; refuse what has none."""
    if isinstance(value, torch.Tensor) and value.dim() > 0:
        return [value[0]] if len(value) else []  # all have one shape
    if isinstance(value, (list, tuple)) and all(isinstance(one, torch.Tensor) for one in value):
        return value
    one = value[0] if isinstance(value, (list, tuple)) and value else value
    advice = "Pass a tensor with one entry for each sample, or a list with one tensor for each."
    if isinstance(one, Mapping):
        entry = next(iter(one), "boxes")
        advice = (
            f"Pass each entry as a target of its own, such as {{{entry!r}: [one[{entry!r}] for one in {name}]}}; for "
            "boxes in shares of the image with size=(1, 1)."
        )
    raise ActionError(f"{name} holds {type(one).__name__}, which no action moves. {advice}")


def _moved_target(action: Action, elements: torch.Tensor, value: Any, name: str) -> Any:
    """Return a moved copy of a target; refuse maps of integers that would be resampled."""
    first = value if isinstance(value, torch.Tensor) else next(iter(value), torch.empty(0))
    if isinstance(action, PixelAction) and action.resamples and not first.is_floating_point():
        raise ActionError(
            f"{name} is a map of {first.dtype}, and {action.group!r} resamples maps: a mean of two numbers of classes "
            "is not a class. Pass one floating map for each class, or use a group of quarter turns and mirrors."
        )
    if isinstance(value, torch.Tensor):
        return _moved(action, elements, value)
    return _moved_each(action, elements, value, name)


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

"""What a symmetrised model with an output for each pixel should say: one image and one element at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hf_equi import ImageGroup


def moved(group: ImageGroup, g: int, x: Tensor) -> Tensor:
    """Images or maps, moved by whole quarter turns and a mirror before them."""
    mirrored, quarters, rest = group.motions[g]
    assert not rest
    return (x.flip(-1) if mirrored else x).rot90(quarters, (-2, -1))


def moved_back(group: ImageGroup, g: int, x: Tensor) -> Tensor:
    """The inverse: the turn back, and then the mirror."""
    mirrored, quarters, _ = group.motions[g]
    turned = x.rot90(-quarters, (-2, -1))
    return turned.flip(-1) if mirrored else turned


def exchanged(group: ImageGroup, g: int, maps: Tensor, pairs: list[list[int]]) -> Tensor:
    """Maps `(C, h, w)` in which a mirror has exchanged some channels."""
    result = maps.clone()
    for left, right in pairs if group.motions[g][0] else ():
        result[left], result[right] = maps[right], maps[left]
    return result


def members(
    base: Any, group: ImageGroup, image: Tensor, read: Callable[[Any], Tensor], pairs: Any = ()
) -> list[Tensor]:
    """The outputs of all gx, moved back, `(C, h, w)` each."""
    outputs = [read(base(pixel_values=moved(group, g, image[None])))[0] for g in range(group.order)]
    return [exchanged(group, g, moved_back(group, g, each), pairs) for g, each in enumerate(outputs)]


def surest(outputs: list[Tensor], loss: Callable[[Tensor], float], places: Callable[[Tensor], list[Any]]) -> Tensor:
    """At each place the member with the least loss there: a place picks a part of `(C, h, w)`."""
    result = outputs[0].clone()
    for place in places(result):
        result[place] = min(outputs, key=lambda one: loss(one[place]))[place]
    return result


def pixels(maps: Tensor) -> list[Any]:
    """Every pixel, with all channels."""
    return [(slice(None), row, column) for row in range(maps.shape[1]) for column in range(maps.shape[2])]


def channels(maps: Tensor) -> list[Any]:
    """Every channel, with all pixels."""
    return list(range(maps.shape[0]))


def whole(maps: Tensor) -> list[Any]:
    """The whole image."""
    return [...]


def statistics(maps: Tensor) -> Tensor:
    """What λ reads of a member in its own frame: the mean, the deviation and the largest value of each channel."""
    flat = maps.flatten(1)
    return torch.cat([flat.mean(1), flat.std(1, correction=0), flat.amax(1)])

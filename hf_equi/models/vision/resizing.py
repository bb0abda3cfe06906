r"""Resize pictures so that turning them before or after gives the same numbers, to the bit.

$$ R(gx) = g R(x), \qquad R(x) = A_h\, x\, A_w^\top, \qquad A_{n-1-i,\,m-1-j} = A_{ij} $$

for quarter turns and mirrors g. The weights A of Pillow's filters treat both ends of a line alike. With exact numbers
the equation needs no more. But a sum of floats depends on its order, and a turned picture is summed in another order.
So weights are multiples of a power of two, and pictures have so few bits that float64 holds every sum exactly. Nothing
is rounded before both passes are done, so the order does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch

__all__ = ["FILTERS", "resized"]

_WEIGHT_BITS = 16
_PICTURE_BITS = 19  # with two passes and the overshoot of filters, 19 + 2 * 16 + 1 < 53
_LINES = 8
"""The number of result lines in one product. With more lines, more of its factors would be zeros."""


class _Filter(NamedTuple):
    """A Pillow filter.

    Args:
        value: Its value at a distance, in pixels of the smaller picture.
        widens: Whether it widens when a picture shrinks.
    """

    value: Callable[[torch.Tensor], torch.Tensor]
    widens: bool = True


def _box(x: torch.Tensor) -> torch.Tensor:
    return (x.abs() <= 0.5).double()


def _triangle(x: torch.Tensor) -> torch.Tensor:
    return (1 - x.abs()).clamp(min=0)


def _cubic(x: torch.Tensor) -> torch.Tensor:
    x, a = x.abs(), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


def _hamming(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x.abs() < 1, torch.sinc(x) * (0.54 + 0.46 * torch.cos(math.pi * x)), 0.0)


FILTERS: dict[int, _Filter] = {
    0: _Filter(_box, widens=False),
    1: _Filter(_lanczos),
    2: _Filter(_triangle),
    3: _Filter(_cubic),
    4: _Filter(_box),
    5: _Filter(_hamming),
}
"""The filters by their numbers in Pillow: nearest, Lanczos, bilinear, bicubic, box and Hamming."""


def resized(
    picture: torch.Tensor, size: tuple[int, int], crop: tuple[int, int] | None = None, method: int = 2
) -> torch.Tensor:
    """Resize a picture and crop its middle, in one pass in each direction.

    If Pillow cannot centre a crop on whole pixels, it crops half a pixel off. This crop is centred.

    Args:
        picture: `(..., H, W)` bytes or floats. Of floats, 19 bits below the largest are read.
        size: The rows and columns that the whole picture would get.
        crop: The rows and columns of the middle to make; by default all.
        method: The number of a filter in Pillow: 2 is bilinear, 3 bicubic.

    Returns:
        Float32 of the shape `(..., rows, columns)`. Of bytes they lie between 0 and 255.

    Cost: as Pillow's resize; with one thread it takes about the same time. Guarantee: exact, to the bit, for quarter
    turns and mirrors. It differs from Pillow because Pillow rounds to bytes after each pass, by 0.5 to 1 of 255.

    Example:
        >>> picture = torch.rand(3, 90, 60)
        >>> small = resized(picture, (45, 30), (30, 30), method=3)
        >>> torch.equal(resized(picture.rot90(1, (1, 2)), (30, 45), (30, 30), method=3), small.rot90(1, (1, 2)))
        True
    """
    (height, width), (rows, columns) = picture.shape[-2:], crop or size
    down = _one_pass(picture, _products(height, size[0], rows, method), _rounding(picture))
    result = _one_pass(down.mT, _products(width, size[1], columns, method)).mT.float()
    return result.clamp(0, 255) if picture.dtype == torch.uint8 else result


def _rounding(picture: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that makes float64 of parts of a picture, with as many bits as both passes have room for."""
    if picture.dtype == torch.uint8:
        return torch.Tensor.double
    # A power of two, so that dividing by it changes no digit.
    unit = 2.0 ** (math.frexp(picture.abs().max().item())[1] - _PICTURE_BITS)
    return lambda part: (part.double() / unit).round() * unit


def _one_pass(
    x: torch.Tensor,
    products: list[tuple[int, torch.Tensor]],
    read: Callable[[torch.Tensor], torch.Tensor] = torch.Tensor.double,
) -> torch.Tensor:
    """Return the rows of a result, `(..., H, W)` to `(..., rows, W)`."""
    return torch.cat([weights @ read(x[..., first : first + weights.shape[1], :]) for first, weights in products], -2)


@lru_cache(maxsize=64)
def _products(length: int, target: int, count: int, method: int) -> list[tuple[int, torch.Tensor]]:
    """Return what each few rows of a result read: the first row, and the weights."""
    parts, all_weights = [], _weights(length, target, count, FILTERS[method])
    for start in range(0, count, _LINES):
        weights = all_weights[start : start + _LINES]
        read = weights.any(0).nonzero().flatten()
        first, last = int(read[0]), int(read[-1]) + 1
        parts.append((first, weights[:, first:last].contiguous()))
    return parts


def _weights(length: int, target: int, count: int, method: _Filter) -> torch.Tensor:
    """Return the weights of the middle `count` of `target` pixels, `(count, length)`: multiples of 2^-16, sum 1."""
    step = length / target
    places = torch.arange(length, dtype=torch.float64, device="cpu") + 0.5
    centres = length / 2 + (torch.arange(count, dtype=torch.float64, device="cpu") - (count - 1) / 2) * step
    scale = max(step, 1.0) if method.widens else 1.0
    weights = method.value((places - centres[:, None]) / scale)
    units = (weights / weights.sum(1, keepdim=True) * 2 ** (_WEIGHT_BITS - 1)).round()
    units[torch.arange(count, device="cpu"), units.argmax(1)] += 2 ** (_WEIGHT_BITS - 1) - units.sum(1)
    symmetric: torch.Tensor = (units + units.flip(0, 1)) / 2**_WEIGHT_BITS
    return symmetric

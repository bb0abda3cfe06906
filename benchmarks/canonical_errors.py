"""How far a canonicalizer is from being exact: the same measure for all libraries, without any of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Canonical = Callable[[Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]]
"""Returns the canonical images of some images, and what moves an answer about them back."""


@torch.no_grad()
def errors(canonical: Canonical, images: Tensor, mirrors: bool) -> dict[str, float]:
    r"""Measure the largest absolute errors of a canonicalizer $x \mapsto (c(x), h(x))$, over the quarter turns g.

    With a fixed 3 × 3 convolution M, which follows no turn:

    - `"read"`: $c(gx) - c(x)$. What the base reads should not depend on g.
    - `"back"`: $h(x)c(x) - x$. The canonical image, moved back, should be the image.
    - `"map"`: $M_G(gx) - g M_G(x)$ for $M_G(x) = h(x) M(c(x))$. An output that moves should follow its input.

    Args:
        canonical: The canonicalizer.
        images: `(B, 3, H, W)`, square.
        mirrors: Whether the group has mirrors, too.
    """
    filters = torch.randn(3, 3, 3, 3, generator=torch.Generator().manual_seed(0)) / 27**0.5

    def mapped(x: Tensor) -> Tensor:
        read, back = canonical(x)
        return back(F.conv2d(read, filters, padding=1))

    read, back = canonical(images)
    restored, answer = back(read), mapped(images)
    moved = [(moves(images, g), moves(answer, g)) for g in range(8 if mirrors else 4)]
    return {
        "read": max(_largest(canonical(x)[0] - read) for x, _ in moved),
        "back": _largest(restored - images),
        "map": max(_largest(mapped(x) - y) for x, y in moved),
    }


def moves(x: Tensor, g: int) -> Tensor:
    """Turn images by g quarter turns; from 4 on, mirror them before."""
    return (x if g < 4 else x.flip(-1)).rot90(g % 4, (-2, -1))


def _largest(x: Tensor) -> float:
    return float(x.abs().max())

"""Clouds of points, generic and degenerate, and what a canonicalizer makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from hf_equi.actions import PointAction


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal numbers, the same in all dtypes."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def clouds(n: int, dtype: torch.dtype = torch.float64) -> Iterator[tuple[str, Tensor]]:
    """Clouds `(N, n)` by name: with symmetries of their own, of too few directions, or without any."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * n)
    units, three = torch.eye(n, dtype=torch.float64), draw(3, n, seed=1)
    mirror = torch.ones(n, dtype=torch.float64)
    mirror[-1] = -1
    turns = torch.arange(5, dtype=torch.float64) * 2 * math.pi / 5
    polygon = torch.zeros(5, n, dtype=torch.float64)
    polygon[:, :2] = torch.stack([turns.cos(), turns.sin()], -1)
    flat = draw(6, n, seed=2)
    flat[:, -1] = 0
    found = {
        "generic": draw(6, n, seed=3),
        "line": torch.tensor([1.0, 2, -0.5, 0.7, 3, -2], dtype=torch.float64)[:, None] * draw(n, seed=4),
        "equal": draw(n, seed=5).expand(5, n),
        "one": draw(1, n, seed=6),
        "two": draw(2, n, seed=7),
        "zero": torch.zeros(4, n, dtype=torch.float64),
        "corners": corners,
        "corners and middle": torch.cat([torch.zeros_like(corners[:1]), corners]),
        "cross": torch.cat([units, -units, torch.zeros_like(units[:1])]),
        "polygon": polygon,
        "flat": flat,
        "opposite": torch.cat([three, -three]),
        "mirrored": torch.cat([three, three * mirror]),
    }
    for name, cloud in found.items():
        yield name, cloud.to(dtype)


def means(canonicalizer: Any, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Weighted means over the canonical members of clouds of 16 functions, which are not symmetric: `(B, 16)`."""
    elements, log_weights = canonicalizer.poses(x) if mask is None else canonicalizer.poses(x, mask)
    count, action = elements.shape[1], PointAction(canonicalizer.group)
    every = x.repeat_interleave(count, 0)
    read = action.invert(elements.flatten(0, 1), every).unflatten(0, (-1, count))  # (B, K, N, n)
    read = read if mask is None else read * mask[:, None, :, None].to(read)
    directions = draw(read.shape[2] * read.shape[3], 16, seed=8, dtype=read.dtype) / 3
    waves = (read.flatten(2) @ directions + torch.linspace(0, 3, 16, dtype=read.dtype)).sin()
    shares = torch.full_like(waves[..., 0], 1 / count) if log_weights is None else log_weights.softmax(1)
    found: Tensor = (shares.unsqueeze(-1) * waves).sum(1)
    return found

"""The interface of every group: an identity, products, inverses, and random elements."""

from __future__ import annotations

from typing import Any, Protocol

import torch

__all__ = ["Group"]


class Group(Protocol):
    r"""A group G, finite or continuous, as used by actions and tests.

    $$ e g = g = g e, \qquad (gh) k = g (hk), \qquad g^{-1} g = e = g g^{-1} $$

    Elements of a finite group are integers; those of a continuous group are matrices. Methods take one element, or a
    tensor with one per sample: `(R,)` int64, or `(R, d, d)`.
    """

    @property
    def identity(self) -> Any:
        """The element e that moves nothing."""

    def compose(self, g: Any, h: Any, /) -> Any:
        """Return gh, which acts as g after h."""

    def inverse(self, g: Any, /) -> Any:
        """Return g⁻¹."""

    def sample(self, count: int, generator: torch.Generator | None = None) -> Any:
        """Draw `count` elements uniformly, one per sample."""

    def to_dict(self) -> dict[str, Any]:
        """Return the group as JSON scalars, lists and dictionaries, with its kind as `"type"`."""

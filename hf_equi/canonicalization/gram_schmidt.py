"""Gram–Schmidt of vectors that turn with the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hf_equi.canonicalization.axes import orthonormal
from hf_equi.canonicalization.base import NOT_STORED
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer
from hf_equi.canonicalization.points import check_group, read_points
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup

__all__ = ["GramSchmidt", "axes_needed", "vectors_of"]


class GramSchmidt(ContinuousCanonicalizer):
    r"""The axes that Gram–Schmidt makes of the first vectors of an input, or of vectors that a network makes of it.

    $$ h(x) = \text{GramSchmidt}(v_1(x), \dots, v_P(x)), \qquad v_p(gx) = g\, v_p(x) $$

    For rotations P is n - 1, and the last axis makes the matrix right-handed. For rotations and mirrors P is n. The
    order of the input's vectors counts, so it must mean something: velocities, bonds, the atoms of a backbone.

    Where a vector depends on those before it, it gives no axis. Then the first of the input's vectors that has a part
    in another direction is taken instead. If there is none, an axis is free, and a coordinate axis is taken: the input
    is then symmetric about the others, so its canonical member is the same. Outputs that move back are determined up
    to that symmetry.

    Args:
        group: `SO2`, `O2`, `SO3` or `O3`.
        vectors: From inputs `(B, V, n)`, and the mask if there is one, to vectors `(B, P, n)` or more that turn with
            them; by default the input's own. Where they cancel, as in regular bodies, they must be 0, and not
            rounding. A module is trained and saved with the model, but its code is not stored.

    Raises:
        ConfigurationError: For another group, or `vectors` that cannot be called.

    Cost: that of `vectors`. Guarantee: exact up to rounding, which grows as vectors come close to depending on one
    another. Not continuous where they do.

    References:
        arXiv 2211.06489, section 3.2.

    Example:
        >>> from hf_equi.groups import SO2
        >>> elements, _ = GramSchmidt(SO2()).poses(torch.tensor([[[0.0, 2.0], [3.0, 1.0]]]))
        >>> elements[0, 0]
        tensor([[ 0., -1.],
                [ 1.,  0.]])
    """

    kind = "gram_schmidt"
    equivariant = True
    learns = False

    def __init__(self, group: ContinuousGroup, vectors: Any = None) -> None:
        super().__init__()
        check_group(group, "GramSchmidt")
        self.group = group
        self.vectors = checked_vectors(vectors)
        self.learns = isinstance(vectors, nn.Module)

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        """Return the axes of each input, `(B, 1, n, n)`, and no weights.

        Raises:
            ConfigurationError: As `read_points`, and for other vectors than are needed.
        """
        own, _ = read_points(x, mask, self.group.dimension, "vectors")
        needed = axes_needed(self.group)
        found = own if self.vectors is None else vectors_of(self.vectors, own, mask, needed)
        if found.shape[1] < needed:  # an input with fewer has its other axes free
            found = nn.functional.pad(found, (0, 0, 0, needed - found.shape[1]))
        scales = torch.linalg.vector_norm(found.detach(), dim=-1).amax(1, keepdim=True).expand(-1, needed)
        return orthonormal(found[:, :needed], scales, own).unsqueeze(1), None

    def to_dict(self) -> dict[str, Any]:
        """Return its kind, and whether vectors are made in a way that is not stored."""
        return {**super().to_dict(), **({} if self.vectors is None else {"network": None})}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None = None) -> GramSchmidt:
        """Return one that reads the input's own vectors.

        Raises:
            ConfigurationError: If it made vectors by a network.
        """
        if "network" in content:
            raise ConfigurationError(f"What makes the vectors of this {cls.__name__} is not stored. {NOT_STORED}")
        return cls(group)

    def extra_repr(self) -> str:
        """Return the group."""
        return repr(self.group)


def axes_needed(group: ContinuousGroup) -> int:
    """Return how many vectors determine an element: the last axis is free in groups without mirrors."""
    return group.dimension - (not group.mirrors)


def checked_vectors(vectors: Any) -> Any:
    """Refuse what makes no vectors."""
    if vectors is not None and not callable(vectors):
        raise ConfigurationError(
            f"vectors={vectors!r} cannot be called: pass a function of inputs, (B, V, n), that returns vectors"
        )
    return vectors


def vectors_of(make: Any, x: torch.Tensor, mask: torch.Tensor | None, needed: int) -> torch.Tensor:
    """Return the vectors that are made of inputs, `(B, P, n)`.

    Raises:
        ConfigurationError: If they have another shape, or there are too few.
    """
    found: Any = make(x) if mask is None else make(x, mask)
    fits = isinstance(found, torch.Tensor) and found.dim() == 3 and found.shape[::2] == x.shape[::2]
    if not fits or found.shape[1] < needed:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise ConfigurationError(
            f"vectors= returned {shape}; for {x.shape[0]} inputs it must return ({x.shape[0]}, P, {x.shape[2]}) with "
            f"P at least {needed}"
        )
    wide: torch.Tensor = found.to(torch.promote_types(found.dtype, torch.float32))
    return wide

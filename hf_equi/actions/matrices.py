"""Groups of matrices on vectors and on points: single ones, sets and clouds of them."""

from __future__ import annotations

import math
from typing import Any

import torch

from hf_equi.actions._checksums import checksums, position_weights
from hf_equi.actions._elements import read_elements
from hf_equi.actions.base import Action
from hf_equi.errors import ActionError, GroupError
from hf_equi.groups import ContinuousGroup, FiniteGroup
from hf_equi.groups.matrices import check_representation
from hf_equi.groups.rotations import multiply

__all__ = ["PointAction", "VectorAction"]


class VectorAction(Action):
    r"""A group on vectors: states, directions, velocities, forces. They turn, and no translation moves them.

    $$ g v = R_g v $$

    For a continuous group, $R_g$ is the element itself without its translation. For a finite group, each element has a
    matrix. Where the entries of $R_g$ are -1, 0 and 1, as in `MatrixGroup.cube()`, coordinates change places and signs
    exactly, and so `keys` are exact. Otherwise all equations hold up to rounding.

    Args:
        group (`ContinuousGroup` or `FiniteGroup`):
            The group.
        matrices (`torch.Tensor` or nested sequence of `float`, shape `(G, d, d)`, *optional*):
            For a finite group, $R_g$ for each element; by default those that a `MatrixGroup` or an `ImageGroup` has.

    Attributes:
        dimension: The number of coordinates d.

    Raises:
        ActionError: For a finite group without matrices; for matrices that do not multiply like its elements; for
            matrices beside a continuous group.

    Cost: d multiplications of the data by numbers. Guarantee: exact up to rounding. In mixed precision it is computed
    as outside of it, and half precision is computed in float32.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi.actions import VectorAction
        >>> from hf_equi.groups import MatrixGroup
        >>> cube = MatrixGroup.cube()
        >>> action = VectorAction(cube)
        >>> action.apply(cube.element("180° about (0, 0, 1)"), torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([[-1., -2.,  3.]])

        ```
    """

    def __init__(self, group: ContinuousGroup | FiniteGroup, matrices: Any = None) -> None:
        if isinstance(group, ContinuousGroup):
            if matrices is not None:
                raise ActionError(f"The elements of {group!r} are matrices themselves: leave matrices= out.")
            self.dimension, self._matrices = group.dimension, None
            self._signed, self._sources, self._stays, self._keeps_signs = None, None, False, False
        else:
            self._matrices = _matrices_of(group, matrices)
            self.dimension = self._matrices.shape[1]
            self._signed = _signed_permutations(self._matrices)
            # Whether no coordinate changes its place, and whether none changes its sign.
            self._stays = self._signed is not None and bool((self._signed[0] == self._signed[0][0]).all())
            self._sources = None if self._signed is None else self._signed[0].flatten()
            self._keeps_signs = self._signed is not None and bool((self._signed[1] == 1).all())
        self.group = group

    def apply(self, elements: Any, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements (`torch.Tensor` of shape `(side, side)` or `(R, side, side)`; `int` or `(R,)` if finite):
                One element for all samples, or one per sample.
            x (`torch.Tensor` of shape `(..., d)`, or `(R, ..., d)` with one element per sample):
                Vectors, or sets of them such as `(R, n, d)`. Floating numbers of any precision.

        Returns:
            `torch.Tensor` of the same shape and dtype. Gradients flow to `x`, and to the elements of a continuous
            group.

        Raises:
            ActionError: If the group has no such element, or there is not one for each sample; for another number of
                coordinates; for integers.
        """
        self._check(x)
        if self._signed is not None and x.dim() == 2:
            g = read_elements(self.group, elements, x)
            sources, signs = (table.to(x.device)[g] for table in self._signed)
            return x.gather(1, sources.expand_as(x)) * signs.to(x.dtype)
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        linear, translation = self._parts(read_elements(self.group, elements, x), wide)
        # (R, d, d) to (R, 1, ..., 1, d, d), one axis of 1 for each between samples and coordinates
        between = (1,) * (x.dim() - linear.dim() + 1)
        linear = linear.view(*linear.shape[:-2], *between, *linear.shape[-2:])
        moved = multiply(linear, wide.unsqueeze(-1)).squeeze(-1)
        if translation is not None:
            moved = moved + translation.view(*translation.shape[:-1], *between, self.dimension)
        return moved.to(x.dtype)

    def orbit(self, x: torch.Tensor, /) -> torch.Tensor:
        """Return all members of the orbits of vectors, for finite groups: `(B, ..., d)` to `(B, G, ..., d)`.

        Raises:
            ActionError: As in `apply`; for a group that is not finite.

        Cost: one operation where coordinates only change places or only signs, two where they change both, and
        otherwise |G| times `apply`.
        """
        if self._signed is None or self._sources is None or x.dim() != 2:
            return super().orbit(x)  # type: ignore[no-any-return]
        self._check(x)
        sources, signs = self._sources, self._signed[1]
        if signs.dtype is not x.dtype or signs.device != x.device:  # `to` takes longer to see that
            sources, signs = sources.to(x.device), signs.to(x)
        if self._stays:
            return x.unsqueeze(1) * signs
        members = x.index_select(1, sources).view(-1, *signs.shape)
        return members if self._keeps_signs else members * signs

    def keys(self, x: torch.Tensor, /) -> torch.Tensor:
        """Return a key of every member of each sample's orbit, as `Action.keys`.

        Where matrices round, the bits of a member depend on the one it was made from. Then keys are in the order of a
        fixed weighted sum of the coordinates, which rounding changes little.
        """
        if self._signed is None and isinstance(self.group, FiniteGroup):
            return self._sums(x)
        if self._signed is None or x.dim() != 2:
            return super().keys(x)
        members = self.orbit(x.detach()).flatten(0, 1)
        return checksums(members, position_weights(torch.Size([1, self.dimension]), x.device)).view(len(x), -1)

    @torch.no_grad()
    def _sums(self, x: torch.Tensor) -> torch.Tensor:
        """Return a weighted sum of the coordinates of every member, `(B, G)`, as int64 in the same order."""
        self._check(x)
        weights = position_weights(torch.Size([1, math.prod(x.shape[1:])]), x.device).double() / 2**63
        members = (self.apply(g, x.double()).flatten(1) for g in range(self.group.order))
        bits = (torch.stack([(member * weights).sum(1) for member in members], dim=1) + 0.0).view(torch.int64)
        return bits ^ ((bits >> 63) & torch.iinfo(torch.int64).max)  # of negative numbers, larger bits are smaller

    def _parts(self, elements: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what turns, `(..., d, d)`, and what is added, `(..., d)`; both fit to a tensor of coordinates."""
        if self._matrices is not None:
            return self._matrices.to(like.dtype).to(like.device)[elements], None
        return self.group.parts(elements)[0], None

    def _check(self, x: torch.Tensor) -> None:
        if not x.is_floating_point():
            raise ActionError(
                f"Coordinates are floating numbers; received {x.dtype}. Convert them, as with x.float()."
            )
        if x.shape[-1:] != (self.dimension,):
            raise ActionError(
                f"{self.group!r} acts on {self.dimension} coordinates, which lie in the last axis; received the shape "
                f"{tuple(x.shape)}."
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.group!r})"


class PointAction(VectorAction):
    r"""A group on points: positions, key points, clouds. They turn about the origin and are translated.

    $$ g p = R_g p + t_g $$

    A group that does not translate has $t_g = 0$, so it moves points as `VectorAction` moves vectors. In coordinates
    of pixels y points downwards, so rotations by positive angles are clockwise there.

    Args:
        group (`ContinuousGroup` or `FiniteGroup`):
            See `VectorAction`.
        matrices (`torch.Tensor` or nested sequence of `float`, shape `(G, d, d)`, *optional*):
            See `VectorAction`.

    Raises:
        ActionError: As `VectorAction`.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi.actions import PointAction, VectorAction
        >>> from hf_equi.groups import SE2
        >>> group = SE2()
        >>> g = group.exp(torch.tensor([1.0, 0.0, 0.0]))  # one to the right
        >>> x = torch.tensor([[[0.0, 0.0], [2.0, 3.0]]])  # a cloud of two
        >>> PointAction(group).apply(g, x), VectorAction(group).apply(g, x)
        (tensor([[[1., 0.],
             [3., 3.]]]), tensor([[[0., 0.],
             [2., 3.]]]))

        ```
    """

    def _parts(self, elements: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if isinstance(self.group, ContinuousGroup) and self.group.translates:
            return self.group.parts(elements)
        return super()._parts(elements, like)


def _signed_permutations(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return from which coordinate each one comes, `(G, d)`, and with which sign; `None` for other matrices."""
    sources = matrices.abs().argmax(-1)
    signs = matrices.gather(-1, sources.unsqueeze(-1)).squeeze(-1)
    rebuilt = torch.zeros_like(matrices).scatter(-1, sources.unsqueeze(-1), signs.unsqueeze(-1))
    exact = torch.equal(rebuilt, matrices) and bool((signs.abs() == 1).all())
    return (sources, signs.float()) if exact else None


def _matrices_of(group: Any, matrices: Any) -> torch.Tensor:
    """Return the matrix by which each element of a finite group acts."""
    if not isinstance(group, FiniteGroup):
        raise ActionError(f"{group!r} is neither a continuous nor a finite group of this library.")
    given = getattr(group, "matrices", None) if matrices is None else matrices
    if given is None:
        raise ActionError(
            f"{group!r} has no matrices: pass matrices=, one for each element, or use a MatrixGroup, such as "
            "MatrixGroup.cube()."
        )
    try:
        return check_representation(group, given)
    except GroupError as error:
        raise ActionError(f"The matrices do not multiply like the elements of {group!r}. {error}") from error

"""Continuous groups of the plane and of space: rotations, mirrors and translations, as matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from hf_equi.checks import check_choice
from hf_equi.errors import GroupError
from hf_equi.groups._motions import first_fault, first_index, has_values, homogeneous, name_of, require_floats
from hf_equi.groups.registry import TYPE, without_type
from hf_equi.groups.rotations import (
    inverse_transport,
    multiply,
    rotation_matrix,
    rotation_vector,
    sample_orthogonal,
    transport,
)

__all__ = ["E2", "E3", "NAMED", "O2", "O3", "SE2", "SE3", "SO2", "SO3", "ContinuousGroup"]


class ContinuousGroup:
    r"""A group of motions of the plane or of space that keep distances: the base of `SO2` to `E3`.

    $$ g x = R x + t, \qquad R^\top R = 1, \qquad gh \cdot x = g (h x) $$

    | | the plane, d = 2 | space, d = 3 | |
    |---|---|---|---|
    | rotations | `SO2()` | `SO3()` | t = 0, det R = 1 |
    | rotations and mirrors | `O2()` | `O3()` | t = 0 |
    | rotations and translations | `SE2()` | `SE3()` | det R = 1 |
    | all three | `E2()` | `E3()` | |

    An element is a matrix: R itself, or if the group translates, the homogeneous matrix $(R, t; 0, 1)$ of side d + 1.
    Several elements are a batch, `(..., side, side)`. They are float32 or float64, on any device, and gradients flow
    through all methods. The identity and random elements are float64, on the CPU: convert them with `.to(x)`.

    Methods check shapes and dtypes. Only `check` looks at values, and so do actions.

    Attributes:
        dimension: d, 2 or 3.
        mirrors: Whether the group has mirrors.
        translates: Whether the group has translations.

    Raises:
        GroupError: For the base class itself, which is not a group.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi.groups import SO3
        >>> group = SO3()
        >>> g, h = group.sample(2, torch.Generator().manual_seed(0))
        >>> bool(group.distance(group.compose(g, group.inverse(g)), group.identity) < 1e-12)
        True
        >>> torch.allclose(group.exp(group.log(h)), h)
        True

        ```
    """

    dimension: ClassVar[int]
    mirrors: ClassVar[bool] = False
    translates: ClassVar[bool] = False

    def __init__(self) -> None:
        if not hasattr(self, "dimension"):
            raise GroupError(f"{type(self).__name__} is not itself a group: use one of {', '.join(NAMED)}.")

    @property
    def side(self) -> int:
        """The side of the matrices: d, or d + 1 if the group translates."""
        return self.dimension + self.translates

    @property
    def coordinates(self) -> int:
        """The number of coordinates of a logarithm: those of a translation, if any, and those of a rotation."""
        return self.dimension * self.translates + (1 if self.dimension == 2 else 3)

    @property
    def identity(self) -> torch.Tensor:
        """The identity, `(side, side)` float64 on the CPU."""
        return torch.eye(self.side, dtype=torch.float64, device="cpu")

    def compose(self, g: torch.Tensor, h: torch.Tensor, /) -> torch.Tensor:
        """Return gh, which acts as g after h.

        Args:
            g: `(..., side, side)`.
            h: `(..., side, side)`; leading axes broadcast.

        Raises:
            GroupError: For tensors that are not such matrices.
        """
        return multiply(self._matrices(g), self._matrices(h))

    def inverse(self, g: torch.Tensor, /) -> torch.Tensor:
        r"""Return g⁻¹: $R^\top$, and the translation $-R^\top t$.

        Raises:
            GroupError: For a tensor that is not a batch of matrices `(..., side, side)`.
        """
        if not self.translates:
            return self._matrices(g).mT
        linear, translation = self.parts(g)
        back = linear.mT
        return homogeneous(back, -multiply(back, translation.unsqueeze(-1)).squeeze(-1))

    def parts(self, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return R, `(..., d, d)`, and t, `(..., d)`, which is 0 if the group does not translate.

        Raises:
            GroupError: As `inverse`.
        """
        d, matrices = self.dimension, self._matrices(g)
        if self.translates:
            return matrices[..., :d, :d], matrices[..., :d, d]
        return matrices, torch.zeros_like(matrices[..., 0])

    def exp(self, vector: torch.Tensor) -> torch.Tensor:
        r"""Return the elements that are reached from the identity along some vectors, at time 1.

        $$ R = \exp K, \qquad t = V v, \qquad V = \int_0^1 \exp(s K)\, ds $$

        Args:
            vector: `(..., coordinates)`: the d coordinates of v, if the group translates; then the angle in the plane,
                or the axis times the angle in space. Angles are in radians, counter-clockwise.

        Returns:
            `(..., side, side)`. They have no mirrors, as no path leads to a mirror.

        Raises:
            GroupError: For a tensor of another shape or dtype.
        """
        require_floats("A vector", vector)
        if vector.shape[-1:] != (self.coordinates,):
            raise GroupError(
                f"A logarithm in {self!r} has {self.coordinates} coordinates, in the last axis; received the shape "
                f"{tuple(vector.shape)}."
            )
        if not self.translates:
            return rotation_matrix(vector)
        translation, turn = vector[..., : self.dimension], vector[..., self.dimension :]
        moved = multiply(transport(turn), translation.unsqueeze(-1)).squeeze(-1)
        return homogeneous(rotation_matrix(turn), moved)

    def log(self, g: torch.Tensor) -> torch.Tensor:
        """Return the shortest vectors whose `exp` are the given elements. Their angles are at most π.

        All digits are kept near the identity and near half a turn. At half a turn two opposite axes are equally right,
        and one of them is returned. In groups with mirrors, only elements that do not mirror have a logarithm.

        Args:
            g: `(..., side, side)`.

        Returns:
            `(..., coordinates)`, in the order of `exp`.

        Raises:
            GroupError: As `inverse`; for an element that mirrors, which is named.
        """
        linear, translation = self.parts(g)
        if self.mirrors and has_values(g) and (index := first_index(self.mirrored(g))) is not None:
            raise GroupError(
                f"{name_of(index, linear)} mirrors, so no path leads to it from the identity, and it has no "
                "logarithm. Take that of its product with a fixed mirror."
            )
        turn = rotation_vector(linear)
        if not self.translates:
            return turn
        moved = multiply(inverse_transport(turn), translation.unsqueeze(-1)).squeeze(-1)
        return torch.cat([moved, turn], -1)

    def mirrored(self, g: torch.Tensor) -> torch.Tensor:
        """Return which elements mirror: `(...)` bool, where the determinant of R is negative.

        Raises:
            GroupError: As `inverse`.
        """
        mirrored: torch.Tensor = torch.linalg.det(self.parts(g)[0].detach()) < 0
        return mirrored

    def distance(self, g: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        r"""Return the length of the shortest path from g to h.

        $$ d(g, h) = \sqrt{θ^2 + |t_g - t_h|^2} $$

        with θ the angle of $R_g^\top R_h$ in radians. It is the same after any element k, $d(kg, kh) = d(g, h)$. It is
        also the same before k, $d(gk, hk) = d(g, h)$, if the group does not translate.

        Args:
            g: `(..., side, side)`.
            h: `(..., side, side)`; leading axes broadcast.

        Returns:
            `(...)`. It is infinite if only one of the two mirrors, as no path connects them. The gradient is 0 where g
            equals h.

        Raises:
            GroupError: As `compose`.
        """
        (turn_g, place_g), (turn_h, place_h) = self.parts(g), self.parts(h)
        between = multiply(turn_g.mT, turn_h)
        # The logarithm of a mirror would be NaN, and so would gradients through it, although they do not count.
        apart = torch.linalg.det(between.detach()) < 0
        identity = torch.eye(self.dimension, dtype=between.dtype, device=between.device)
        turn = rotation_vector(torch.where(apart[..., None, None], identity, between))
        length: torch.Tensor = torch.linalg.vector_norm(torch.cat([turn, place_g - place_h], -1), dim=-1)
        return length.masked_fill(apart, torch.inf)

    def sample(
        self, count: int, generator: torch.Generator | None = None, *, scale: float | None = None
    ) -> torch.Tensor:
        """Draw elements: R by the Haar measure, which no element changes.

        Translations have no such measure of finite mass. They are normal, independent of R.

        Args:
            count: How many.
            generator: The source of randomness; torch's own by default.
            scale: The standard deviation of each coordinate of a translation, 1 by default.

        Returns:
            `(count, side, side)` float64, on the CPU.

        Raises:
            GroupError: For a scale if the group does not translate.
        """
        if scale is not None and not self.translates:
            raise GroupError(f"{self!r} does not translate, so scale={scale!r} has no effect: leave it out.")
        linear = sample_orthogonal(count, self.dimension, self.mirrors, generator)
        if not self.translates:
            return linear
        normal = torch.randn(count, self.dimension, generator=generator, dtype=torch.float64, device="cpu")
        return homogeneous(linear, (1.0 if scale is None else scale) * normal)

    def check(self, elements: torch.Tensor) -> torch.Tensor:
        """Return elements as they are, if they are in the group.

        Entries of $g g^T - 1$ may be off by 1e-4 in float32 and by 1e-6 in float64.

        Args:
            elements: `(..., side, side)`.

        Raises:
            GroupError: For a tensor of another shape or dtype; for a matrix that is not in the group or not finite, of
                which the message names the first. While a graph is traced, and on the meta device, elements have no
                values that could be checked.
        """
        linear, _ = self.parts(elements)
        if has_values(elements) and (fault := first_fault(elements, linear, self.mirrors)):
            index, what = fault
            raise GroupError(f"{name_of(index, linear)} is not in {self!r}: {what}")
        return elements

    def _matrices(self, elements: torch.Tensor) -> torch.Tensor:
        """Return elements as they are, if their shape and dtype are those of elements."""
        require_floats("An element", elements)
        if elements.shape[-2:] != (self.side, self.side):
            raise GroupError(
                f"Elements of {self!r} are matrices, (..., {self.side}, {self.side}); received the shape "
                f"{tuple(elements.shape)}."
            )
        return elements

    def to_dict(self) -> dict[str, Any]:
        """Return the group as a dictionary of JSON scalars, as configs store it: its name."""
        return {TYPE: "continuous", "name": type(self).__name__}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ContinuousGroup:
        """Return the group that `to_dict` described.

        Raises:
            GroupError: If the description has another kind, other keys, or an unknown name.
        """
        what = 'A continuous group is described by {"type": "continuous", "name": ...}'
        stored = without_type(content, "continuous", what)
        if stored.keys() != {"name"}:
            raise GroupError(f"{what}; received the keys {sorted(map(str, content))}.")
        check_choice("name", stored["name"], NAMED, " among the continuous groups", error=GroupError)
        return NAMED[stored["name"]]()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) if isinstance(other, ContinuousGroup) else NotImplemented

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SO2(ContinuousGroup):
    """The rotations of the plane, as matrices `(..., 2, 2)`. A logarithm is the angle, `(..., 1)`.

    Example:
        >>> group = SO2()
        >>> turns = group.exp(torch.tensor([[0.5], [0.25]]))
        >>> group.log(group.compose(turns[0], turns[1]))
        tensor([0.7500])
    """

    dimension = 2


class O2(ContinuousGroup):
    """The rotations of the plane and the mirrors at lines through the origin, as matrices `(..., 2, 2)`."""

    dimension, mirrors = 2, True


class SO3(ContinuousGroup):
    """The rotations of space, as matrices `(..., 3, 3)`. A logarithm is the axis times the angle, `(..., 3)`.

    Example:
        >>> quarter_turn = SO3().exp(torch.tensor([0.0, 0.0, torch.pi / 2]))
        >>> SO3().distance(quarter_turn, torch.eye(3))
        tensor(1.5708)
    """

    dimension = 3


class O3(ContinuousGroup):
    """The rotations of space, and their products with the inversion x ↦ -x, as matrices `(..., 3, 3)`."""

    dimension, mirrors = 3, True


class SE2(ContinuousGroup):
    """The rotations and translations of the plane, as homogeneous matrices `(..., 3, 3)`."""

    dimension, translates = 2, True


class SE3(ContinuousGroup):
    """The rotations and translations of space, as homogeneous matrices `(..., 4, 4)`.

    Example:
        >>> group = SE3()
        >>> g = group.exp(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]))  # no rotation, so the translation itself
        >>> group.parts(group.inverse(g))[1]
        tensor([-1., -0., -0.])
    """

    dimension, translates = 3, True


class E2(ContinuousGroup):
    """The rotations, mirrors and translations of the plane, as homogeneous matrices `(..., 3, 3)`."""

    dimension, mirrors, translates = 2, True, True


class E3(ContinuousGroup):
    """The rotations, mirrors and translations of space, as homogeneous matrices `(..., 4, 4)`."""

    dimension, mirrors, translates = 3, True, True


NAMED: dict[str, type[ContinuousGroup]] = {one.__name__: one for one in (SO2, O2, SO3, O3, SE2, SE3, E2, E3)}
"""The groups that configs name."""

"""Finite groups of matrices: those of regular polygons and solids, and any others."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from hf_equi.errors import GroupError
from hf_equi.groups._axioms import require_order
from hf_equi.groups.finite import FiniteGroup
from hf_equi.groups.registry import TYPE, without_type
from hf_equi.groups.rotations import multiply, rotation_vector
from hf_equi.groups.spatial import ImageGroup

__all__ = ["MatrixGroup", "check_representation"]

_TOLERANCE = 1e-6
"""Entries closer than this are equal. It admits matrices that were computed in float32."""
_GOLDEN = (1 + math.sqrt(5)) / 2


class MatrixGroup(FiniteGroup):
    r"""A finite group of matrices, which act on vectors of d coordinates.

    $$ A_{gh} = A_g A_h, \qquad A_0 = 1 $$

    with $A_g$ = `matrices[g]`. They need not be orthogonal. The symmetries of regular polygons and solids are made by
    `cyclic`, `dihedral`, `tetrahedron`, `cube` and `icosahedron`.

    Args:
        matrices (`torch.Tensor` or nested sequence of `float`, shape `(G, d, d)`):
            All elements, the identity first.
        names (`Sequence[str]`, *optional*):
            One distinct name per element; by default the angle and the axis of rotations of space, and of their
            products with the inversion; otherwise `"e"`, `"g1"`, `"g2"`, ...

    Attributes:
        matrices: `(G, d, d)` float64, on the CPU. Entries within 1e-6 of -1, 0 or 1 are made exact.

    Raises:
        GroupError: If these are not square matrices of finite numbers, if the first is not the identity, if two are
            equal, if a product of two is missing (the message names them), or if names are not distinct.

    Example:
        ```python
        >>> from hf_equi.groups import MatrixGroup
        >>> cube = MatrixGroup.cube()
        >>> cube.order, cube.names[1]
        (24, '180° about (1, 0, 0)')
        >>> cube.matrices[1].tolist()
        [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]

        ```
    """

    matrices: torch.Tensor

    def __init__(
        self, matrices: torch.Tensor | Sequence[Sequence[Sequence[float]]], *, names: Sequence[str] | None = None
    ) -> None:
        self.matrices = _read_matrices(matrices)
        require_order(len(self.matrices), "a group of this many matrices")
        table = _product_table(self.matrices)
        super().__init__(table, names=_turn_names(self.matrices) if names is None else names)

    @staticmethod
    def generated(generators: torch.Tensor | Sequence[Sequence[Sequence[float]]]) -> MatrixGroup:
        """Return the group of all products of some matrices, in the order in which they are found.

        Args:
            generators (`torch.Tensor` or nested sequence of `float`, shape `(n, d, d)`):
                The matrices.

        Raises:
            GroupError: As the constructor; if there are more than `MAX_ORDER` products, perhaps infinitely many.

        Example:
            ```python
            >>> from hf_equi.groups import MatrixGroup
            >>> MatrixGroup.generated([[[0.0, -1.0], [1.0, 0.0]], [[-1.0, 0.0], [0.0, 1.0]]]).order
            8

            ```
        """
        return MatrixGroup(_closure(_read_matrices(generators)))

    @staticmethod
    def cyclic(n: int, dimension: int = 2) -> MatrixGroup:
        """Return the n rotations of a regular polygon, in SO(2): element k turns by 360 k / n degrees.

        Args:
            n (`int`):
                The number of rotations.
            dimension (`int`, *optional*, defaults to 2):
                2 for the plane, 3 for rotations of space about the z axis.

        Raises:
            GroupError: If n is not an integer from 1 to `MAX_ORDER`, or for another dimension.
        """
        if dimension not in (2, 3):
            raise GroupError(f"dimension={dimension!r}: rotations about one axis are of the plane, 2, or of space, 3.")
        plane = _of_the_plane(ImageGroup.rotations(n))
        if dimension == 2:
            return plane
        matrices = torch.nn.functional.pad(plane.matrices, (0, 1, 0, 1))
        matrices[:, 2, 2] = 1
        return MatrixGroup(matrices, names=plane.names)

    @staticmethod
    def dihedral(n: int) -> MatrixGroup:
        """Return all 2n symmetries of a regular polygon, in O(2).

        Element (k, s) has index k + n s. It changes the sign of the first coordinate if s = 1, and then turns by
        360 k / n degrees, as `ImageGroup.dihedral(n)` does with images.

        Raises:
            GroupError: If n is not an integer from 1 to `MAX_ORDER` / 2.
        """
        return _of_the_plane(ImageGroup.dihedral(n))

    @staticmethod
    def tetrahedron(*, mirrors: bool = False) -> MatrixGroup:
        """Return the 12 rotations of a regular tetrahedron, or all 24 symmetries.

        Its corners are (1, 1, 1), (1, -1, -1), (-1, 1, -1) and (-1, -1, 1).

        Args:
            mirrors (`bool`, *optional*, defaults to `False`):
                Whether mirrors belong to it.
        """
        signed = _signed_permutations()
        # The corners are those whose coordinates multiply to 1.
        signed = signed[signed.sum(-1).prod(-1) > 0]
        return MatrixGroup(signed if mirrors else _without_mirrors(signed))

    @staticmethod
    def cube(*, mirrors: bool = False) -> MatrixGroup:
        """Return the 24 rotations of a cube and an octahedron, or all 48 symmetries.

        The octahedron has its corners on the axes, and the cube its faces across them.

        Args:
            mirrors (`bool`, *optional*, defaults to `False`):
                Whether mirrors belong to it.
        """
        signed = _signed_permutations()
        return MatrixGroup(signed if mirrors else _without_mirrors(signed))

    @staticmethod
    def icosahedron(*, mirrors: bool = False) -> MatrixGroup:
        """Return the 60 rotations of an icosahedron and a dodecahedron, or all 120 symmetries.

        The icosahedron has the corners (±1, 0, ±φ), (±φ, ±1, 0) and (0, ±φ, ±1), with φ the golden ratio.

        Args:
            mirrors (`bool`, *optional*, defaults to `False`):
                Whether mirrors belong to it.
        """
        a, b, c = 0.5, _GOLDEN / 2, (_GOLDEN - 1) / 2
        turns = [
            [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
            [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]],
            [[a, -b, c], [b, c, -a], [c, a, b]],
        ]
        found = _closure(_read_matrices(turns))
        # Products round. Each entry is one of nine numbers.
        entries = torch.tensor(
            [0.0, *(sign * x for x in (a, b, c, 1.0) for sign in (1, -1))], dtype=found.dtype, device="cpu"
        )
        found = entries[(found.unsqueeze(-1) - entries).abs().argmin(-1)]
        return MatrixGroup(torch.cat([found, -found]) if mirrors else found)

    def to_dict(self) -> dict[str, Any]:
        """Return the group as a dictionary of JSON scalars, as configs store it: its matrices and names."""
        return {TYPE: "matrix", "matrices": self.matrices.tolist(), "names": list(self.names)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> MatrixGroup:
        """Return the group that `to_dict` described.

        Raises:
            GroupError: If the description has another kind, has missing or unknown keys, or is not that of a group.
        """
        what = 'A group of matrices is described by {"type": "matrix", "matrices": ..., "names": ...}'
        stored = without_type(content, "matrix", what)
        if stored.keys() != {"matrices", "names"}:
            raise GroupError(f"{what}; received the keys {sorted(map(str, content))}.")
        return cls(stored["matrices"], names=stored["names"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MatrixGroup):
            return NotImplemented
        return self.names == other.names and torch.equal(self.matrices, other.matrices)

    def __hash__(self) -> int:
        return hash(self.names)


def check_representation(group: FiniteGroup, matrices: Any) -> torch.Tensor:
    """Return a linear representation of a group as a `(G, d, d)` float64 tensor on the CPU, checked.

    Args:
        group: The group.
        matrices: `(G, d, d)`, the matrix by which each element acts.

    Raises:
        GroupError: If these are not matrices, one for each element, or do not multiply like the elements.
    """
    rows = _read_matrices(matrices)
    if len(rows) != group.order:
        raise GroupError(
            f"matrices needs one matrix per element, ({group.order}, d, d); received {tuple(rows.shape)}."
        )
    for g in (0, *group.generators):  # a map that respects the product with each generator respects all products
        apart = (rows[group.product[g]] - multiply(rows[g], rows)).abs().amax((1, 2))
        if g == 0:
            apart = torch.maximum(apart, (rows[0] - _identity(rows)).abs().max())
        if bool((apart > _TOLERANCE).any()):
            h = int(apart.argmax())
            raise GroupError(
                f"matrices is not a representation: matrices[product[{g}, {h}]] differs from matrices[{g}] @ "
                f"matrices[{h}] by up to {float(apart[h]):.2g}. product[g, h] acts as g after h."
            )
    return rows


def _read_matrices(matrices: Any) -> torch.Tensor:
    """Return matrices as a new `(n, d, d)` float64 tensor on the CPU, in which -1, 0 and 1 are exact."""
    try:
        # Without a dtype, lists would become float32.
        rows = torch.as_tensor(matrices, dtype=torch.float64, device="cpu").detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise GroupError(f"matrices must be a rectangular array of numbers; received {matrices!r}.") from error
    if rows.dim() != 3 or rows.shape[1] != rows.shape[2] or not rows.numel():
        raise GroupError(f"matrices needs the shape (G, d, d) with G and d >= 1; received {tuple(rows.shape)}.")
    wrong = (~rows.isfinite()).any(-1).any(-1).nonzero()
    if len(wrong):
        raise GroupError(f"Matrix {int(wrong[0])} of {len(rows)} holds NaN or infinity.")
    nearest = rows.round()
    return torch.where(((rows - nearest).abs() < _TOLERANCE) & (nearest.abs() <= 1), nearest, rows) + 0.0


def _product_table(matrices: torch.Tensor) -> torch.Tensor:
    """Return the product table of matrices, `(G, G)`."""
    if bool(((matrices[0] - _identity(matrices)).abs() > _TOLERANCE).any()):
        raise GroupError(f"Matrix 0 must be the identity, because element 0 is; received {matrices[0].tolist()}.")
    rows = []
    for g, matrix in enumerate(matrices):
        apart, nearest = _distances(multiply(matrix, matrices), matrices).min(1)
        if bool((apart > _TOLERANCE).any()):
            h = int(apart.argmax())
            raise GroupError(
                f"Closure fails: the product of matrices {g} and {h} is not one of the {len(matrices)} matrices. "
                "MatrixGroup.generated(matrices) adds what is missing."
            )
        rows.append(nearest)
    equal = (_distances(matrices, matrices) < _TOLERANCE).triu(1).nonzero()
    if len(equal):
        g, h = equal[0].tolist()
        raise GroupError(f"Matrices {g} and {h} are equal: give each element once.")
    return torch.stack(rows)


def _identity(matrices: torch.Tensor) -> torch.Tensor:
    return torch.eye(matrices.shape[1], dtype=torch.float64, device="cpu")


def _distances(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the largest difference of entries, for each two matrices."""
    return torch.cdist(some.flatten(1), others.flatten(1), p=torch.inf)


def _closure(generators: torch.Tensor) -> torch.Tensor:
    """Return all products of some matrices, the identity first."""
    found, known = _identity(generators).unsqueeze(0), 0
    while known < len(found):
        newest, known = found[known:], len(found)
        for one in multiply(generators.unsqueeze(1), newest).flatten(0, 1):
            if float(_distances(one.unsqueeze(0), found).min()) > _TOLERANCE:
                found = torch.cat([found, one.unsqueeze(0)])
                require_order(len(found), "the group of these matrices")
    return found


def _signed_permutations() -> torch.Tensor:
    """Return the matrices that permute three coordinates and change signs, `(48, 3, 3)`, the identity first."""
    permutations = torch.tensor(list(itertools.permutations(range(3))), device="cpu")
    signs = torch.tensor(list(itertools.product((1.0, -1.0), repeat=3)), dtype=torch.float64, device="cpu")
    units = torch.eye(3, dtype=torch.float64, device="cpu")[permutations]
    return (units.unsqueeze(1) * signs.unsqueeze(-1)).flatten(0, 1)


def _without_mirrors(matrices: torch.Tensor) -> torch.Tensor:
    return matrices[torch.linalg.det(matrices) > 0]


def _of_the_plane(group: ImageGroup) -> MatrixGroup:
    return MatrixGroup(group.matrices, names=group.names)


def _turn_names(matrices: torch.Tensor) -> list[str] | None:
    """Return the angle and the axis of each element, if all are rotations of space or inverted ones."""
    if matrices.shape[1] != 3 or bool(
        ((multiply(matrices, matrices.mT) - _identity(matrices)).abs() > _TOLERANCE).any()
    ):
        return None
    inverted = torch.linalg.det(matrices) < 0
    vectors = rotation_vector(torch.where(inverted[:, None, None], -matrices, matrices))
    names = []
    for vector, is_inverted in zip(vectors, inverted.tolist(), strict=True):
        angle = round(math.degrees(float(vector.norm())), 3)
        axis = [round(x, 3) + 0.0 for x in (vector / vector.abs().max()).tolist()] if angle else []
        if angle == 180 and next(filter(None, axis)) < 0:  # of two opposite axes, always the same
            axis = [0.0 - x for x in axis]
        about = f" about ({', '.join(f'{x:g}' for x in axis)})" if angle else ""
        names.append(f"{angle:g}°{about}" + " inverted" * is_inverted)
    return names if len(set(names)) == len(names) else None

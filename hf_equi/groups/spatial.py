"""Groups of the image plane: rotations, mirrors, and both together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from hf_equi.checks import check_choice
from hf_equi.errors import GroupError
from hf_equi.groups.finite import FiniteGroup
from hf_equi.groups.registry import TYPE, without_type

__all__ = ["ImageGroup"]

# The parameter that each kind takes.
_PARAMETERS: Mapping[str, str | None] = {"dihedral": "n", "flips": "axes", "rotations": "n", "trivial": None}
# The elements for each choice of axes: name, quarter turns, mirrored. Up-down is left-right, then half a turn.
_IDENTITY, _HORIZONTAL = ("identity", 0, False), ("horizontal", 0, True)
_VERTICAL, _BOTH = ("vertical", 2, True), ("both", 2, False)
_FLIPS = {
    "horizontal": (_IDENTITY, _HORIZONTAL),
    "vertical": (_IDENTITY, _VERTICAL),
    "both": (_IDENTITY, _HORIZONTAL, _VERTICAL, _BOTH),
}


class ImageGroup(FiniteGroup):
    r"""A finite group of rotations and mirrors of the image plane.

    Every element g mirrors an image left-right or not, $m_g \in \{0, 1\}$, and then turns it counter-clockwise:

    $$ g = R(\alpha_g)\, M^{m_g}, \qquad M R(\alpha) = R(-\alpha) M $$

    with $\alpha_g$ = `angles[g]` = 90 `quarters[g]` + `rests[g]` and $m_g$ = `mirrored[g]`. Groups are made by
    `rotations`, `flips`, `dihedral` and `trivial`; `PixelAction` and `GridAction` act with them.

    Args:
        kind (`str`):
            `"rotations"`, `"flips"`, `"dihedral"` or `"trivial"`.
        n (`int`, *optional*):
            The number of rotations, for rotations and dihedral groups.
        axes (`str`, *optional*):
            `"horizontal"`, `"vertical"` or `"both"`, for flips.

    Attributes:
        kind: The kind, as given.
        n: The number of rotations, or `None`.
        axes: The axes of flips, or `None`.
        angles: `(G,)` float64, degrees from 0 to below 360.
        mirrored: `(G,)` bool.
        quarters: `(G,)` int64, the whole quarter turns in each angle, 0 to 3.
        rests: `(G,)` float64, the degrees beyond them, from 0 to below 90. Angles that differ by quarter turns have
            the same rest to the bit.
        motions: For each element, whether it mirrors, its quarter turns and its rest: the tables as plain numbers.

    Raises:
        GroupError: For an unknown kind, a parameter that the kind does not take, or one that does not make a group.
            The message lists the choices.

    Example:
        ```python
        >>> from hf_equi import ImageGroup
        >>> square = ImageGroup.dihedral(4)
        >>> square, square.order, square.names[5]
        (ImageGroup.dihedral(4), 8, '90° mirrored')
        >>> square.names[square.product[square.element("0° mirrored"), square.element("90°")]]
        '270° mirrored'

        ```
    """

    kind: str
    n: int | None
    axes: str | None
    angles: torch.Tensor
    mirrored: torch.Tensor
    quarters: torch.Tensor
    rests: torch.Tensor
    motions: tuple[tuple[bool, int, float], ...]

    def __init__(self, kind: str, *, n: int | None = None, axes: str | None = None) -> None:
        _check_parameters(kind, {"n": n, "axes": axes})
        self.kind, self.n, self.axes = kind, n, axes
        if n is not None:
            self._build_turns(n)
        else:
            self._build_flips()
        parts = (self.mirrored.tolist(), self.quarters.tolist(), self.rests.tolist())
        self.motions = tuple(zip(*parts, strict=True))

    def _build_turns(self, n: int) -> None:
        # These raise for an n that is not a size, or too large.
        table = FiniteGroup.dihedral(n) if self.kind == "dihedral" else FiniteGroup.cyclic(n)
        turn = torch.arange(table.order, device="cpu") % n
        # In integers: n = 28 has a quarter turn, and 360 * 8 / 28 - 90 is not 360 / 28 in float64.
        self.quarters, self.rests = 4 * turn // n, 90.0 * (4 * turn % n).double() / n
        self.mirrored = torch.arange(table.order, device="cpu") >= n
        self.angles = 360.0 * turn.double() / n
        names = [
            f"{angle:g}°" + " mirrored" * mirrored
            for angle, mirrored in zip(self.angles.tolist(), self.mirrored.tolist(), strict=True)
        ]
        self._take_over(table, names)

    def _build_flips(self) -> None:
        names, quarters, mirrored = zip(*(_FLIPS[self.axes] if self.axes else (_IDENTITY,)), strict=True)
        self.quarters = torch.tensor(quarters, device="cpu")
        self.mirrored = torch.tensor(mirrored, device="cpu")
        self.rests = torch.zeros(len(names), dtype=torch.float64, device="cpu")
        self.angles = 90.0 * self.quarters.double()
        # The elements of each of these groups are the binary numbers below its order, and multiply by exclusive or.
        element = torch.arange(len(names), device="cpu")
        super().__init__(element[:, None] ^ element[None, :], names=names)

    @staticmethod
    def rotations(n: int) -> ImageGroup:
        """Return the cyclic group of n rotations: element k turns by 360 k / n degrees counter-clockwise.

        Raises:
            GroupError: If n is not an integer from 1 to `MAX_ORDER`.
        """
        return ImageGroup("rotations", n=n)

    @staticmethod
    def flips(axes: str = "both") -> ImageGroup:
        """Return the group of mirrors: left-right (horizontal), up-down (vertical), or both and their product.

        The elements of `"both"` are identity, horizontal, vertical, both; the last is the half turn.

        Raises:
            GroupError: If `axes` is not `"horizontal"`, `"vertical"` or `"both"`.
        """
        return ImageGroup("flips", axes=axes)

    @staticmethod
    def dihedral(n: int) -> ImageGroup:
        """Return the group of n rotations and n mirrored rotations.

        Element (k, s) has index k + n s. It mirrors left-right if s = 1, and then turns by 360 k / n degrees.

        Raises:
            GroupError: If n is not an integer from 1 to `MAX_ORDER` / 2.
        """
        return ImageGroup("dihedral", n=n)

    @staticmethod
    def trivial() -> ImageGroup:
        """Return the group that leaves every image as it is."""
        return ImageGroup("trivial")

    @property
    def exact(self) -> bool:
        """Whether every element moves pixels onto pixels, so that nothing is interpolated."""
        return not any(rest for _, _, rest in self.motions)

    @property
    def needs_square(self) -> bool:
        """Whether some element does not map a rectangle onto itself: any but flips and half turns."""
        return any(rest or quarters % 2 for _, quarters, rest in self.motions)

    @property
    def matrices(self) -> torch.Tensor:
        """The elements on points (x, y) of the plane, x to the right and y upwards: `(G, 2, 2)` float64, on the CPU.

        The entries of quarter turns and mirrors are exact.
        """
        turns = torch.deg2rad(self.rests)
        matrices = torch.stack([turns.cos(), -turns.sin(), turns.sin(), turns.cos()], -1).view(-1, 2, 2)
        for done in range(3):  # a quarter turn sends the rows (a, b) to (-b, a)
            turned = torch.stack([-matrices[:, 1], matrices[:, 0]], 1)
            matrices = torch.where((self.quarters > done)[:, None, None], turned, matrices)
        signs = torch.where(self.mirrored, -1.0, 1.0).to(matrices)  # a mirror before changes the first column
        return torch.stack([matrices[..., 0] * signs[:, None], matrices[..., 1]], -1) + 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the group as a dictionary of JSON scalars, as configs store it."""
        parameter = _PARAMETERS[self.kind]
        return {TYPE: "image", "kind": self.kind} | ({parameter: getattr(self, parameter)} if parameter else {})

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ImageGroup:
        """Return the group that `to_dict` described.

        Raises:
            GroupError: If the description has another type, has missing or unknown keys, or is not that of a group.
        """
        stored = without_type(content, "image", 'A group of images is described by {"type": "image", "kind": ...}')
        unknown = sorted(map(str, stored.keys() - {"kind", "n", "axes"}))
        if unknown:
            raise GroupError(f"No key {unknown[0]!r} in a group of images: remove it from {dict(content)!r}.")
        if "kind" not in stored:
            raise GroupError(f"A group of images needs a kind, one of {_kinds()}; received {dict(content)!r}.")
        return cls(stored["kind"], n=stored.get("n"), axes=stored.get("axes"))

    def __mul__(self, other: FiniteGroup) -> FiniteGroup:
        """Refuse the product of two groups of images; with any other group, return the direct product."""
        if isinstance(other, ImageGroup):
            raise GroupError(
                f"{self!r} * {other!r} is not a group of images: rotations and mirrors do not commute, so their "
                "direct product cannot act on one image. Use ImageGroup.dihedral(n) for both together, or "
                'ImageGroup.flips("both") for both mirrors.'
            )
        return super().__mul__(other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImageGroup):
            return NotImplemented
        return (self.kind, self.n, self.axes) == (other.kind, other.n, other.axes)

    def __hash__(self) -> int:
        return hash((self.kind, self.n, self.axes))

    def __repr__(self) -> str:
        parameter = _PARAMETERS[self.kind]
        return f"ImageGroup.{self.kind}({repr(getattr(self, parameter)) if parameter else ''})"


def _kinds() -> str:
    return ", ".join(_PARAMETERS)


def _requirement(name: str) -> str:
    return "n is an integer n >= 1" if name == "n" else f"axes is one of {', '.join(_FLIPS)}"


def _check_parameters(kind: object, given: Mapping[str, object]) -> None:
    check_choice("kind", kind, _PARAMETERS, " to ImageGroup", error=GroupError)
    wanted = _PARAMETERS[str(kind)]
    for name, value in given.items():
        if name != wanted and value is not None:
            takes = f"only {wanted}" if wanted else "nothing"
            raise GroupError(f"A group of kind {kind!r} takes {takes}; received {name}={value!r}. Leave it out.")
    if wanted and given[wanted] is None:
        raise GroupError(f"A group of kind {kind!r} needs {wanted}: {_requirement(wanted)}.")
    if wanted == "axes":
        check_choice("axes", given["axes"], _FLIPS, " to flips(axes)", error=GroupError)

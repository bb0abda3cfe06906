"""The rotations of space about one axis."""

from __future__ import annotations

import math

import torch

from hf_equi.errors import GroupError
from hf_equi.groups._motions import first_index, has_values, name_of
from hf_equi.groups.continuous import NAMED, SO2, ContinuousGroup

__all__ = ["SO2Z"]


class SO2Z(ContinuousGroup):
    r"""The rotations of space about the z axis, as matrices `(..., 3, 3)`: things that stand upright.

    $$ R_\theta = \begin{pmatrix} \cos\theta & -\sin\theta & 0 \\ \sin\theta & \cos\theta & 0 \\ 0 & 0 & 1
    \end{pmatrix} $$

    A logarithm is the angle, `(..., 1)`, counter-clockwise as seen from above.

    Example:
        >>> quarter_turn = SO2Z().exp(torch.tensor([torch.pi / 2]))
        >>> (quarter_turn @ torch.tensor([1.0, 0.0, 5.0])).round().abs().tolist()
        [0.0, 1.0, 5.0]
    """

    dimension = 3

    @property
    def coordinates(self) -> int:
        """The angle."""
        return 1

    def exp(self, vector: torch.Tensor) -> torch.Tensor:
        """Return the rotations by some angles, `(..., 1)` to `(..., 3, 3)`.

        Raises:
            GroupError: For a tensor of another shape or dtype.
        """
        return self.embed(SO2().exp(vector))

    def log(self, g: torch.Tensor) -> torch.Tensor:
        """Return the angles of some rotations, between -π and π, `(..., 3, 3)` to `(..., 1)`.

        Raises:
            GroupError: As `inverse`.
        """
        return SO2().log(self._matrices(g)[..., :2, :2])

    def sample(
        self, count: int, generator: torch.Generator | None = None, *, scale: float | None = None
    ) -> torch.Tensor:
        """Draw rotations by uniform angles, as `ContinuousGroup.sample`.

        Raises:
            GroupError: For a scale, which belongs to translations.
        """
        if scale is not None:
            raise GroupError(f"{self!r} does not translate, so scale={scale!r} has no effect: leave it out.")
        angles = torch.rand(count, 1, generator=generator, dtype=torch.float64, device="cpu") * math.tau
        return self.exp(angles)

    def check(self, elements: torch.Tensor) -> torch.Tensor:
        """Return elements as they are, if they are rotations about the z axis.

        Raises:
            GroupError: As `ContinuousGroup.check`; for a rotation that moves the axis.
        """
        super().check(elements)
        if has_values(elements):
            apart = (elements[..., 2, :] - elements.new_tensor([0.0, 0.0, 1.0])).abs().amax(-1)
            if (index := first_index(apart > (1e-4 if elements.dtype == torch.float32 else 1e-6))) is not None:
                raise GroupError(
                    f"{name_of(index, elements)} is not in {self!r}: it moves the z axis. Use SO3(), or turn the "
                    "axis of your data to z."
                )
        return elements

    def embed(self, turns: torch.Tensor) -> torch.Tensor:
        """Return rotations of the plane as rotations about the axis, `(..., 2, 2)` to `(..., 3, 3)`."""
        rows = torch.nn.functional.pad(turns, (0, 1, 0, 1))
        axis = turns.new_zeros(3, 3)
        axis[2, 2] = 1
        return rows + axis


NAMED[SO2Z.__name__] = SO2Z

"""Where the forward of a call of `generate` notes its law of units, for the processor that chooses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from hf_equi.generation.units.marginals import OpenForms

__all__ = ["UnitBoard", "UnitPlace"]


@dataclass(frozen=True)
class UnitPlace:
    """What may follow some texts.

    Args:
        law: `(B, U)` log P_G of the next unit after the closed reading of each text.
        opened: What is open at the end of each text.
    """

    law: torch.Tensor
    opened: Sequence[OpenForms]


@dataclass
class UnitBoard:
    """The law of units after each number of columns that the last forward scored.

    A call of `generate` passes one on to `forward`, as it does with its group, so no model holds a state.
    """

    _places: dict[int, UnitPlace] = field(default_factory=dict)

    def write(self, columns: int, law: torch.Tensor, opened: Sequence[Sequence[OpenForms]]) -> None:
        """Note the last places of texts; those of the forward before are forgotten.

        Args:
            columns: The number of columns of the texts.
            law: `(B, N, U)`.
            opened: What is open, for each text at each place.
        """
        count = law.shape[1]
        self._places = {
            columns - count + 1 + place: UnitPlace(law[:, place], [row[place] for row in opened])
            for place in range(count)
        }

    def take(self, ids: torch.Tensor) -> UnitPlace | None:
        """Return what may follow some texts, `(B, columns)`, once; `None` if the last forward has not scored them."""
        place = self._places.pop(ids.shape[1], None)
        return None if place is None or len(place.law) != len(ids) else place

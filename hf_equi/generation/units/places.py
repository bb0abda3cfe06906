"""The places of texts whose next unit is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from hf_equi.generation.units.readings import Reading
from hf_equi.symmetrizers import Orbit

__all__ = ["Origin", "Places"]

Origin = tuple[int, tuple[int, ...]]
"""Where a text stands in a row: the number of the row's tokens that it begins with, and the tokens that follow."""


@dataclass(frozen=True)
class Places:
    """The places whose next unit is asked for.

    Args:
        logits: `(R, N, V)` the base's scores after each place, in the frame of each row.
        readings: For each text its reading after each place; `None` where nothing is open, and at padding.
        origins: For each row where its texts stand; `None` for padding.
        orbit: Which row holds which member.
    """

    logits: torch.Tensor
    readings: Sequence[Sequence[Reading | None]]
    origins: Sequence[Sequence[Origin | None]]
    orbit: Orbit

    @cached_property
    def rows_of(self) -> list[list[int]]:
        """The row of each member."""
        rows: list[list[int]] = self.orbit.row_of.tolist()
        return rows

    @cached_property
    def elements(self) -> list[list[int]]:
        """The element of each member."""
        elements: list[list[int]] = self.orbit.elements.tolist()
        return elements

    def members(self, text: int) -> Iterator[tuple[int, int]]:
        """Yield the row and the element of each member of a text."""
        yield from zip(self.rows_of[text], self.elements[text], strict=True)

    def loud(self) -> Iterator[tuple[int, int, Reading]]:
        """Yield texts and places after which something is open, with their readings."""
        for text, readings in enumerate(self.readings):
            for place, reading in enumerate(readings):
                if reading is not None and not reading.quiet:
                    yield text, place, reading

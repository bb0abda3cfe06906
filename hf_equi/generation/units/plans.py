"""What to feed to the rows of orbits, and where they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hf_equi.generation.units.members import Member
from hf_equi.generation.units.places import Origin
from hf_equi.generation.units.state import UnitCache
from hf_equi.symmetrizers import Orbit

__all__ = ["RowPlan"]


@dataclass(frozen=True)
class RowPlan:
    """What to feed to each row.

    Args:
        orbit: Which row holds which member.
        targets: `R` texts, the tokens that each row holds after the call.
        kept: How many of the tokens that a row holds stay.
        origins: For each row the places that are asked for, as in `Places`.
        hides: Whether a cache may hide places of the rows. If not, whole texts are read.
    """

    orbit: Orbit
    targets: list[list[int]]
    kept: list[int]
    origins: list[list[Origin | None]]
    hides: bool

    @classmethod
    def of(
        cls,
        held: UnitCache,
        members: list[list[Member]],
        numbers: list[list[int | None]],
        keeps: bool,
        hides: bool,
    ) -> RowPlan:
        """Fork the rows of members that will differ, and decide what to feed.

        Args:
            held: The rows so far.
            members: `(B, K)`.
            numbers: For each text the numbers of tokens after which its law is needed.
            keeps: Whether the cache is kept.
            hides: As in the class.
        """
        orbit = held.fork(_signatures(members, numbers).to(held.orbit.elements.device))
        pairs = zip(orbit.batch_of_row.tolist(), orbit.slot_of_row.tolist(), strict=True)
        rows = [(members[text][slot], numbers[text]) for text, slot in pairs]
        targets = [[*member.held[: member.change[0]], *member.change[1]] for member, _ in rows]
        origins = [
            [None if number is None else _in_row(member.origin(number), target) for number in wanted]
            for (member, wanted), target in zip(rows, targets, strict=True)
        ]
        kept = [0] * len(rows)
        if held.texts.rows.width:
            # The last token of every place that is asked for is fed, because only then does the base say what follows.
            kept = [min(member.change[0], _first(each) - 1) for (member, _), each in zip(rows, origins, strict=True)]
        return cls(orbit, targets, kept, origins, hides)

    @property
    def new(self) -> list[list[int]]:
        """The tokens to feed to each row."""
        return [target[many:] for target, many in zip(self.targets, self.kept, strict=True)]

    @property
    def deepest(self) -> int:
        """The number of last places of the rows to score."""
        return max(len(target) - _first(each) for target, each in zip(self.targets, self.origins, strict=True)) + 1

    @property
    def places(self) -> torch.Tensor:
        """For each place that is asked for its number among the last ones, `(R, N)`; the last one for branches."""
        deepest = self.deepest
        return torch.tensor(
            [
                [deepest - 1 if each is None or each[1] else deepest - 1 - (len(target) - each[0]) for each in row]
                for row, target in zip(self.origins, self.targets, strict=True)
            ]
        )


def _signatures(members: Sequence[Sequence[Member]], numbers: Sequence[Sequence[int | None]]) -> torch.Tensor:
    """Return numbers that are equal for members of a text that read the same, `(B, K)`.

    Their order is that of what members read, so it does not depend on which member was given.
    """
    table = []
    for row, wanted in zip(members, numbers, strict=True):
        reads = [
            (*member.change, [member.origin(number) for number in wanted if number is not None]) for member in row
        ]
        order = sorted(reads)
        table.append([order.index(each) for each in reads])
    return torch.tensor(table)


def _first(origins: Sequence[Origin | None]) -> int:
    """Return the least number of tokens after which a row itself is asked."""
    return min(kept for kept, after in filter(None, origins) if not after)


def _in_row(origin: Origin, target: Sequence[int]) -> Origin:
    """Return a branch as a place of its row, if the row goes on like it."""
    kept, after = origin
    end = kept + len(after)
    return (end, ()) if after and tuple(target[kept:end]) == after else origin

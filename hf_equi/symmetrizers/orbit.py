r"""Orbits of a batch whose equal members share one physical row.

Letters: B batch, K members asked for (all of the group, or those that a method has chosen), R physical rows.

Logically an orbit is `(B, K, ...)`. Physically the distinct members of each orbit lie side by side, batch-major, in
lexicographic order of their tokens. That order does not depend on which member of the orbit was the input, so neither
do sums over the rows. By orbit-stabiliser, every distinct member stands for the same number of elements. That holds
for the whole group only, so readers do not share the rows of a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from hf_equi.actions import ColumnAction
    from hf_equi.symmetrizers.select import WholeSelection

__all__ = ["Orbit", "SeparateOrbit", "WholeOrbit", "distinct_rows"]


@dataclass(frozen=True, eq=False)
class Orbit:
    """The members of the orbits of a batch, and the physical row of each.

    While a graph is exported, sizes are symbols. `shape[0]` stays a symbol, but `len` would turn it into a number.

    Args:
        elements: `(B, K)` int64, the group elements whose members are asked for; of a continuous group matrices,
            `(B, K, n, n)`, whose members do not share rows.
        rank: `(B, K)` int64, the place of each member among the distinct ones of its orbit, from 0 without gaps.
        shared: Whether equal members share a row. With caches of fixed size and in exported graphs they cannot. Then
            every member has its own row, and no size depends on the members.

    Example:
        >>> orbit = Orbit.start(torch.tensor([[0, 1], [0, 1]]))
        >>> orbit.rows
        2
        >>> tokens = torch.tensor([[[5], [6]], [[7], [7]]])  # the first text is moved, the second is not
        >>> fork, parents = orbit.extend(tokens)
        >>> fork.rows, parents.tolist(), fork.row_of.tolist()
        (3, [0, 0, 1], [[0, 1], [2, 2]])
    """

    elements: torch.Tensor
    rank: torch.Tensor
    shared: bool = True

    @classmethod
    def start(cls, elements: torch.Tensor, shared: bool = True) -> Orbit:
        """Return the orbits of empty texts: one row each, or one for each member if rows are not shared."""
        shape = elements.shape[:2]
        if shared:
            return cls(elements, torch.zeros(shape, dtype=torch.long, device=elements.device))
        return SeparateOrbit(elements, torch.arange(shape[1], device=elements.device).expand(shape), shared)

    @classmethod
    def of_keys(cls, elements: torch.Tensor, keys: torch.Tensor, shared: bool = True) -> Orbit:
        """Return the orbits of members that are given by keys, in the order of the keys.

        Args:
            elements: `(B, K)` the elements whose members are asked for.
            keys: `(B, K)` int64, equal for equal members only.
            shared: Whether equal members share a row.

        Example:
            >>> Orbit.of_keys(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[7, -3, 7, 5]])).row_of
            tensor([[2, 0, 2, 1]])
        """
        if shared:
            return cls(elements, _dense_rank(torch.zeros_like(keys), keys))
        return cls(elements, keys.argsort(dim=1, stable=True).argsort(dim=1), shared)

    @cached_property
    def counts(self) -> torch.Tensor:
        """The number of distinct members of each orbit, `(B,)`."""
        return self.rank.amax(1) + 1 if self.shared else torch.full_like(self.rank[:, 0], self.rank.shape[1])

    @cached_property
    def rows(self) -> int:
        """The number of physical rows of the batch."""
        return int(self.counts.sum()) if self.shared else self.rank.numel()

    @cached_property
    def most(self) -> int:
        """The largest number of distinct members of one orbit."""
        return int(self.counts.max()) if self.shared else self.rank.shape[1]

    @cached_property
    def offsets(self) -> torch.Tensor:
        """The first row of each orbit, `(B,)`."""
        return self.counts.cumsum(0) - self.counts

    @cached_property
    def row_of(self) -> torch.Tensor:
        """The physical row of each member, `(B, K)`."""
        return self.offsets[:, None] + self.rank

    @cached_property
    def batch_of_row(self) -> torch.Tensor:
        """The batch index of each row, `(R,)`."""
        counts = self.counts if self.shared else self.rank.shape[1]
        return torch.arange(self.rank.shape[0], device=self.rank.device).repeat_interleave(counts)

    @cached_property
    def slot_of_row(self) -> torch.Tensor:
        """The first member that lies in each row, `(R,)`, as an index into K."""
        members = self.row_of.shape[1]
        if self.rows == self.rank.numel():  # no two members are equal
            return self.rank.argsort(dim=1).flatten()
        slots = torch.arange(members, device=self.rank.device).expand_as(self.row_of)
        first = torch.full((self.rows,), members, device=self.rank.device)
        return first.scatter_reduce(0, self.row_of.flatten(), slots.flatten(), "amin")

    @cached_property
    def element_of_row(self) -> torch.Tensor:
        """The group element of that member, `(R,)` or `(R, n, n)`."""
        return self.elements[self.batch_of_row, self.slot_of_row]

    @cached_property
    def rank_of_row(self) -> torch.Tensor:
        """The rank of each row in its orbit, `(R,)`."""
        return torch.arange(self.rows, device=self.rank.device) - self.offsets[self.batch_of_row]

    def extend(self, tokens: torch.Tensor) -> tuple[Orbit, torch.Tensor]:
        """Return the orbits of the texts after more tokens.

        Args:
            tokens: `(B, K, tokens)`, the tokens that each member reads next.

        Returns:
            The new orbit, and for each of its rows the row that it continues, `(R,)`.
        """
        new = self.after(tokens)
        if new is self:
            return self, torch.arange(self.rows, device=self.rank.device)
        parents = self.row_of[new.batch_of_row, new.slot_of_row]
        return new, parents

    def after(self, tokens: torch.Tensor) -> Orbit:
        """Return only the orbits of `extend`."""
        return [self, *(orbit for _, orbit in self.forks(tokens))][-1]

    def forks(self, tokens: torch.Tensor) -> Iterator[tuple[int, Orbit]]:
        """Yield the places at which rows fork while the tokens are read, each with the orbit after that place."""
        if not self.shared or self.rank.shape[1] == 1 or self._known_apart:
            return
        orbit = self
        for place in (tokens != tokens[:, :1]).flatten(0, 1).any(0).nonzero().flatten().tolist():
            rank = _dense_rank(orbit.rank, tokens[:, :, place])
            if not torch.equal(rank, orbit.rank):
                orbit = Orbit(self.elements, rank)
                yield place, orbit
            if orbit.rows == orbit.rank.numel():  # no two members share a row any more
                return

    @property
    def _known_apart(self) -> bool:
        """Return whether it is known that no two members share a row. Counting the rows would wait for the device."""
        return "rows" in vars(self) and self.rows == self.rank.numel()

    @property
    def members(self) -> tuple[int, int]:
        """The number of orbits B, and of the members K that are asked for of each."""
        samples, members = self.elements.shape[:2]
        return samples, members

    def pulls_at_once(self, action: ColumnAction, scores: torch.Tensor) -> bool:
        """Whether an action pulls back the scores of all rows in one operation; no, unless they are whole orbits."""
        return False

    def select(self, indices: torch.Tensor) -> tuple[Orbit, torch.Tensor]:
        """Return the orbits of some batch members, repeated or left out, and the row each new row copies, `(R,)`."""
        new = Orbit(self.elements[indices], self.rank[indices], self.shared)
        parents = self.offsets[indices][new.batch_of_row] + new.rank_of_row
        return new, parents


@dataclass(frozen=True, eq=False)
class SeparateOrbit(Orbit):
    """Orbits in which every member has a row of its own, in the order in which the members are asked for.

    No member is looked at, so this costs next to nothing. Its order depends on which member was the input.

    Args:
        elements: As in `Orbit`.
        rank: `(B, K)` int64, 0 to K - 1 in each row.
        shared: `False`.
        keys: Returns `(B, K)` int64, equal for equal members only. It is called where members tie, so that the choice
            among them does not depend on which one was the input. `None` for no such choice.

    Example:
        >>> SeparateOrbit(torch.tensor([[0, 1], [0, 1]]), torch.tensor([[0, 1], [0, 1]]), False).element_of_row
        tensor([0, 1, 0, 1])
    """

    keys: Callable[[], torch.Tensor] | None = None

    @cached_property
    def offsets(self) -> torch.Tensor:
        """The first row of each orbit, `(B,)`."""
        samples, members = self.rank.shape
        return torch.arange(0, samples * members, members, device=self.rank.device)

    @cached_property
    def slot_of_row(self) -> torch.Tensor:
        """The member that lies in each row, `(R,)`, as an index into K."""
        return self.rank.flatten()

    @cached_property
    def rank_of_row(self) -> torch.Tensor:
        """The rank of each row in its orbit, `(R,)`."""
        return self.rank.flatten()

    @cached_property
    def element_of_row(self) -> torch.Tensor:
        """The group element of that member, `(R,)` or `(R, n, n)`."""
        return self.elements.flatten(0, 1)


class WholeOrbit(SeparateOrbit):
    """Orbits of which all members are asked for, each with a row of its own. Tables are made where they are needed.

    Args:
        selection: The members.
        keys: As in `SeparateOrbit`.

    Example:
        >>> from hf_equi.symmetrizers.select import WholeSelection
        >>> orbit = WholeOrbit(WholeSelection(2, 3, "cpu"))
        >>> orbit.rows, orbit.row_of.tolist()
        (6, [[0, 1, 2], [3, 4, 5]])
    """

    selection: WholeSelection
    shared = False

    def __init__(self, selection: WholeSelection, keys: Callable[[], torch.Tensor] | None = None) -> None:
        vars(self).update(selection=selection, keys=keys)  # the dataclass is frozen

    @property
    def elements(self) -> torch.Tensor:
        """`(B, G)`."""
        return self.selection.elements

    rank = elements  # all elements in their order are also their own numbers

    @property
    def members(self) -> tuple[int, int]:
        """As in `Orbit`."""
        return self.selection.samples, self.selection.order

    @property
    def rows(self) -> int:
        """The number of physical rows of the batch."""
        return self.selection.samples * self.selection.order

    def pulls_at_once(self, action: ColumnAction, scores: torch.Tensor) -> bool:
        """Whether an action pulls back the scores of all rows, `(R, V)`, in one operation: if most columns move."""
        whole = action.spread is not None and scores.shape == (self.rows, action.width)
        return whole and action.general_columns is None


def distinct_rows(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first of each set of equal rows, ascending, and the place of each row among them.

    Args:
        keys: `(R, N)` whole numbers; rows are equal if all their numbers are.

    Example:
        >>> [found.tolist() for found in distinct_rows(torch.tensor([[3], [1], [3]]))]
        [[0, 1], [0, 1, 0]]
    """
    place: torch.Tensor
    _, place = torch.unique(keys, dim=0, return_inverse=True)
    numbers = torch.arange(len(keys), device=keys.device)
    first = torch.full((int(place.max()) + 1,), len(keys), device=keys.device)
    first.scatter_reduce_(0, place, numbers, "amin")
    order = first.argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=keys.device)
    return first[order], rank[place]


def _dense_rank(rank: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Return the rank by (rank, token) within each orbit, `(B, K)`."""
    keys = (rank << 32) + tokens
    ordered, order = keys.sort(dim=1)
    steps = torch.zeros_like(rank)
    steps[:, 1:] = (ordered[:, 1:] != ordered[:, :-1]).cumsum(1)
    return torch.empty_like(rank).scatter(1, order, steps)

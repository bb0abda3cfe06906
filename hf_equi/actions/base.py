"""The base class of actions, by which a group moves data with one element per sample; and permutations of columns."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from typing import Any

import torch

from hf_equi.actions._checksums import checksums, position_weights
from hf_equi.actions._elements import read_elements
from hf_equi.errors import ActionError, GroupError
from hf_equi.groups import FiniteGroup

__all__ = ["Action", "ColumnAction", "check_columns"]


def check_columns(numbers: torch.Tensor, count: int, what: str = "columns") -> None:
    """Refuse numbers of columns that do not exist: torch would count negative ones from the end.

    Args:
        numbers: Integers of any shape.
        count: The number of columns.
        what: The columns in words, for the message.

    Raises:
        ActionError: For a number below 0, or `count` and above. Nothing is checked while a graph is traced.
    """
    if torch.compiler.is_compiling() or not numbers.numel():
        return
    least, most = (int(end) for end in numbers.aminmax())
    if least < 0 or most >= count:
        raise ActionError(
            f"The {what} lie between {least} and {most}; there are {count}, numbered from 0."
            + (" -100 marks a label that does not count." if least == -100 else "")
        )


class Action(ABC):
    r"""A left action of a group on one kind of data.

    $$ e x = x, \qquad (gh) x = g (h x) $$

    A subclass sets `group` and defines `apply`; the rest follows. `hf_equi.testing.assert_action` checks it.

    Data is a batch, with one sample per row. `elements` is one element for all samples, or a tensor with one per
    sample: for a finite group, an integer or `(R,)` int64; for a continuous group, a matrix or `(R, d, d)`.

    Example:
        >>> class Negation(Action):
        ...     group = FiniteGroup.cyclic(2)
        ...
        ...     def apply(self, elements, x, /):
        ...         signs = torch.tensor([1.0, -1.0])[elements]
        ...         return signs.view(-1, *[1] * (x.dim() - 1)) * x
        >>> Negation().apply(1, torch.ones(2)), Negation().invert(torch.tensor([0, 1]), torch.ones(2))
        (tensor([-1., -1.]), tensor([ 1., -1.]))
    """

    group: Any
    """The group that acts, a `hf_equi.groups.Group`."""
    resamples: bool = False
    """Whether it computes values between those that are given, so that the equations hold approximately."""

    @abstractmethod
    def apply(self, elements: Any, x: Any, /) -> Any:
        """Return g x.

        Args:
            elements: One element for all samples, or one per sample.
            x: The samples.

        Raises:
            ActionError: For elements that the group does not have, if the numbers of elements and samples differ, or
                for data that the group cannot act on.
        """

    def invert(self, elements: Any, x: Any, /) -> Any:
        """Return g⁻¹x: `apply` with the inverses of the elements. The arguments are the same."""
        return self.apply(self.group.inverse(read_elements(self.group, elements, x)), x)

    def orbit(self, x: Any, /) -> Any:
        """Return all members of each sample's orbit, for finite groups.

        Args:
            x: A tensor of samples, `(B, ...)`.

        Returns:
            `(B, G, ...)`; entry g is gx. Costs |G| times `apply`.

        Raises:
            ActionError: For a group that is not finite.
        """
        self._require_finite_group()
        return torch.stack([self.apply(g, x) for g in range(self.group.order)], dim=1)

    def keys(self, x: Any, /) -> torch.Tensor:
        r"""Return a key of every member of each sample's orbit, for finite groups.

        $$ \text{key}_g(h x) = \text{key}_{gh}(x) $$

        Equal members have equal keys, whatever batch they are in. Different members have different keys, unless 64-bit
        sums happen to collide.

        Args:
            x: A tensor of samples, `(B, ...)`.

        Returns:
            `(B, G)` int64; entry g is the key of gx. Costs |G| times `apply`.

        Raises:
            ActionError: For a group that is not finite.
        """
        self._require_finite_group()
        size = math.prod(x.shape[1:])
        weights = position_weights(torch.Size([1, size]), x.device)
        with torch.no_grad():
            members = (self.apply(g, x).reshape(len(x), size) for g in range(self.group.order))
            return torch.cat([checksums(member, weights) for member in members], dim=1)

    def canonical_element(self, x: Any, mask: torch.Tensor | None = None, /) -> Any:
        r"""Return the first element k(x) that takes each sample to the smallest member of its orbit, by their keys.

        $$ k(gx) = k(x) g^{-1} $$

        up to elements that fix x. Actions on texts have their own order.

        Args:
            x: A tensor of samples, `(B, ...)`.
            mask: `(B, T)`, 0 where a text is padded; `None` for no padding.

        Returns:
            `(B,)` int64. Costs |G| times `apply`.

        Raises:
            ActionError: As in `keys`; for a mask, which keys do not take into account.
        """
        if mask is not None:
            raise ActionError(
                f"The smallest member of an orbit is found by keys, which ignore masks: {type(self).__name__} needs "
                "its own canonical_element(x, mask) for padded texts."
            )
        return self.keys(x).argmin(1)

    def _require_finite_group(self) -> None:
        if not hasattr(self.group, "order"):
            raise ActionError(
                f"{self.group!r} is not a finite group, so the members of an orbit cannot be listed: use a method "
                "that selects members without listing them all."
            )


class ColumnAction(Action):
    r"""A group that permutes columns: tokens of a vocabulary, classes, Q-values, key points.

    $$ g(v) = \text{permutations}[g, v], \qquad (g y)[g(v)] = y[v], \qquad (g^{-1} y)[v] = y[g(v)] $$

    for columns v and scores y over the columns. `apply` takes both: integers are numbers of columns, such as token ids
    or labels; floating numbers are scores, with the columns in the last axis.

    Args:
        group: The group.
        permutations: `(G, V)` the column to which each element sends each column.
        device: The device of the tables.

    Attributes:
        permutations: `(G, V)` int64.
        moved: `(moved,)` int64, the columns that some element moves, ascending.
        images: `(G, moved)` int64, the columns to which each element sends them.
        places: `(G, moved)` int64, the places of these images in `moved`.
        width: The number of columns V, for an action that moves some; otherwise `None`, and any number will do.
        spread: `(G, V)` int64, the places of `permutations` in the columns of all members of an orbit together,
            element after element; `None` if most columns do not move, so that moving them all would take longer.
        sources: `(G * V,)` int64, for the columns of all members together the one of the identity's frame that each
            comes from; `None` as `spread`.
        general: `(V,)` bool, columns that keep the identity's scores, without a symmetry; `None` if there are none.
        general_columns: `(general,)` int64, these columns; `None` if there are none.

    Raises:
        ActionError: If the permutations are not a representation of the group.

    Example:
        >>> left_and_right = ColumnAction(FiniteGroup.cyclic(2), [[0, 1, 2], [0, 2, 1]])
        >>> left_and_right.apply(1, torch.tensor([[0.5, 0.1, 0.4]])), left_and_right.apply(1, torch.tensor([1]))
        (tensor([[0.5000, 0.4000, 0.1000]]), tensor([2]))
    """

    group: FiniteGroup
    general: torch.Tensor | None = None
    general_columns: torch.Tensor | None = None
    what = "columns"
    """The columns in words, for messages."""

    def __init__(self, group: FiniteGroup, permutations: Any, device: torch.device | str | None = "cpu") -> None:
        try:
            rows = group.check_permutations(permutations)
        except GroupError as error:
            raise ActionError(f"The permutations do not multiply like the elements of {group!r}. {error}") from error
        self.group = group
        self._set_tables(rows, (rows != rows[0]).any(0).nonzero().flatten(), device)

    def _set_tables(self, permutations: torch.Tensor, moved: torch.Tensor, device: torch.device | str | None) -> None:
        """Hold the tables on a device."""
        self.device = torch.device(device or "cpu")
        self.permutations = permutations.to(self.device)
        self.moved = moved.to(self.device)
        self.images = self.permutations[:, self.moved]
        self.places = torch.searchsorted(self.moved, self.images)  # images of moved columns are moved
        order, columns = self.permutations.shape
        self.width = columns if len(self.moved) else None
        first = torch.arange(0, order * columns, max(columns, 1), device=self.device)
        self.spread, self.sources = None, None
        if 0 < columns <= 2 * len(self.moved):
            self.spread, self.sources = self.permutations + first[:, None], self.permutations.argsort(1).flatten()
            self._spread = self.spread.flatten()

    def to(self, device: torch.device | str) -> Any:
        """Return the same action with its tables on a device."""
        if device == self.device or torch.device(device) == self.device:
            return self
        moved = copy.copy(self)
        moved._set_tables(self.permutations, self.moved, device)
        return moved

    def apply(self, elements: int | torch.Tensor, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements: One element, or `(R,)` with one per sample.
            x: `(R, ...)` integers, numbers of columns, or `(R, ..., V)` floating scores over the columns.

        Raises:
            ActionError: If the group has no such element, or there is not one for each sample.
        """
        g = read_elements(self.group, elements, x)
        tables = self.permutations.to(x.device)
        if x.is_floating_point():
            self._check_width(x, tables.shape[1])
            return self.pull_back(self.group.inverse(g), x)
        if x.dtype == torch.bool:
            raise ActionError("Columns are integers or floating scores; received booleans. Convert them first.")
        columns = x.long()
        check_columns(columns, tables.shape[1], self.what)
        if isinstance(g, torch.Tensor):
            return tables[g.view(-1, *[1] * (x.dim() - 1)), columns].to(x.dtype)
        return tables[g][columns].to(x.dtype)

    def _check_width(self, scores: torch.Tensor, columns: int) -> None:
        if scores.shape[-1:] != (columns,):
            raise ActionError(
                f"Scores need their {columns} columns in the last axis; received the shape {tuple(scores.shape)}."
            )

    def pull_back(self, elements: int | torch.Tensor, scores: torch.Tensor, /) -> torch.Tensor:
        """Return g⁻¹y for scores y, `(R, ..., V)` of any dtype: the value at v is y[g(v)]. Elements are unchecked."""
        columns = self.permutations.to(scores.device)[elements]
        if columns.dim() == 1:
            return scores[..., columns]
        columns = columns.view(columns.shape[0], *[1] * (scores.dim() - 2), -1)
        return scores.gather(-1, columns.expand_as(scores))

    def find_moved(self, elements: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Find where `pull_back_moved` takes the moved columns from. A loop over steps needs this only once.

        Args:
            elements: `(N, ...)` int64, one for each result.
            rows: `(N, ...)` int64, the row of the scores that each result pulls back.

        Returns:
            `(N, ..., moved)` int64: numbers of moved columns, counted through all rows.
        """
        return rows.unsqueeze(-1) * len(self.moved) + self.places[elements]

    @staticmethod
    def pull_back_moved(scores: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        """Do `pull_back` for the moved columns only: all others have the same value in every frame.

        Args:
            scores: `(R, ..., moved)` the moved columns of some rows.
            found: The result of `find_moved`.

        Returns:
            The moved columns of each result: the axes of its elements, then those of a row.

        Example:
            >>> action = ColumnAction(FiniteGroup.cyclic(2), [[0, 1, 2], [0, 2, 1]])
            >>> found = action.find_moved(torch.tensor([0, 1]), torch.tensor([0, 0]))  # two members, in one row
            >>> action.pull_back_moved(torch.tensor([[0.1, 0.4]]), found)
            tensor([[0.1000, 0.4000],
                    [0.4000, 0.1000]])
        """
        if scores.dim() == 2:
            return scores.take(found)
        columns = scores.movedim(-1, 1).flatten(0, 1)  # (R * moved, ...)
        pulled = columns.index_select(0, found.flatten()).view(*found.shape, *columns.shape[1:])
        return pulled.movedim(found.dim() - 1, -1)

    def pull_back_members(self, scores: torch.Tensor, elements: torch.Tensor | None = None) -> torch.Tensor:
        """Do `pull_back` for whole orbits in one operation, if the action has `spread`.

        Args:
            scores: `(B * G, V)` the scores of all members, orbit after orbit, in the order of the elements.
            elements: `(B,)` int64, the one member of each orbit that is asked for; `None` for all of them.

        Returns:
            `(B, G, V)`, or `(B, V)` with `elements`.

        Example:
            >>> action = ColumnAction(FiniteGroup.cyclic(2), [[0, 1], [1, 0]])
            >>> action.pull_back_members(torch.tensor([[0.1, 0.4], [0.3, 0.2]]))
            tensor([[[0.1000, 0.4000],
                     [0.2000, 0.3000]]])
        """
        if self.spread is None:
            raise ActionError("Most columns of this action do not move: use find_moved and pull_back_moved.")
        columns = scores.reshape(-1, self.spread.numel())
        if elements is None:
            return columns.index_select(1, self._spread).view(-1, *self.spread.shape)
        return columns.gather(1, self.spread.index_select(0, elements))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.group!r}, {len(self.moved)} of {self.permutations.shape[1]} moved)"

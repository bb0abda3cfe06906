"""A demographic group on token ids: one permutation of the vocabulary for each element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import compress, zip_longest
from typing import ClassVar

import torch

from hf_equi.actions._elements import checked_element
from hf_equi.actions.base import ColumnAction, check_columns
from hf_equi.actions.token_maps import Form, TokenMap
from hf_equi.errors import ActionError
from hf_equi.groups import DemographicGroup

__all__ = ["TokenAction"]


class TokenAction(ColumnAction):
    r"""A group on token ids and on scores over the vocabulary.

    $$ g(v) = \text{permutations}[g, v], \qquad (g^{-1} y)[v] = y[g(v)] $$

    Args:
        group: The group that acts.
        token_map: The tokens that stand for its words (see `hf_equi.actions.resolution.resolve_tokens`).

    Attributes:
        permutations: `(group, vocab)` int64.
        forms: The words of several tokens that move as units; none here (see `UnitAction`).
        moved: `(moved,)` int64, the tokens that some element moves, ascending.
        moving: The same as a set of numbers.
        images: `(group, moved)` int64, the tokens to which each element sends them.
        places: `(group, moved)` int64, the places of these images in `moved`.
        general: `(vocab,)` bool, the general tokens of a relaxed group; `None` for a group that is not relaxed.
        general_columns: `(general,)` int64, these tokens; `None` for a group that is not relaxed.

    Raises:
        ActionError: If the map does not fit the group, or has words of several tokens, which a `UnitAction` moves.

    Example:
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["man", "woman"]]), TokenMap(vocab_size=4, sets=(((1, 2),),)))
        >>> action.apply(1, torch.tensor([0, 1, 3])).tolist()
        [0, 2, 3]
    """

    group: DemographicGroup
    what = "token ids"
    composes: ClassVar[bool] = False
    """Whether words of several tokens move as units."""

    def __init__(
        self, group: DemographicGroup, token_map: TokenMap, device: torch.device | str | None = "cpu"
    ) -> None:
        token_map.check_group(group)
        if token_map.forms and not self.composes:
            raise ActionError(
                f"The token map has {len(token_map.forms)} words of several tokens, which a TokenAction does not "
                "move: make the action with hf_equi.actions.token_action(group, token_map)."
            )
        self.group = group
        self.token_map = token_map
        self.forms = token_map.forms
        numbers = {form: token_map.vocab_size + place for place, form in enumerate(self.forms)}
        rows = _rows(token_map, numbers)
        moved = sorted(unit for factor in rows for row in factor for unit in row)
        columns = torch.tensor(moved, dtype=torch.long, device="cpu")
        self._set_tables(_permutations(group, rows, self.units), columns, device)
        self.moving = frozenset(moved)
        self.is_moved = torch.zeros(self.units, dtype=torch.bool, device=self.device)
        self.is_moved[self.moved] = True
        self.general = _general(group, token_map, numbers, self.is_moved)
        self.general_columns = None if self.general is None else self.general.nonzero().flatten()

    @property
    def vocab_size(self) -> int:
        """The number of tokens."""
        return self.token_map.vocab_size

    @property
    def units(self) -> int:
        """The number of columns that the group permutes: the tokens, then the words of several tokens."""
        return self.vocab_size + len(self.forms)

    @property
    def moved_tokens(self) -> int:
        """The number of tokens that move."""
        return sum(unit < self.vocab_size for unit in self.moving)

    @property
    def moved_forms(self) -> int:
        """The number of words of several tokens that move."""
        return len(self.moving) - self.moved_tokens

    @cached_property
    def alone(self) -> torch.Tensor:
        """`(vocab,)` bool, the tokens whose images are all single tokens that begin no word of several tokens.

        Their scores move by a look-up, also where words of several tokens move. Here these are all tokens.
        """
        return torch.ones(self.vocab_size, dtype=torch.bool, device=self.device)

    def to(self, device: torch.device | str) -> TokenAction:
        """Return the same action with its tables on a device."""
        if torch.device(device) == self.device:
            return self
        return type(self)(self.group, self.token_map, device=device)

    def check_ids(self, ids: torch.Tensor) -> None:
        """Refuse ids that are not in the vocabulary.

        Raises:
            ActionError: For such an id.
        """
        check_columns(ids, self.token_map.vocab_size, self.what)

    def read(self, tokens: Sequence[int]) -> list[int]:
        """Return the units of a text: here its tokens."""
        return list(tokens)

    def write(self, units: Iterable[int]) -> list[int]:
        """Return the tokens of some units."""
        return list(units)

    def reads_back(self, tokens: Sequence[int]) -> bool:
        """Whether each image of a text reads as the images of its units: here always."""
        return True

    def member(self, element: int, tokens: Sequence[int]) -> list[int]:
        """Return the image of a text under an element.

        Raises:
            ActionError: If the group has no such element.
        """
        images: list[int] = self.permutations[checked_element(self.group, element), list(tokens)].tolist()
        return images

    def boundary(self, element: int, tokens: Sequence[int], place: int) -> int:
        """Return where a place between two tokens of a text lies in its image: here at the same place."""
        return place

    def moves(self, tokens: Sequence[int]) -> list[bool]:
        """Return for each token of a text whether it moves, alone or as a part of a word."""
        return [token in self.moving for token in tokens]

    def members(self, elements: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return some members of each orbit: elements `(batch, K)`, ids `(batch, tokens)` to `(batch, K, tokens)`."""
        self.check_ids(ids)
        return self.permutations[elements.unsqueeze(-1), ids.unsqueeze(1)]

    def members_of(
        self, elements: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor | None = None
    ) -> list[list[list[int]]]:
        """Return some members of each orbit as lists of tokens, without those at which `mask` is 0."""
        members: list[list[list[int]]] = self.members(elements, ids).tolist()
        if mask is None:
            return members
        kept = mask.bool().tolist()
        return [[list(compress(row, own)) for row in rows] for rows, own in zip(members, kept, strict=True)]

    def orbit(self, ids: torch.Tensor) -> torch.Tensor:
        """All members: `(batch, tokens)` to `(batch, group, tokens)`."""
        self.check_ids(ids)
        return self.permutations[:, ids].transpose(0, 1)

    def canonical_element(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return k(x), the first element that takes each sequence to the smallest member of its orbit, `(batch,)`.

        Members are compared token by token from the left; places where `mask` is 0 are passed over.
        """
        self.check_ids(ids)
        element, least = ids.new_zeros(ids.shape[0], dtype=torch.long), ids
        for g in range(1, self.group.order if ids.shape[1] else 1):
            member = self.permutations[g][ids]
            member = member if mask is None else member.where(mask.bool(), ids)
            place = (member != least).int().argmax(1, keepdim=True)  # the first difference
            smaller = member.gather(1, place) < least.gather(1, place)
            least = torch.where(smaller, member, least)
            element = element.masked_fill(smaller.squeeze(1), g)
        return element

    def same_as(self, other: TokenAction) -> bool:
        """Whether both move the same tokens in the same way, on any device."""
        return self is other or (self.group == other.group and self.token_map == other.token_map)

    def __repr__(self) -> str:
        return f"TokenAction({self.group!r}, {len(self.moved)} of {self.token_map.vocab_size} tokens moved)"


Rows = list[list[tuple[int, ...]]]


def _rows(token_map: TokenMap, numbers: dict[Form, int]) -> Rows:
    """Return for each factor its sets, as numbers of units."""
    composed = token_map.composed or ((),) * len(token_map.sets)
    return [
        [*sets, *(tuple(numbers.get(form, form[0]) for form in row) for row in rows)]
        for sets, rows in zip(token_map.sets, composed, strict=True)
    ]


def _permutations(group: DemographicGroup, rows: Rows, units: int) -> torch.Tensor:
    tables = torch.arange(units, device="cpu").repeat(group.order, 1)
    shifts = torch.tensor(group.coordinates, dtype=torch.long, device="cpu")  # (group, factors)
    for index, factor in enumerate(rows):
        if not factor:
            continue
        tokens = torch.tensor(factor, dtype=torch.long, device="cpu")  # (sets, places)
        places = torch.arange(tokens.shape[1], device="cpu")
        for g in range(group.order):
            tables[g, tokens] = tokens[:, (places + shifts[g, index]) % tokens.shape[1]]
    return tables


def _general(
    group: DemographicGroup, token_map: TokenMap, numbers: dict[Form, int], is_moved: torch.Tensor
) -> torch.Tensor | None:
    """Return which units are general in some factor and equality in none."""
    if not group.relaxed:
        return None
    general = torch.zeros_like(is_moved)
    lists = (token_map.neutral, token_map.general, token_map.composed_neutral, token_map.composed_general)
    for neutral, listed, *forms in zip_longest(*lists):
        neutral_forms, general_forms = ([numbers[form] for form in each or ()] for each in forms)
        if neutral is not None:
            others = torch.ones_like(is_moved)
            others[_ids((*neutral, *neutral_forms), is_moved)] = False
            general |= others
        if listed is not None:
            general[_ids((*listed, *general_forms), is_moved)] = True
    return general & ~is_moved


def _ids(ids: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(list(ids), dtype=torch.long, device=like.device)

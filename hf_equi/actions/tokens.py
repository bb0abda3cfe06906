"""A demographic group on token ids: one permutation of the vocabulary for each element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hf_equi.actions.base import ColumnAction, check_columns
from hf_equi.errors import ActionError
from hf_equi.groups import DemographicGroup

__all__ = ["TokenAction", "TokenMap"]


@dataclass(frozen=True)
class TokenMap:
    """The tokens that stand for the words of a group, as plain numbers, as a config stores them.

    Args:
        vocab_size: The number of rows of the model's embedding.
        sets: For each factor of the group its token sets; the token at place i of a set goes to place (i + k) mod d.
        neutral: For each factor the neutral tokens if the factor lists them (all others are general), or `None`.
        general: For each factor the general tokens if the factor lists them (all others are neutral), or `None`.

    Example:
        >>> TokenMap(vocab_size=5, sets=(((1, 2),), ((4, 3),))).moved
        (1, 2, 3, 4)

    Raises:
        ActionError: If the sets do not make a permutation: a token twice, sets of unequal length, an id outside the
            vocabulary.
    """

    vocab_size: int
    sets: tuple[tuple[tuple[int, ...], ...], ...]
    neutral: tuple[tuple[int, ...] | None, ...] = ()
    general: tuple[tuple[int, ...] | None, ...] = ()

    def __post_init__(self) -> None:
        seen: dict[int, tuple[int, ...]] = {}
        for factor in self.sets:
            for tokens in factor:
                if len(tokens) != len(factor[0]):
                    raise ActionError(
                        f"The token sets {list(factor[0])} and {list(tokens)} of one factor differ in length, so no "
                        "permutation maps one word to the next. Symmetrize the base model again to rebuild the map."
                    )
                for token in tokens:
                    self._check_token(token, tokens, seen)
                    seen[token] = tokens
        for listed in (*self.neutral, *self.general):
            if listed and not 0 <= min(listed) <= max(listed) < self.vocab_size:
                raise ActionError(
                    f"Neutral or general tokens lie between {min(listed)} and {max(listed)}, but the vocabulary has "
                    f"{self.vocab_size}. The map belongs to another tokenizer: symmetrize the base model again."
                )

    def _check_token(self, token: int, tokens: tuple[int, ...], seen: dict[int, tuple[int, ...]]) -> None:
        if not 0 <= token < self.vocab_size:
            raise ActionError(
                f"The token {token} of the set {list(tokens)} is outside the vocabulary of {self.vocab_size} "
                "tokens. The map belongs to another tokenizer or model: symmetrize the base model again."
            )
        if token in seen or tokens.count(token) > 1:
            raise ActionError(
                f"The stored map is not a permutation: the token {token} is in {list(tokens)} and in "
                f"{list(seen.get(token, tokens))}. Symmetrize the base model again to rebuild the map."
            )

    @property
    def moved(self) -> tuple[int, ...]:
        """The tokens that some element moves, ascending."""
        return tuple(sorted(token for factor in self.sets for tokens in factor for token in tokens))

    def to_dict(self) -> dict[str, Any]:
        """Return lists and numbers, for a config."""
        return {
            "vocab_size": self.vocab_size,
            "sets": [[list(tokens) for tokens in factor] for factor in self.sets],
            "neutral": [None if ids is None else list(ids) for ids in self.neutral],
            "general": [None if ids is None else list(ids) for ids in self.general],
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> TokenMap:
        """Return the map that `to_dict` described.

        Raises:
            ActionError: If something is missing or has another type.
        """
        try:
            return cls(
                vocab_size=int(stored["vocab_size"]),
                sets=tuple(tuple(tuple(map(int, tokens)) for tokens in factor) for factor in stored["sets"]),
                neutral=tuple(None if ids is None else tuple(map(int, ids)) for ids in stored["neutral"]),
                general=tuple(None if ids is None else tuple(map(int, ids)) for ids in stored["general"]),
            )
        except (KeyError, TypeError) as error:
            raise ActionError(
                f"The stored token map is damaged ({error!r}). Symmetrize the base model again to rebuild it."
            ) from error

    def check_group(self, group: DemographicGroup) -> None:
        """Refuse a group that this map was not made for.

        Raises:
            ActionError: If the factors differ in number, in the size of their sets, or in what they list.
        """
        sizes = [len(factor[0]) if factor else None for factor in self.sets]
        if len(sizes) != len(group.factors) or any(
            size not in (None, factor.size) for size, factor in zip(sizes, group.factors, strict=True)
        ):
            raise ActionError(
                f"The token map has sets of {sizes} tokens, but the group has factors of "
                f"{[factor.size for factor in group.factors]} words. Resolve the tokens again for this group."
            )
        kinds = [(factor.neutral is None, factor.general is None) for factor in group.factors]
        stored = [(n is None, g is None) for n, g in zip(self.neutral, self.general, strict=False)]
        if group.relaxed and stored != kinds:
            raise ActionError(
                "The token map does not list the neutral or general tokens that the factors of the relaxed group "
                "have. Resolve the tokens again for this group."
            )


class TokenAction(ColumnAction):
    r"""A group on token ids and on scores over the vocabulary.

    $$ g(v) = \text{permutations}[g, v], \qquad (g^{-1} y)[v] = y[g(v)] $$

    Args:
        group: The group that acts.
        token_map: The tokens that stand for its words (see `hf_equi.actions.resolution.resolve_tokens`).

    Attributes:
        permutations: `(group, vocab)` int64.
        moved: `(moved,)` int64, the tokens that some element moves, ascending.
        moving: The same as a set of numbers.
        images: `(group, moved)` int64, the tokens to which each element sends them.
        places: `(group, moved)` int64, the places of these images in `moved`.
        general: `(vocab,)` bool, the general tokens of a relaxed group; `None` for a group that is not relaxed.
        general_columns: `(general,)` int64, these tokens; `None` for a group that is not relaxed.

    Raises:
        ActionError: If the map does not fit the group.

    Example:
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["man", "woman"]]), TokenMap(vocab_size=4, sets=(((1, 2),),)))
        >>> action.apply(1, torch.tensor([0, 1, 3])).tolist()
        [0, 2, 3]
    """

    group: DemographicGroup
    what = "token ids"

    def __init__(
        self, group: DemographicGroup, token_map: TokenMap, device: torch.device | str | None = "cpu"
    ) -> None:
        token_map.check_group(group)
        self.group = group
        self.token_map = token_map
        moved = torch.tensor(token_map.moved, dtype=torch.long, device="cpu")
        self._set_tables(_permutations(group, token_map), moved, device)
        self.moving = frozenset(token_map.moved)
        self.is_moved = torch.zeros(token_map.vocab_size, dtype=torch.bool, device=self.device)
        self.is_moved[self.moved] = True
        self.general = _general(group, token_map, self.is_moved)
        self.general_columns = None if self.general is None else self.general.nonzero().flatten()

    def to(self, device: torch.device | str) -> TokenAction:
        """Return the same action with its tables on a device."""
        if torch.device(device) == self.device:
            return self
        return TokenAction(self.group, self.token_map, device=device)

    def check_ids(self, ids: torch.Tensor) -> None:
        """Refuse ids that are not in the vocabulary.

        Raises:
            ActionError: For such an id.
        """
        check_columns(ids, self.token_map.vocab_size, self.what)

    def members(self, elements: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Return some members of each orbit: elements `(batch, K)`, ids `(batch, tokens)` to `(batch, K, tokens)`."""
        self.check_ids(ids)
        return self.permutations[elements.unsqueeze(-1), ids.unsqueeze(1)]

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


def _permutations(group: DemographicGroup, token_map: TokenMap) -> torch.Tensor:
    tables = torch.arange(token_map.vocab_size, device="cpu").repeat(group.order, 1)
    shifts = torch.tensor(group.coordinates, dtype=torch.long, device="cpu")  # (group, factors)
    for index, factor in enumerate(token_map.sets):
        if not factor:
            continue
        tokens = torch.tensor(factor, dtype=torch.long, device="cpu")  # (sets, places)
        places = torch.arange(tokens.shape[1], device="cpu")
        for g in range(group.order):
            tables[g, tokens] = tokens[:, (places + shifts[g, index]) % tokens.shape[1]]
    return tables


def _general(group: DemographicGroup, token_map: TokenMap, is_moved: torch.Tensor) -> torch.Tensor | None:
    """Return which tokens are general in some factor and equality in none."""
    if not group.relaxed:
        return None
    general = torch.zeros_like(is_moved)
    for neutral, listed in zip(token_map.neutral, token_map.general, strict=True):
        if neutral is not None:
            others = torch.ones_like(is_moved)
            others[_ids(neutral, is_moved)] = False
            general |= others
        if listed is not None:
            general[_ids(listed, is_moved)] = True
    return general & ~is_moved


def _ids(ids: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(list(ids), dtype=torch.long, device=like.device)

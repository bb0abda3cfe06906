"""The tokens that stand for the words of a group, as plain numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hf_equi.errors import ActionError
from hf_equi.groups import DemographicGroup

__all__ = ["Form", "TokenMap"]

Form = tuple[int, ...]
"""The tokens of one spelling of a word."""


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
    composed: tuple[tuple[tuple[Form, ...], ...], ...] = ()
    composed_neutral: tuple[tuple[Form, ...] | None, ...] = ()
    composed_general: tuple[tuple[Form, ...] | None, ...] = ()

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
        self._check_composed(set(seen))
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

    def _check_composed(self, in_sets: set[int]) -> None:
        for row in (row for factor in self.composed for row in factor):
            if max(map(len, row)) < 2:
                raise ActionError(
                    f"The composed set {_shown(row)} has only words of one token, so it belongs among the other sets."
                )
        moved = [form for factor in self.composed for row in factor for form in row]
        listed = dict.fromkeys(form for forms in self._listed_forms() for form in forms)
        seen: set[Form] = set()
        for form in (*moved, *listed):
            if not form or not 0 <= min(form) <= max(form) < self.vocab_size:
                raise ActionError(
                    f"The composed word {list(form)} is empty or has a token outside the vocabulary of "
                    f"{self.vocab_size} tokens. The map belongs to another tokenizer or model: symmetrize the base "
                    "model again."
                )
            if form in seen or (len(form) == 1 and (form in listed or form[0] in in_sets)):
                raise ActionError(
                    f"The stored map is not a permutation: the tokens {list(form)} stand for two words, in composed "
                    "sets, in other sets or in the lists. Symmetrize the base model again to rebuild the map."
                )
            seen.add(form)

    def _listed_forms(self) -> Iterator[tuple[Form, ...]]:
        return (forms for forms in (*self.composed_neutral, *self.composed_general) if forms)

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """The words of several tokens, each once: those that move, then the neutral and the general ones."""
        moved = (form for factor in self.composed for row in factor for form in row if len(form) > 1)
        listed = (form for forms in self._listed_forms() for form in forms)
        return tuple(dict.fromkeys((*moved, *listed)))

    @cached_property
    def moved(self) -> tuple[int, ...]:
        """The tokens that some element moves, ascending; to a word of several tokens, if there are `composed` sets."""
        alone = (token for factor in self.sets for tokens in factor for token in tokens)
        beside = (form[0] for factor in self.composed for row in factor for form in row if len(form) == 1)
        return tuple(sorted((*alone, *beside)))

    def to_dict(self) -> dict[str, Any]:
        """Return lists and numbers, for a config. What is composed is left out where there is nothing of it."""
        forms = {name: getattr(self, name) for name in _COMPOSED}
        return {
            "vocab_size": self.vocab_size,
            "sets": [[list(tokens) for tokens in factor] for factor in self.sets],
            "neutral": [None if ids is None else list(ids) for ids in self.neutral],
            "general": [None if ids is None else list(ids) for ids in self.general],
            **{name: _lists(each) for name, each in forms.items() if each},
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
                **{name: _tuples(stored[name]) for name in _COMPOSED if name in stored},
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
        own = [factor.size for factor in group.factors]
        composed = self.composed or ((),) * len(own)
        if (
            len(sizes) != len(own)
            or len(composed) != len(own)
            or any(size not in (None, each) for size, each in zip(sizes, own, strict=True))
            or any(len(row) != each for rows, each in zip(composed, own, strict=True) for row in rows)
        ):
            sizes = [
                size if size is not None or not rows else len(rows[0])
                for size, rows in zip(sizes, composed, strict=False)
            ]
            raise ActionError(
                f"The token map has sets of {sizes} tokens, but the group has factors of "
                f"{own} words. Resolve the tokens again for this group."
            )
        kinds = [(factor.neutral is None, factor.general is None) for factor in group.factors]
        stored = [(n is None, g is None) for n, g in zip(self.neutral, self.general, strict=False)]
        if group.relaxed and stored != kinds:
            raise ActionError(
                "The token map does not list the neutral or general tokens that the factors of the relaxed group "
                "have. Resolve the tokens again for this group."
            )


_COMPOSED = ("composed", "composed_neutral", "composed_general")


def _lists(content: Any) -> Any:
    return list(map(_lists, content)) if isinstance(content, tuple) else content


def _tuples(content: Any) -> Any:
    return tuple(map(_tuples, content)) if isinstance(content, list) else content


def _shown(row: Sequence[Form]) -> list[list[int]]:
    return list(map(list, row))

"""Actions of random groups on tokens and on units, and what they do, written as the sentence reads."""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import mul

import torch
from hypothesis import strategies as st

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions import UnitAction
from hf_equi.actions.token_maps import TokenMap


@lru_cache
def group_of(sizes: tuple[int, ...]) -> DemographicGroup:
    """A product of cyclic groups of these orders."""
    letters = zip("abcd", sizes, strict=False)
    return reduce(mul, [DemographicGroup([[f"{letter}{place}" for place in range(size)]]) for letter, size in letters])


def action_of(vocab_size: int, *factors: list[list[int]]) -> TokenAction:
    """The action of a product of cyclic groups, given by the token sets of each factor."""
    sets = tuple(tuple(tuple(tokens) for tokens in factor) for factor in factors)
    nothing = (None,) * len(factors)
    return TokenAction(
        group_of(tuple(len(factor[0]) for factor in factors)), TokenMap(vocab_size, sets, nothing, nothing)
    )


def image(action: TokenAction, g: int, token: int) -> int:
    """g(token): the place of the token in its set, moved by the shift that g has in the set's factor."""
    for shift, factor in zip(action.group.coordinates[g], action.token_map.sets, strict=True):
        for tokens in factor:
            if token in tokens:
                return tokens[(tokens.index(token) + shift) % len(tokens)]
    return token


@st.composite
def token_actions(draw: st.DrawFn) -> TokenAction:
    """One or two factors of order 2 to 4 with one or two sets each, anywhere in a small vocabulary."""
    shapes = draw(st.lists(st.tuples(st.integers(2, 4), st.integers(1, 2)), min_size=1, max_size=2))
    moved = sum(size * count for size, count in shapes)
    vocab_size = moved + draw(st.integers(0, 3))
    free = iter(draw(st.permutations(range(vocab_size))))
    return action_of(
        vocab_size, *([[next(free) for _ in range(size)] for _ in range(count)] for size, count in shapes)
    )


@st.composite
def texts(draw: st.DrawFn, vocab_size: int, max_batch: int = 3, max_tokens: int = 5) -> torch.Tensor:
    """`(batch, tokens)` ids."""
    length = draw(st.integers(1, max_tokens))
    token = st.integers(0, vocab_size - 1)
    rows = draw(st.lists(st.lists(token, min_size=length, max_size=length), min_size=1, max_size=max_batch))
    return torch.tensor(rows)


@st.composite
def unit_actions(draw: st.DrawFn, largest_vocab: int = 7) -> UnitAction:
    """One or two factors of order 2 or 3, whose words have one to three tokens of a small vocabulary.

    So words have common beginnings, and one word begins another.
    """
    vocab_size = draw(st.integers(4, largest_vocab))
    shapes = draw(st.lists(st.tuples(st.integers(2, 3), st.integers(1, 2)), min_size=1, max_size=2))
    count = sum(size * rows for size, rows in shapes)
    token = st.integers(0, vocab_size - 1)
    several = draw(st.lists(st.tuples(token, token) | st.tuples(token, token, token), min_size=1, unique=True))
    words = st.permutations([*several, *((each,) for each in range(vocab_size))]).filter(
        lambda all_: len(all_) >= count
    )
    free = iter(draw(words))
    factors = [[[next(free) for _ in range(size)] for _ in range(rows)] for size, rows in shapes]
    if not any(len(word) > 1 for rows in factors for row in rows for word in row):
        factors[0][0][0] = several[0]
    return units_of(vocab_size, *factors)


def units_of(vocab_size: int, *factors: list[list[tuple[int, ...]]]) -> UnitAction:
    """The action of a product of cyclic groups, given by the words of each factor as strings of tokens."""
    alone = [[row for row in rows if max(map(len, row)) == 1] for rows in factors]
    return UnitAction(
        group_of(tuple(len(rows[0]) for rows in factors)),
        TokenMap(
            vocab_size,
            tuple(tuple(tuple(token for (token,) in row) for row in rows) for rows in alone),
            (None,) * len(factors),
            (None,) * len(factors),
            composed=tuple(
                tuple(tuple(row) for row in rows if row not in own) for rows, own in zip(factors, alone, strict=True)
            ),
        ),
    )


def literal_read(action: UnitAction, text: list[int]) -> list[tuple[int, ...]]:
    """The words and tokens of a text, from left to right, the longest word first."""
    if not text:
        return []
    longest = max((form for form in action.forms if tuple(text[: len(form)]) == form), key=len, default=(text[0],))
    return [longest, *literal_read(action, text[len(longest) :])]


def literal_word(action: UnitAction, g: int, word: tuple[int, ...]) -> tuple[int, ...]:
    """g(word): the place of the word in its set, moved by the shift that g has in the set's factor."""
    token_map = action.token_map
    alone = [[[(token,) for token in row] for row in rows] for rows in token_map.sets]
    for shift, *factor in zip(action.group.coordinates[g], alone, token_map.composed, strict=True):
        for row in (row for rows in factor for row in rows):
            if word in row:
                return row[(row.index(word) + shift) % len(row)]
    return word


def literal_member(action: UnitAction, g: int, text: list[int]) -> list[int]:
    """g(text), word by word."""
    return [token for word in literal_read(action, text) for token in literal_word(action, g, word)]

"""Token actions of random groups, and what they do to one token, written as the sentence reads."""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import mul

import torch
from hypothesis import strategies as st

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions.tokens import TokenMap


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

"""Settings of `generate` that name tokens: whether they name the whole orbit of each alike.

Such a setting acts in the frame of the text as it is read. If "he" is banned and "she" is not, a text that has "he" in
one prompt's continuation has no image among those of the other prompt. So the texts are images of each other only if a
setting is the same after every element has moved it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

from hf_equi.actions import TokenAction
from hf_equi.bases.end_tokens import end_tokens

__all__ = ["Named", "missing_images", "read_biases", "read_rows", "read_strings", "read_tokens", "read_words"]

Named = dict[Any, float | None]
"""What a setting names, tokens in their order or a string, and the number that each goes with."""


def read_tokens(value: Any) -> Named:
    """One token, or several.

    Example:
        >>> read_tokens(3), read_tokens([3, 4])
        ({(3,): None}, {(3,): None, (4,): None})
    """
    return {(token,): None for token in end_tokens(value)}


def read_words(value: Any) -> Named:
    """Words of one token or more."""
    return {tuple(word): None for word in value}


def read_rows(value: Any) -> Named:
    """Whole texts, one a row, as an array of torch or numpy, or lists.

    Example:
        >>> import torch
        >>> read_rows(torch.tensor([[3, 4], [5, 6]]))
        {(3, 4): None, (5, 6): None}
    """
    return read_words(value.tolist() if hasattr(value, "tolist") else value)


def read_biases(value: Any) -> Named:
    """Words of one token or more, each with its bias: a dictionary, or a list of pairs."""
    return {tuple(word): float(bias) for word, bias in (value.items() if isinstance(value, dict) else value)}


def read_strings(value: Any) -> Named:
    """One string, or several."""
    return dict.fromkeys([value] if isinstance(value, str) else value)


def missing_images(named: Named, action: TokenAction) -> list[Any]:
    """What a setting does not name, or not with the same number, though an element makes it of what is named.

    Args:
        named: What it names.
        action: How the group acts on the tokens.

    Example:
        >>> from hf_equi.actions.tokens import TokenMap
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["man", "woman"]]), TokenMap(4, (((1, 2),),)))
        >>> missing_images(read_tokens([1]), action), missing_images(read_tokens([3, 1, 2]), action)
        ([(2,)], [])
    """
    moving = _moving_strings if any(isinstance(each, str) for each in named) else _moving_tokens
    moved, moves = moving(list(named), action)
    images = {(move(each), named[each]): None for move in moves for each in moved}
    missing = [image for image, number in images if image not in named or named[image] != number]
    return list(dict.fromkeys(missing))


def _moving_tokens(named: list[Any], action: TokenAction) -> tuple[list[Any], list[Callable[[Any], Any]]]:
    """Which of some words move, as tokens, and how each element moves them."""
    words = [word for word in named if not action.moving.isdisjoint(word)]
    if not words:
        return [], []
    moved = sorted(action.moving.intersection(chain.from_iterable(words)))
    tables = [dict(zip(moved, row, strict=True)) for row in action.permutations[:, moved].tolist()]
    return words, [partial(_move, table) for table in tables]


def _move(table: dict[int, int], word: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(table.get(token, token) for token in word)


def _moving_strings(named: list[Any], action: TokenAction) -> tuple[list[Any], list[Callable[[Any], Any]]]:
    """Which of some strings move, by their whole words, and how. Unlike a `WordAction` it need not be undone."""
    rows = {word: row for row in action.group.forms() for word in row.words}
    longest_first = "|".join(map(re.escape, sorted(rows, key=len, reverse=True)))
    words = re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)")

    def move(shifts: tuple[int, ...], text: str) -> str:
        def image(match: re.Match[str]) -> str:
            row = rows[match[0]]
            return row.words[(row.words.index(match[0]) + shifts[row.factor]) % len(row.words)]

        return words.sub(image, text)

    moves: list[Callable[[Any], Any]] = [partial(move, shifts) for shifts in action.group.coordinates]
    return [text for text in named if words.search(text)], moves

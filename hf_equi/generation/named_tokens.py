"""Settings of `generate` that name tokens: do they treat all images of a token alike?

Such a setting acts in the frame of the text as the user reads it. Suppose that "he" is banned and "she" is not. Then a
continuation of one prompt that contains "he" has no image among the continuations of the other prompt. So the texts
are images of each other only if every element of the group leaves the setting unchanged.
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
"""What a setting names: token sequences or strings, each with the number that belongs to it, if any."""


def read_tokens(value: Any) -> Named:
    """Read one token, or several.

    Example:
        >>> read_tokens(3), read_tokens([3, 4])
        ({(3,): None}, {(3,): None, (4,): None})
    """
    return {(token,): None for token in end_tokens(value)}


def read_words(value: Any) -> Named:
    """Read words of one token or more."""
    return {tuple(word): None for word in value}


def read_rows(value: Any) -> Named:
    """Read whole texts, one in each row, from a torch or numpy array or from lists.

    Example:
        >>> import torch
        >>> read_rows(torch.tensor([[3, 4], [5, 6]]))
        {(3, 4): None, (5, 6): None}
    """
    return read_words(value.tolist() if hasattr(value, "tolist") else value)


def read_biases(value: Any) -> Named:
    """Read words of one token or more, each with its bias, from a dictionary or a list of pairs."""
    return {tuple(word): float(bias) for word, bias in (value.items() if isinstance(value, dict) else value)}


def read_strings(value: Any) -> Named:
    """Read one string, or several."""
    return dict.fromkeys([value] if isinstance(value, str) else value)


def missing_images(named: Named, action: TokenAction) -> list[Any]:
    """Return the images of named tokens that the setting does not name, or names with another number.

    Args:
        named: What the setting names.
        action: The group's action on the tokens.

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
    """Return the words, as tokens, that move, and the function by which each element moves them."""
    words = [word for word in named if not action.moving.isdisjoint(word)]
    if not words:
        return [], []
    moved = sorted(action.moving.intersection(chain.from_iterable(words)))
    tables = [dict(zip(moved, row, strict=True)) for row in action.permutations[:, moved].tolist()]
    return words, [partial(_move, table) for table in tables]


def _move(table: dict[int, int], word: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(table.get(token, token) for token in word)


def _moving_strings(named: list[Any], action: TokenAction) -> tuple[list[Any], list[Callable[[Any], Any]]]:
    """Return the strings that move, by whole words, and how. Unlike in a `WordAction`, no inverse is needed."""
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

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

    What is named inside a word of several tokens is named for this word, and so for its images.

    Args:
        named: What the setting names.
        action: The group's action on the tokens.

    Example:
        >>> from hf_equi.actions.token_maps import TokenMap
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["man", "woman"]]), TokenMap(4, (((1, 2),),)))
        >>> missing_images(read_tokens([1]), action), missing_images(read_tokens([3, 1, 2]), action)
        ([(2,)], [])
    """
    if any(isinstance(each, str) for each in named):
        words, missing = named, []
        moved, moves = _moving_strings(list(named), action)
    else:
        units = _composed_units(action)
        words = {word: number for word, number in named.items() if tuple(action.read(word)) not in units}
        missing = _missing_units(named, action, sorted(unit for (unit,) in units))
        moved, moves = _moving_tokens(list(words), action)
    images = {(move(each), words[each]): None for move in moves for each in moved}
    missing += [image for image, number in images if image not in words or words[image] != number]
    return list(dict.fromkeys(missing))


def _composed_units(action: TokenAction) -> set[tuple[int]]:
    """Return the words of several tokens, and the tokens that some element sends to one."""
    return {(unit,) for unit in action.moved[(action.images >= action.vocab_size).any(0)].tolist()}


def _missing_units(named: Named, action: TokenAction, units: list[int]) -> list[Any]:
    """Return the images of units that are not named alike, in all that is named of their tokens."""
    amounts = {unit: _amount(named, tuple(action.write([unit]))) for unit in units}
    missing = []
    for unit, images in zip(units, action.permutations[:, units].T.tolist(), strict=True):
        if amounts[unit]:
            missing += [tuple(action.write([image])) for image in images if amounts[image] != amounts[unit]]
    return missing


def _amount(named: Named, tokens: tuple[int, ...]) -> float:
    """Return the sum of the numbers of what is named inside some tokens; what has no number counts as one, once."""
    ends = [tokens[:size] for size in range(1, len(tokens) + 1)]
    numbers = [number for end in ends for word, number in named.items() if word and end[-len(word) :] == word]
    return float(bool(numbers)) if None in numbers else sum(number for number in numbers if number is not None)


def _moving_tokens(named: list[Any], action: TokenAction) -> tuple[list[Any], list[Callable[[Any], Any]]]:
    """Return the words, as tokens, that move, and the function by which each element moves them."""
    units = {word: action.read(word) for word in named}
    words = [word for word in named if not action.moving.isdisjoint(units[word])]
    if not words:
        return [], []
    moved = sorted(action.moving.intersection(chain.from_iterable(units[word] for word in words)))
    tables = [dict(zip(moved, row, strict=True)) for row in action.permutations[:, moved].tolist()]
    return words, [partial(_move, action, table) for table in tables]


def _move(action: TokenAction, table: dict[int, int], word: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(action.write(table.get(unit, unit) for unit in action.read(word)))


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

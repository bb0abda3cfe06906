"""Texts in which words of several tokens move, cut where no word is half written.

Of the beginning of a word no image is known: " grand" may become " granddaughter" or " grandson", or stay. So what is
compared of two texts ends with a word.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from hf_equi.actions import UnitAction
from hf_equi.generation.units.readings import Reading, UnitTables

__all__ = ["closed_units", "members_of"]


def closed_units(action: UnitAction, units: Sequence[int], most: int | None = None, least: int = 0) -> int:
    """Return the largest number of units after which no word goes on, neither in a text nor in an image of it.

    Args:
        action: The group.
        units: The units of the text.
        most: The most units; by default all.
        least: The fewest units.

    Returns:
        The number; `most` if a word goes on after each number of units from `least` to `most`.

    Example:
        >>> from hf_equi.actions.token_maps import TokenMap
        >>> from hf_equi.groups import DemographicGroup
        >>> token_map = TokenMap(vocab_size=4, sets=((),), composed=((((1,), (2, 3)),),))
        >>> action = UnitAction(DemographicGroup([["grandson", "granddaughter"]]), token_map)
        >>> closed_units(action, action.read([0, 2, 3, 0])), closed_units(action, action.read([0, 2]))
        (3, 1)
    """
    tables, most = UnitTables.of(action), len(units) if most is None else most
    counts = range(most, least - 1, -1)
    return next((n for n in counts if Reading.of(tables, action.write(units[:n])).quiet), most)


def members_of(action: UnitAction, tokens: Sequence[int], prompt: int) -> list[tuple[list[int], list[int]]]:
    """Return the members of the orbit of a text, each in two parts: what is given, and what is scored of it.

    Both end where no word goes on, if there is such a place. So the prompt may be shorter than it was, but has at
    least one unit, and the last tokens of the text may be left out.

    Args:
        action: The group.
        tokens: The text.
        prompt: The number of its tokens that are given.
    """
    units = action.read(tokens)
    ends = list(accumulate(len(action.write([unit])) for unit in units))
    start = closed_units(action, units, max(bisect_right(ends, prompt), 1), 1)
    stop = closed_units(action, units, least=start + 1)
    moved = (action.move(g, units) for g in range(action.group.order))
    return [(action.write(each[:start]), action.write(each[start:stop])) for each in moved]

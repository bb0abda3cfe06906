"""Which channels of a model have a left and a right side, that mirrors exchange."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["pairs_of", "pairs_of_names"]

_SIDES = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])")
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


def pairs_of(config: Any) -> list[list[int]] | None:
    """Return the pairs of left and right channels that a base's config states, or that its labels name.

    Args:
        config: The base's config.

    Returns:
        The pairs; `None` if it says nothing about them.
    """
    stated = getattr(config, "flip_pairs", None)
    if stated is not None:
        return [[int(one) for one in pair] for pair in stated]
    return pairs_of_names(getattr(config, "id2label", None) or {})


def pairs_of_names(names: Mapping[int, str]) -> list[list[int]] | None:
    """Return the pairs whose names differ in their side, such as `L_Eye` and `R_Eye`.

    There are none (`None`) if no name has a side, or one of those that have has no counterpart.

    Args:
        names: The name of each channel.

    Example:
        >>> pairs_of_names({0: "Nose", 1: "L_Eye", 2: "R_Eye", 3: "left ankle", 4: "right ankle"})
        [[1, 2], [3, 4]]
        >>> pairs_of_names({0: "LABEL_0", 1: "LABEL_1"}) is None
        True
    """
    places = {name.lower(): int(place) for place, name in names.items()}
    others = {name: _SIDES.sub(lambda side: _OTHER[side.group()], name, count=1) for name in places}
    sided = [name for name, other in others.items() if other != name]
    if not sided or any(others[name] not in places for name in sided):
        return None
    return [[places[name], places[others[name]]] for name in sided if places[name] < places[others[name]]]

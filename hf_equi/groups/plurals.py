"""The plurals of the words of a group, which the package inflect finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_equi.errors import GroupError

__all__ = ["plurals_of"]


def plurals_of(sets: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...] | None, ...]:
    """Return the plurals of each set; `None` for a set with a word that is a plural, or whose plurals are equal.

    Args:
        sets: Sets of English words or phrases.

    Raises:
        GroupError: If the package inflect is not installed.
    """
    try:
        import inflect  # noqa: PLC0415  an extra
    except ImportError as error:
        raise GroupError(
            'forms=["plural"] needs the package inflect, which finds the plurals: pip install "hf_equi[plurals]". A '
            "group that is stored has its plurals and needs no package. Or write the plurals as sets of their own."
        ) from error
    engine = inflect.engine()
    return tuple(_plurals(words, engine) for words in sets)


def _plurals(words: tuple[str, ...], engine: Any) -> tuple[str, ...] | None:
    if any(engine.singular_noun(word) not in (False, word) for word in words):
        return None
    found = tuple(str(engine.plural_noun(word)) for word in words)
    return found if len(set(found)) == len(found) else None  # he and she are both they

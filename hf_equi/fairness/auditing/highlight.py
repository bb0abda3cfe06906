"""The words of a text that a group moves, for display."""

from __future__ import annotations

from collections.abc import Callable

from hf_equi.groups import DemographicGroup
from hf_equi.groups.forms import composed, written_words
from hf_equi.groups.matching import compile_words

__all__ = ["moved_words"]


def moved_words(group: DemographicGroup) -> Callable[[str], list[tuple[str, bool]]]:
    """Return a function that splits a text into pieces and says for each whether the group moves it.

    The pieces make up the text exactly as written, in composed Unicode or not.

    Args:
        group: The group, which acts on whole words.

    Example:
        >>> moved_words(DemographicGroup([["man", "woman"]]))("The man left")
        [('The ', False), ('man', True), (' left', False)]
    """
    words = written_words(group.forms())
    pattern = compile_words(words)

    def pieces(text: str) -> list[tuple[str, bool]]:
        found: list[tuple[str, bool]] = []
        end = 0
        for match in pattern.finditer(text):
            if composed(match[0]) in words:
                found += [(text[end : match.start()], False), (match[0], True)]
                end = match.end()
        return [piece for piece in [*found, (text[end:], False)] if piece[0]]

    return pieces

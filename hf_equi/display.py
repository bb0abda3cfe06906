"""Safe display of texts that others wrote: in a terminal, in a log, on a page."""

from __future__ import annotations

from unicodedata import category

__all__ = ["Pieces", "plain", "shown"]

Pieces = tuple[tuple[str, bool], ...]
"""A text in pieces, and for each whether a group moves it."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# The format characters that a reader sees: the joiners of Persian, Indic scripts and emoji, and the signs that Arabic
# and Syriac write before or around numbers and abbreviations.
_SEEN = frozenset("\u200c\u200d\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd") | frozenset(
    map(chr, range(0x600, 0x606))
)


def plain(pieces: Pieces) -> str:
    """Return the text that pieces make up.

    Example:
        >>> plain((("The ", False), ("man", True)))
        'The man'
    """
    return "".join(piece for piece, _ in pieces)


def shown(text: str, keep: str = "") -> str:
    r"""Return a text in which each character that would act on the display is an escape, such as `\x1b` or `\u202e`.

    Such characters are control characters, which move a cursor or rewrite a line; marks that reverse the order of the
    text beside them, digits too; other invisible format characters; line ends; and halves of characters, which no file
    can hold. All other text stays as it is, in any script.

    Args:
        text: The text.
        keep: Characters to leave as they are, such as line ends.

    Example:
        >>> shown("0.\u202e299\x1b[2J\n")
        '0.\\u202e299\\x1b[2J\\n'
    """
    if text.isprintable():  # the usual case, and fast
        return text
    return "".join(letter if letter in keep or _stands(letter) else _written(letter) for letter in text)


def _stands(letter: str) -> bool:
    return category(letter) not in _UNSEEN or letter in _SEEN


def _written(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")

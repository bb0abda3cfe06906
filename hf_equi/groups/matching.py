"""Finding whole words and phrases in text."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["compile_words", "letters"]


@lru_cache(maxsize=1)
def letters() -> str:
    r"""Return a regular expression class of all Unicode letters and of the marks that belong to them.

    `[^\W\d_]` is close, but it includes superscript digits and leaves out accents that are separate characters.
    """
    bounds: list[str] = []
    inside = False
    for point in range(sys.maxunicode + 2):
        letter = point <= sys.maxunicode and unicodedata.category(chr(point))[0] in "LM"
        if letter and not inside:
            bounds.append(f"{chr(point)}-")
        elif inside and not letter:
            bounds.append(chr(point - 1))
        inside = letter
    return f"[{''.join(bounds)}]"


def compile_words(words: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches these phrases, the longest first, and each other whole word by itself.

    Matches are bounded by non-letters or by the ends of the text; apostrophes, hyphens and digits are non-letters.

    Args:
        words (`Iterable[str]`):
            Words and phrases. A word that is only letters needs no separate branch.

    Returns:
        `re.Pattern[str]`: The pattern. Look a match up to see whether it is one of the words.
    """
    letter = letters()
    phrases = sorted((word for word in words if not re.fullmatch(f"{letter}+", word)), key=len, reverse=True)
    branches = "|".join([*map(re.escape, phrases), f"{letter}+"])
    return re.compile(f"(?<!{letter})(?:{branches})(?!{letter})")

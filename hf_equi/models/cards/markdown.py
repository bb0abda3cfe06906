"""Texts of others in a card: what they say is shown, and none of it is Markdown or HTML."""

from __future__ import annotations

import re

from hf_equi.display import shown

__all__ = ["plain"]

_MARKUP = re.compile(r"[\\`*_<>#|$&~\[\]]")
# What begins a list, a rule or a heading at the start of a line.
_START = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+=]))")


def plain(text: object, longest: int | None = None) -> str:
    r"""A text as it is, in one line.

    Args:
        text: What others wrote.
        longest: The number of letters to show at most.

    Example:
        >>> print(plain("# Buy <!-- \n now"))
        \# Buy \<!-- now
        >>> print(plain("1. Buy now", longest=6))
        1\. Buy ...
    """
    line = shown(" ".join(str(text).split()))
    if longest is not None and len(line) > longest:
        line = f"{line[:longest].rstrip()} ..."
    return _START.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", line))

"""Show texts of others in a card, so that none of them acts as Markdown or HTML."""

from __future__ import annotations

import re

from hf_equi.display import shown

__all__ = ["plain"]

_MARKUP = re.compile(r"[\\`*_<>#|$&~\[\]]")
# What begins a list, a rule or a heading at the start of a line.
_START = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+=]))")


def plain(text: object, longest: int | None = None) -> str:
    r"""Return a text as one line of literal Markdown.

    Args:
        text: The text, which others wrote.
        longest: The most characters to show.

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

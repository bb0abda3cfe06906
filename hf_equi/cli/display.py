"""What both commands print with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any
from unicodedata import category

from rich.console import Console
from rich.text import Text

__all__ = ["Pieces", "escape", "plain", "styled", "terminal", "write_json", "write_line"]

Pieces = tuple[tuple[str, bool], ...]
"""A text in pieces, and for each whether a group moves it."""

_CONTROL = ("Cc", "Zl", "Zp")  # the last two end lines too

MOVED = "bold magenta"
"""The style of what a group moves."""


def terminal() -> Console | None:
    """The terminal on stdout, or `None` where stdout is a pipe or a file."""
    console = Console()
    return console if console.is_terminal else None


def write_line(*fields: str) -> None:
    """Write fields to stdout in one line, a tab between each two."""
    sys.stdout.write("\t".join(map(escape, fields)) + "\n")


def write_json(content: dict[str, Any]) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def escape(text: str) -> str:
    r"""Show control characters and ends of lines as `\n`, `\t` and so on, so that a text stays in one line."""
    return "".join(letter if category(letter) not in _CONTROL else _written(letter) for letter in text)


def _written(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def plain(pieces: Pieces) -> str:
    """The text alone."""
    return "".join(piece for piece, _ in pieces)


def styled(pieces: Iterable[tuple[str, bool]]) -> Text:
    """The text with moved words highlighted."""
    return Text.assemble(*((escape(piece), MOVED if moved else "") for piece, moved in pieces))

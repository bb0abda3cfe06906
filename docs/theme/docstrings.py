"""How griffe reads the docstrings of this package: they write examples and types in ways that it does not know."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_TYPED = re.compile(
    r"^(?P<names> +[\w, ]+) \(`(?P<type>.+?)`(?:, \*optional\*)?"
    r"(?:, defaults to (?P<default>.+?))?\):\n(?P<indent> +)",
    re.MULTILINE,
)


class HouseStyle(Extension):
    """Write both as griffe knows them."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Each docstring in turn."""
        del kwargs
        if obj.docstring is not None:
            obj.docstring.value = _rewritten(obj.docstring.value)


def _rewritten(text: str) -> str:
    """A docstring with `Examples:` for `Example:`, and types as annotations instead of markdown."""
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    return _TYPED.sub(_typed, text)


def _typed(match: re.Match[str]) -> str:
    default = f"By default {match['default']}. " if match["default"] else ""
    return f"{match['names']} ({match['type']}):\n{match['indent']}{default}"

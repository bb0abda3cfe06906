"""The classes of a model, found by name or by number."""

from __future__ import annotations

from collections.abc import Mapping

from hf_equi.checks import nearest

__all__ = ["ClassNames"]

_SHOWN = 60  # letters of a name in a message


class ClassNames:
    """The classes of a model by name and by number.

    A name is first looked up as the model spells it. Otherwise case does not matter, spaces stand for underscores and
    hyphens, and one of several synonyms separated by commas is enough, as long as no other class has it. A text that
    is not a name is read as a number.

    Args:
        names: `config.id2label` of the model.

    Example:
        >>> classes = ClassNames({0: "tench, Tinca tinca", 1: "tiger shark"})
        >>> classes.find("tiger_shark"), classes.find("Tench"), classes.find("1"), classes.find("2")
        (1, 0, 1, None)
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = {int(index): str(name) for index, name in names.items()}
        self._exact: dict[str, set[int]] = {}
        self._loose: dict[str, set[int]] = {}
        for index, name in self.names.items():
            self._exact.setdefault(name, set()).add(index)
            for known in {name, *name.split(",")}:
                self._loose.setdefault(_plain(known), set()).add(index)

    def find(self, text: str) -> int | None:
        """Return the number of the class that a text names; `None` if it names no class or several."""
        for known in (self._exact.get(text), self._loose.get(_plain(text))):
            if known and len(known) == 1:
                return next(iter(known))
        number = int(text) if text.strip().isdecimal() else -1
        return number if number in self.names and not self.ambiguous(text) else None

    def ambiguous(self, text: str) -> bool:
        """Whether several classes have that name."""
        return len(self._exact.get(text, self._loose.get(_plain(text), ()))) > 1

    def nearest(self, text: str) -> str:
        """Return the name that looks most like a text, or an empty text."""
        known = {_plain(name): name for name in self.names.values()}
        return known.get(nearest(_plain(text), known), "")

    def examples(self) -> str:
        """Return some names with their numbers, for messages."""
        some = [f"{index} ({name[:_SHOWN]!r})" for index, name in sorted(self.names.items())[:2]]
        return f"{', '.join(some)} and so on up to {max(self.names, default=0)}"


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()

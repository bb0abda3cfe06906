"""The papers that a card cites."""

from __future__ import annotations

from functools import cache
from importlib import resources

from hf_equi.symmetrizers import MethodText

__all__ = ["citations"]

EQUITUNE, EQUIZERO = "basu2023equituning", "basu2023efficient"


def citations(method: MethodText) -> tuple[str, ...]:
    """The BibTeX entries to cite: the two papers that the library rests on, and those of the method."""
    entries = _entries()
    keys = dict.fromkeys((EQUITUNE, EQUIZERO, *method.sources))
    return tuple(key if key.startswith("@") else entries[key] for key in keys)


@cache
def _entries() -> dict[str, str]:
    file = resources.files("hf_equi").joinpath("assets", "cards", "citations.bib")
    texts = ("@" + entry.strip() for entry in file.read_text(encoding="utf-8").split("@")[1:])
    return {text[text.index("{") + 1 : text.index(",")]: text for text in texts}

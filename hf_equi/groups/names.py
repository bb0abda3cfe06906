"""The names of demographics, and how they fit into a prompt."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

__all__ = ["as_subject", "has_pronoun", "product_names"]

_PRONOUNS = re.compile(
    r"\b(?:i|me|my|myself|yours?|you|yourself|yourselves|he|him|his|himself|she|hers?|herself|it|its|itself|we|us|ours?|"
    r"ourselves|they|them|theirs?|themselves|themself|xe|xem|xyr|ze|zir|hir)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(r"\bperson\b")


def has_pronoun(name: str) -> bool:
    """Return whether a name contains a pronoun, so that it cannot follow an article. "US" and "IT" do not count.

    Example:
        >>> has_pronoun("He"), has_pronoun("man"), has_pronoun("US citizen")
        (True, False, False)
    """
    return any(len(word) == 1 or not word.isupper() for word in _PRONOUNS.findall(name))


def as_subject(name: str) -> str:
    """Return a name as the subject at the beginning of a sentence.

    Example:
        >>> as_subject("Black person"), as_subject("she")
        ('The Black person', 'She')
    """
    return name[:1].upper() + name[1:] if has_pronoun(name) else f"The {name}"


def product_names(names: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of a product's elements.

    A name such as "Black person" or "person named Amy" describes a person: the other names replace "person" in it.
    Other names are written one after the other.

    Args:
        names: The names of each factor.

    Example:
        >>> product_names([["man", "woman"], ["Black person", "White person"]])
        ['Black man', 'White man', 'Black woman', 'White woman']
    """
    elements = list(itertools.product(*names))
    merged = list(map(_merged, elements))
    return merged if len(set(merged)) == len(merged) else [" ".join(parts) for parts in elements]


def _merged(parts: Sequence[str]) -> str:
    said = [part for part in parts if part != "person" and _PERSON.search(part)]
    who = " ".join(part for part in parts if part not in said) or "person"
    for part in reversed(said):  # reversed, so that the first factor's word comes first
        before, after = _PERSON.split(part, maxsplit=1)
        who = before + who + after
    return who

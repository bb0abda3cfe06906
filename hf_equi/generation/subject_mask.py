"""Hide the words of a group from a classifier, which is biased itself."""

from __future__ import annotations

import re

from hf_equi.groups import DemographicGroup
from hf_equi.groups.forms import composed
from hf_equi.groups.matching import compile_words

__all__ = ["SubjectMask"]

MASK = "XYZ"
"""The placeholder for a demographic in the data of Sheng et al. 2019."""


class SubjectMask:
    """Replaces the words of a group by XYZ, as the annotated data do.

    An article before the word and "person" or "people" after it count as part of the subject.

    Args:
        group: The group whose words are hidden.

    Example:
        >>> SubjectMask(DemographicGroup([["Black", "White"]]))("The Black person was known for kindness")
        'XYZ was known for kindness'
    """

    def __init__(self, group: DemographicGroup) -> None:
        self.group = group
        words = {word for row in group.forms() for word in row.words}
        inner = compile_words(words)
        # The pattern matches any whole word; only matches that are words of the group are replaced.
        self._words, self._inner = words, inner
        self._article = re.compile(r"\b(?:[Tt]he|THE|[Aa]n?)\s+$")
        self._person = re.compile(r"^\s+(?:person|people|persons)\b")

    def __call__(self, text: str) -> str:
        """Return the text with its subjects hidden."""
        pieces: list[str] = []
        text, end = composed(text), 0
        for match in self._inner.finditer(text):
            if match[0] not in self._words:
                continue
            before = self._article.sub("", text[end : match.start()])
            if not pieces or before.strip():  # otherwise two words name one subject, as in "Black woman"
                pieces += [before, MASK]
            after = self._person.match(text[match.end() :])
            end = match.end() + (after.end() if after else 0)
        return "".join([*pieces, text[end:]])

    def __repr__(self) -> str:
        return f"SubjectMask({self.group!r})"

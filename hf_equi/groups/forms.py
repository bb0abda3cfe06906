"""Surface forms: the spellings in which the words of an equality set are found and replaced."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hf_equi.errors import GroupError

__all__ = [
    "CASES",
    "FORMS",
    "Derivation",
    "FormRow",
    "composed",
    "derive_rows",
    "left_out_rows",
    "surface_forms",
    "written_words",
]

CASES = ("lower", "capitalised", "title", "upper")
"""The changes of case that a word stands for."""
FORMS = (*CASES, "plural")
"""The spellings that can be derived from a word."""

_PART = re.compile(r"[^\s-]+")  # of a phrase or of a hyphenated word


@dataclass(frozen=True)
class FormRow:
    """Aligned surface forms of one equality set, one per place. Element k of the factor sends place i to place i + k.

    Args:
        factor (`int`):
            The factor of the group that moves these words.
        words (`tuple[str, ...]`):
            The surface forms.
        source (`tuple[str, ...]`):
            The equality set as the user wrote it.
        explicit (`bool`):
            Whether the row is the set as written (`True`), or a change of its case or its plural (`False`).

    Example:
        ```python
        >>> from hf_equi import DemographicGroup
        >>> [row.words for row in DemographicGroup([["he", "she"]]).forms()]
        [('he', 'she'), ('He', 'She'), ('HE', 'SHE')]

        ```
    """

    factor: int
    words: tuple[str, ...]
    source: tuple[str, ...]
    explicit: bool

    def same_mapping(self, other: FormRow) -> bool:
        """Whether both rows send the same strings to the same targets, as rotations of each other in one factor."""
        if self.factor != other.factor or len(self.words) != len(other.words):
            return False
        return any(self.words[i:] + self.words[:i] == other.words for i in range(len(self.words)))


class Derivation(NamedTuple):
    """What is derived from the sets of a factor.

    Args:
        cases: The changes of case, of `CASES`.
        plurals: For each set its plurals, or `None`; empty if none are derived.
        leave_out: Derived spellings that stay, each with its images.
    """

    cases: tuple[str, ...] = CASES
    plurals: tuple[tuple[str, ...] | None, ...] = ()
    leave_out: tuple[str, ...] = ()


def surface_forms(word: str, cases: Sequence[str] = CASES) -> tuple[str, ...]:
    """Return the distinct spellings of a word: as written, lower, Capitalised (first letter), Title Case, UPPER."""
    return tuple(dict.fromkeys((word, *_changes_of_case(word, cases))))


def composed(text: str) -> str:
    """Return a text in composed Unicode (NFC), in which a letter with its accent is one character.

    Example:
        >>> len("e\u0301"), len(composed("e\u0301"))
        (2, 1)
    """
    return unicodedata.normalize("NFC", text)


def written_words(rows: Sequence[FormRow]) -> dict[str, FormRow]:
    """Return the rows of all forms, by the form in composed and in decomposed Unicode."""
    words = {word: row for row in rows for word in row.words}
    return {**{unicodedata.normalize("NFD", word): row for word, row in words.items()}, **words}


def _changes_of_case(word: str, cases: Sequence[str]) -> tuple[str, ...]:
    """Return lower, Capitalised, Title Case (each part of a phrase or hyphenated word) and UPPER, in composed form."""
    lower = composed(word.lower())
    title = _PART.sub(lambda part: _capitalised(part[0]), lower)
    found = dict(zip(CASES, (lower, _capitalised(lower), title, composed(word.upper())), strict=True))
    return tuple(found[case] for case in CASES if case in cases)


def _capitalised(word: str) -> str:
    return composed(word[:1].upper() + word[1:])


def derive_rows(
    factors: Sequence[Sequence[tuple[str, ...]]], derivations: Sequence[Derivation] = ()
) -> tuple[FormRow, ...]:
    """Return the rows by which the equality sets of all factors move words; each string is in exactly one of them.

    A set as written wins over derived forms of another set. Equal mappings merge. A change of case is left out if it
    makes two words of the set equal, or if it contradicts an earlier change of case of the same set (the upper case of
    "a" and "an" would send "A" to "AN", but Capitalised it goes to "An"). A derived row with a spelling that its
    factor leaves out is left out whole, so that orbits stay whole.

    Args:
        factors (`Sequence[Sequence[tuple[str, ...]]]`):
            For each factor its equality sets.
        derivations (`Sequence[Derivation]`, *optional*):
            For each factor what is derived from them; by default all changes of case.

    Returns:
        `tuple[FormRow, ...]`: The sets as written, each followed by its derived rows.

    Raises:
        GroupError: If derived forms of two sets send one string to two targets.
    """
    derivations = derivations or [Derivation()] * len(factors)
    return tuple(row for row in _all_rows(factors, derivations) if not _is_left_out(row, derivations))


def left_out_rows(
    factors: Sequence[Sequence[tuple[str, ...]]], derivations: Sequence[Derivation]
) -> tuple[FormRow, ...]:
    """Return the derived rows that `derive_rows` would return too if no factor left spellings out.

    Args:
        factors: For each factor its equality sets.
        derivations: For each factor what is derived from them, and what is left out.
    """
    return tuple(row for row in _all_rows(factors, derivations) if _is_left_out(row, derivations))


def _is_left_out(row: FormRow, derivations: Sequence[Derivation]) -> bool:
    return not row.explicit and not set(derivations[row.factor].leave_out).isdisjoint(row.words)


def _all_rows(factors: Sequence[Sequence[tuple[str, ...]]], derivations: Sequence[Derivation]) -> list[FormRow]:
    explicit = {word for sets in factors for words in sets for word in words}
    owner: dict[str, FormRow] = {}
    rows: list[FormRow] = []
    for row in _candidates(factors, derivations, explicit):
        if not row.explicit and not explicit.isdisjoint(row.words):
            continue
        shared = next((word for word in row.words if word in owner), None)
        if shared is None:
            rows.append(row)
            owner.update(dict.fromkeys(row.words, row))
        elif not row.same_mapping(owner[shared]) and row.source != owner[shared].source:
            _raise_collision(shared, owner[shared], row)
    return rows


def _candidates(
    factors: Sequence[Sequence[tuple[str, ...]]], derivations: Sequence[Derivation], explicit: Collection[str]
) -> Iterator[FormRow]:
    for factor, (sets, (cases, plurals, _)) in enumerate(zip(factors, derivations, strict=True)):
        for words, plural in zip(sets, plurals or [None] * len(sets), strict=True):
            yield FormRow(factor, words, words, explicit=True)
            own = _cased(words, cases)
            if plural is not None and not any(word in explicit for word in plural):  # with its changes of case
                own += [plural, *_cased(plural, cases)]
            yield from (FormRow(factor, form, words, explicit=False) for form in own)


def _cased(words: tuple[str, ...], cases: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the changes of case of a set, without those in which two words are equal."""
    forms = zip(*(_changes_of_case(word, cases) for word in words), strict=True)
    return [form for form in forms if len(set(form)) == len(form)]


def _raise_collision(shared: str, first: FormRow, second: FormRow) -> None:
    sets = " and ".join(f"{list(row.source)} (factor {row.factor})" for row in (first, second))
    raise GroupError(
        f"Changes of case or plurals of two equality sets send {shared!r} to different words: {sets}. "
        "Drop one of the sets, or write the form as a separate set, which then wins over derived ones."
    )

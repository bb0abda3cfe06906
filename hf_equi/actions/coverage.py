"""The words of a group that move in a vocabulary, and those that stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from hf_equi.actions.spellings import AFTER_BRACKET, AFTER_SPACE, START, Spellings
from hf_equi.actions.token_maps import Form
from hf_equi.actions.units import FormNode
from hf_equi.groups import DemographicGroup, FormRow

__all__ = ["CONTEXTS", "Coverage", "TokenRow", "Unmoved"]

CONTEXTS = (START, AFTER_SPACE, AFTER_BRACKET)
"""The contexts in which forms are looked up."""


@dataclass(frozen=True)
class TokenRow:
    """The tokens that stand for the aligned forms of one set of words.

    Args:
        form: The words.
        context: The text before them.
        spelled: The tokens of each word.
    """

    form: FormRow
    context: str
    spelled: tuple[Form, ...]

    @property
    def composed(self) -> bool:
        """Whether some word has several tokens."""
        return max(map(len, self.spelled)) > 1

    @property
    def tokens(self) -> tuple[int, ...]:
        """The tokens, if each word has one."""
        return tuple(token for (token,) in self.spelled)


@dataclass(frozen=True)
class Coverage:
    """The tokens that a group moves, and the words that they cover.

    Args:
        group: The group.
        rows: The tokens that move.
        spellings: The tokens of all forms of the group's words.
        composes: Whether words of several tokens may move as units.
    """

    group: DemographicGroup
    rows: tuple[TokenRow, ...]
    spellings: Spellings
    composes: bool = False

    def moves(self, form: FormRow, context: str) -> bool:
        """Whether the tokens of a form's words, after a context, are images of each other.

        Usually each word is one token, or a unit. Several pieces also work if they move alike: "sales" "man" and
        "sales" "woman".
        """
        tokens = [self.spellings.tokens(context, word) for word in form.words]
        if None in tokens:
            return False
        image = self._images[form.factor]
        units = [self._trie.read(ids or ()) for ids in tokens]
        moved = [[image.get(unit, unit) for unit in each] for each in units]
        return moved == [*units[1:], units[0]] and units[0] != units[1]

    def touches(self, tokens: Form) -> bool:
        """Whether some tokens hold a word or a piece that moves."""
        return any(unit in image for unit in self._trie.read(tokens) for image in self._images)

    def other_spellings(self, forms: Iterable[FormRow], moving: bool) -> tuple[str, ...]:
        """Return usual spellings of a set, other than as written, that move or that stay.

        Usual are those in lower case, and those with a capital, at the start of a text and inside it.

        Args:
            forms: The forms of the set.
            moving: Whether to return those that move.
        """
        found: list[str] = []
        for form in forms:
            words = "/".join(form.words)
            if all(map(_is_capitalised, form.words)):
                inside = () if form.explicit else ((AFTER_SPACE, f"{words} inside a text"),)
                places = ((START, f"{words} at the start of a text"), *inside)
                those = [place for context, place in places if self.moves(form, context) is moving]
                found += [words] if len(those) > 1 else those
            elif form.words == _lower(form) and not form.explicit and self.moves(form, AFTER_SPACE) is moving:
                found.append(words)
        return tuple(found)

    @cached_property
    def lost(self) -> tuple[tuple[str, ...], ...]:
        """Return the sets that do not move as written, in the middle of a text."""
        return tuple(form.words for form in Unmoved.on([self]).written)

    @cached_property
    def composed(self) -> tuple[tuple[str, ...], ...]:
        """Return the sets that move as written, in the middle of a text, although some word has several tokens."""
        moving = {
            row.form.source for row in self.rows if row.composed and row.form.explicit and row.context == AFTER_SPACE
        }
        return tuple(words for factor in self.group.factors for words in factor.sets if words in moving)

    def best_elements(self, lost: Iterable[tuple[str, ...]]) -> list[tuple[str, ...] | None]:
        """Return for each factor the names of fewer elements with which the most of the lost sets would move.

        Args:
            lost: Sets of words that stay, as written or in another case.
        """
        lost = list(lost)
        return [
            self._best(index, [words for words in lost if words in owned]) for index, owned in enumerate(self._words)
        ]

    def _best(self, index: int, lost: list[tuple[str, ...]]) -> tuple[str, ...] | None:
        factor = self.group.factors[index]
        known = self.spellings.tokens if self.composes else self.spellings.token
        whole = [
            frozenset(i for i, word in enumerate(words) if known(AFTER_SPACE, word) is not None) for words in lost
        ]
        parts = {part for part in whole if 1 < len(part) < factor.size}
        parts |= {both for part in parts for other in parts if len(both := part & other) > 1}
        if not parts:
            return None

        def worth(part: frozenset[int]) -> tuple[int, int, list[int]]:
            return sum(part <= each for each in whole), len(part), [-i for i in sorted(part)]

        best = max(parts, key=worth)
        return tuple(factor.names[i] for i in sorted(best))

    @cached_property
    def _words(self) -> tuple[set[tuple[str, ...]], ...]:
        """Return for each factor the words of all its forms."""
        forms = self.group.forms()
        return tuple(
            {form.words for form in forms if form.factor == index} for index in range(len(self.group.factors))
        )

    @cached_property
    def _images(self) -> tuple[dict[int, int], ...]:
        """Return for each factor the units that its generator moves, with their images."""
        return tuple(dict(self._pairs(index)) for index in range(len(self.group.factors)))

    def _pairs(self, factor: int) -> Iterator[tuple[int, int]]:
        for row in self.rows:
            if row.form.factor == factor:
                units = [self._numbers.get(form, form[0]) for form in row.spelled]
                yield from zip(units, [*units[1:], units[0]], strict=True)

    @cached_property
    def _numbers(self) -> dict[Form, int]:
        """Return the units of words of several tokens: here negative, so that they differ from tokens."""
        forms = dict.fromkeys(form for row in self.rows for form in row.spelled if len(form) > 1)
        return {form: -place for place, form in enumerate(forms, start=1)}

    @cached_property
    def _trie(self) -> FormNode:
        trie = FormNode()
        for form, unit in self._numbers.items():
            trie.add(form, unit)
        return trie


@dataclass(frozen=True)
class Unmoved:
    """The forms that a user would write and that no side moves.

    Args:
        written: Forms as written, in the middle of a text.
        lower: Forms in lower case, if the words have one capital and move as written: "Black", "black".
        start: Forms at the start of a text, if the words have a capital and move as written.
    """

    written: tuple[FormRow, ...]
    lower: tuple[FormRow, ...]
    start: tuple[FormRow, ...]

    @classmethod
    def on(cls, sides: Sequence[Coverage]) -> Unmoved:
        """Return the forms for one vocabulary, or for a source and a target."""

        def stays(form: FormRow, context: str) -> bool:
            return not any(side.moves(form, context) for side in sides)

        forms = sides[0].group.forms()
        written = [form for form in forms if form.explicit]
        lost = [form for form in written if stays(form, AFTER_SPACE)]
        rest = {form.source for form in written} - {form.source for form in lost}
        names = {form.source for form in written if form.source in rest and all(map(_is_capitalised, form.words))}
        lower = [form for form in forms if form.source in names and form.words == _lower(form)]
        begin = [form for form in written if all(word[0].isupper() for word in form.words) and form.source in rest]
        return cls(
            tuple(lost),
            tuple(form for form in lower if stays(form, AFTER_SPACE)),
            tuple(form for form in begin if stays(form, START)),
        )


def _is_capitalised(word: str) -> bool:
    return word[0].isupper() and word[1:] == word[1:].lower() and word != word.lower()


def _lower(form: FormRow) -> tuple[str, ...]:
    return tuple(word.lower() for word in form.words)

"""One factor of a demographic group: aligned equality sets, their names and the words outside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from hf_equi.checks import check_choice, did_you_mean
from hf_equi.errors import GroupError
from hf_equi.groups.forms import CASES, FORMS, Derivation, composed, derive_rows, surface_forms
from hf_equi.groups.plurals import plurals_of

__all__ = ["EqualityFactor"]


@dataclass(frozen=True)
class EqualityFactor:
    """Equality sets of one length d, on which the cyclic group of order d acts.

    Make one with `EqualityFactor.from_lists`, which checks it.

    Args:
        sets (`tuple[tuple[str, ...], ...]`):
            The equality sets; element k sends the word at place i to the word at place (i + k) mod d.
        neutral (`tuple[str, ...]`, *optional*):
            The neutral words; all others are general.
        general (`tuple[str, ...]`, *optional*):
            The general words; all others are neutral.
        names (`tuple[str, ...]`):
            One name per element.
        cases (`tuple[str, ...]`):
            The changes of case that words stand for.
        plurals (`tuple[tuple[str, ...] | None, ...]`):
            The derived plurals of each set, or `None`; empty if none are derived.
        leave_out (`tuple[str, ...]`):
            Derived spellings that stay, each with its images.

    Example:
        ```python
        >>> from hf_equi.groups import EqualityFactor
        >>> factor = EqualityFactor.from_lists([["man", "woman"], ["he", "she"]], general=["pregnant"])
        >>> factor.size, factor.names
        (2, ('man', 'woman'))
        >>> [factor.role(word) for word in ("He", "Pregnant", "doctor")]
        ['equality', 'general', 'neutral']

        ```
    """

    sets: tuple[tuple[str, ...], ...]
    neutral: tuple[str, ...] | None
    general: tuple[str, ...] | None
    names: tuple[str, ...]
    cases: tuple[str, ...] = CASES
    plurals: tuple[tuple[str, ...] | None, ...] = ()
    leave_out: tuple[str, ...] = ()

    @classmethod
    def from_lists(
        cls,
        equality: Sequence[Sequence[str]],
        *,
        neutral: Sequence[str] | None = None,
        general: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        forms: Sequence[str] | None = None,
        plurals: Sequence[Sequence[str] | None] | None = None,
        leave_out: Sequence[str] | None = None,
    ) -> EqualityFactor:
        """Check the lists and return the factor.

        White space around words is removed, and words are brought into composed Unicode. `forms` are the spellings to
        derive, except those to `leave_out`. With `"plural"`, `plurals` are those of each set, as `to_dict` stores
        them; by default they are found.

        Raises:
            GroupError: If the lists are malformed, contradict each other or do not describe a permutation. The message
                names the item at fault.
        """
        sets, forms = _checked_sets(equality), _checked_forms(forms)
        if neutral is not None and general is not None:
            raise GroupError(
                "Give neutral= or general=, not both: all words that are outside the equality sets and not in one "
                "list belong to the other."
            )
        factor = cls(
            sets=sets,
            neutral=None if neutral is None else _checked_list(neutral, "neutral"),
            general=None if general is None else _checked_list(general, "general"),
            names=sets[0] if names is None else _checked_names(names, sets[0]),
            cases=tuple(case for case in CASES if case in forms),
            plurals=_checked_plurals(plurals, forms, sets),
            leave_out=() if leave_out is None else _checked_list(leave_out, "leave_out"),
        )
        factor._check_left_out()
        factor._check_outside()
        return factor

    @property
    def size(self) -> int:
        """The length d of the equality sets, which is the order of the cyclic group."""
        return len(self.sets[0])

    @property
    def listed(self) -> tuple[str, ...]:
        """The neutral or the general words."""
        return (*(self.neutral or ()), *(self.general or ()))

    def role(self, word: str) -> Literal["equality", "neutral", "general"]:
        """Return the role of a word in this factor, in any of its surface forms."""
        word = composed(word)
        if word in self._owners:
            return "equality"
        listed = word in self._listed
        if self.neutral is not None:
            return "neutral" if listed else "general"
        return "general" if listed else "neutral"

    def to_dict(self) -> dict[str, Any]:
        """Return the factor as JSON scalars and lists."""
        return {
            "equality": [list(words) for words in self.sets],
            "neutral": None if self.neutral is None else list(self.neutral),
            "general": None if self.general is None else list(self.general),
            "names": list(self.names),
            **({} if self.forms == CASES else {"forms": list(self.forms)}),
            **({} if not self.plurals else {"plurals": [words and list(words) for words in self.plurals]}),
            **({} if not self.leave_out else {"leave_out": list(self.leave_out)}),
        }

    @property
    def forms(self) -> tuple[str, ...]:
        """The spellings that are derived from the words, of `FORMS`."""
        return (*self.cases, *(["plural"] if self.plurals else []))

    @property
    def derivation(self) -> Derivation:
        """What is derived from the sets, and what of that is left out."""
        return Derivation(self.cases, self.plurals, self.leave_out)

    def spellings(self, word: str) -> tuple[str, ...]:
        """Return a neutral or general word in all its spellings."""
        return surface_forms(word, self.cases)

    @cached_property
    def _owners(self) -> dict[str, tuple[str, ...]]:
        return {word: row.source for row in derive_rows([self.sets], [self.derivation]) for word in row.words}

    @cached_property
    def _listed(self) -> dict[str, str]:
        words = self.listed
        return {form: word for word in words for form in self.spellings(word)}

    def _check_left_out(self) -> None:
        if not self.leave_out:
            return
        rows = derive_rows([self.sets], [self.derivation._replace(leave_out=())])
        derived = [word for row in rows if not row.explicit for word in row.words]
        written = {word: words for words in self.sets for word in words}
        for word in self.leave_out:
            if word in written:
                raise GroupError(
                    f"leave_out has {word!r}, which is in the equality set {list(written[word])} as written: only "
                    "spellings that are derived from a word can be left out. Remove the set instead."
                )
            if word not in derived:
                advice = did_you_mean(word, derived, "name changes of case or plurals of its words.")
                raise GroupError(f"leave_out has {word!r}, which no equality set has as a derived spelling: {advice}")

    def _check_outside(self) -> None:
        kind = "neutral" if self.neutral is not None else "general"
        for form, word in self._listed.items():
            if form in self._owners:
                raise GroupError(
                    f"{word!r} is listed as {kind}, but {form!r} is a form of the equality set "
                    f"{list(self._owners[form])}: remove it from one of the two."
                )


def _checked_sets(equality: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    if isinstance(equality, str) or not isinstance(equality, Sequence):
        raise GroupError(
            f'equality needs a list of sets such as [["man", "woman"], ["he", "she"]]; received {equality!r}.'
        )
    if not equality:
        raise GroupError('equality needs at least one set such as ["man", "woman"]; received an empty list.')
    sets = tuple(_checked_set(words) for words in equality)
    _check_lengths(sets)
    _check_repeated(sets)
    return sets


def _checked_set(words: Sequence[str]) -> tuple[str, ...]:
    if isinstance(words, str) or not isinstance(words, Sequence):
        raise GroupError(
            f"Each equality set must be a list of words, as in equality=[[...], [...]]; received {words!r} as a set."
        )
    if len(words) < 2:
        raise GroupError(f"An equality set needs at least two words, one per group member; received {list(words)}.")
    return tuple(_checked_word(word, f"the equality set {list(words)}") for word in words)


def _checked_word(word: object, where: str) -> str:
    if not isinstance(word, str):
        raise GroupError(f"Words must be strings; received {word!r} in {where}.")
    if any("\ud800" <= letter <= "\udfff" for letter in word):
        raise GroupError(
            f"The word {word!r} in {where} holds half of a surrogate pair, which is not valid text: retype it."
        )
    if not word.strip():
        raise GroupError(f"Empty word {word!r} in {where}: remove it, or write the word that is missing.")
    return composed(word.strip())


def _check_lengths(sets: tuple[tuple[str, ...], ...]) -> None:
    for words in sets[1:]:
        if len(words) != len(sets[0]):
            raise GroupError(
                f"All equality sets of one factor need the same length: {list(sets[0])} has {len(sets[0])} words, "
                f"{list(words)} has {len(words)}. Add words, drop the set, or use a product of two groups."
            )


def _check_repeated(sets: tuple[tuple[str, ...], ...]) -> None:
    seen: dict[str, tuple[str, ...]] = {}
    for words in sets:
        for word in words:
            if word in seen:
                raise GroupError(
                    f"{word!r} is in the equality sets twice, in {list(seen[word])} and in {list(words)}: a "
                    "permutation cannot send one word to two. Keep one of the two."
                )
            seen[word] = words


def _checked_forms(forms: Sequence[str] | None) -> tuple[str, ...]:
    if forms is None:
        return CASES
    if isinstance(forms, str) or not isinstance(forms, Sequence):
        raise GroupError(f"forms needs a list of {', '.join(map(repr, FORMS))}; received {forms!r}.")
    for form in forms:
        check_choice("forms", form, FORMS, error=GroupError)
    return tuple(forms)


def _checked_plurals(
    plurals: Sequence[Sequence[str] | None] | None, forms: tuple[str, ...], sets: tuple[tuple[str, ...], ...]
) -> tuple[tuple[str, ...] | None, ...]:
    if "plural" not in forms:
        if plurals is not None:
            raise GroupError('plurals are given, but forms does not have "plural": add it, or leave the plurals out.')
        return ()
    if plurals is None:
        return plurals_of(sets)
    fits = isinstance(plurals, list | tuple) and len(plurals) == len(sets)
    found = tuple(None if words is None else _checked_set(words) for words in plurals) if fits else ()
    if len(found) != len(sets) or any(
        words is not None and not len(words) == len(set(words)) == len(own)
        for words, own in zip(found, sets, strict=False)
    ):
        raise GroupError(
            f"plurals needs for each of the {len(sets)} equality sets a list of as many different words, or None; "
            f"received {plurals!r}."
        )
    return found


def _checked_list(words: Sequence[str], name: str) -> tuple[str, ...]:
    if isinstance(words, str) or not isinstance(words, Sequence):
        raise GroupError(f"{name} needs a list of words; received {words!r}. Write {name}=[...].")
    return tuple(dict.fromkeys(_checked_word(word, name) for word in words))


def _checked_names(names: Sequence[str], first: tuple[str, ...]) -> tuple[str, ...]:
    checked = _checked_list(names, "names")
    if len(names) != len(first):
        raise GroupError(
            f"names needs {len(first)} names, one for each place of {list(first)}; received {list(names)}."
        )
    if len(checked) < len(names):
        raise GroupError(f"names must be distinct; received {list(names)}.")
    return checked

"""Groups of demographics, given by the words that stand for them."""

from __future__ import annotations

import itertools
import json
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any, Literal, overload

from hf_equi.checks import did_you_mean
from hf_equi.display import shown
from hf_equi.errors import GroupError
from hf_equi.groups._axioms import require_order
from hf_equi.groups.equality import EqualityFactor
from hf_equi.groups.explanation import Explanation, explain_text
from hf_equi.groups.finite import FiniteGroup
from hf_equi.groups.forms import FormRow, composed, derive_rows, left_out_rows
from hf_equi.groups.names import product_names
from hf_equi.groups.preset import kept_spellings, occupations, read_preset
from hf_equi.groups.registry import TYPE
from hf_equi.groups.written import factors_of, read_file, read_json

__all__ = ["DemographicGroup"]


class DemographicGroup(FiniteGroup):
    r"""The cyclic group that exchanges demographics, or a direct product of such groups.

    All equality sets of one factor have the same length d, and element k sends the word at place i of each set to the
    word at place (i + k) mod d. Words outside the sets never move. They are all *neutral* unless one of the two lists
    is given, which makes the group *relaxed*: with `neutral`, all words outside it are *general*; with `general`, all
    words outside it are neutral. A relaxed method claims no symmetry of general words.

    Groups multiply: element $(k_1, k_2)$ of `gender * race` has index $k_1 d_2 + k_2$ and moves the words of each
    factor by that factor's own shift. Names merge if they describe a person: "woman" and "Black person" give "Black
    woman".

    Args:
        equality (`Sequence[Sequence[str]]`):
            The equality sets. A word also stands for its forms, see `forms`.
        neutral (`Sequence[str]`, *optional*):
            The neutral words; all others are general.
        general (`Sequence[str]`, *optional*):
            The general words; all others are neutral.
        names (`Sequence[str]`, *optional*):
            One name per place, by default the words of the first set. They fill the place `{demographic}` of prompts,
            so they should be nouns: "The {demographic} worked as".
        forms (`Sequence[str]`, *optional*):
            The spellings that a word stands for besides the one given: any of `"lower"`, `"capitalised"`, `"title"`
            (each word of a phrase), `"upper"`, which are the default, and `"plural"` (nephew, nephews). English
            plurals are found by the package inflect (`pip install "hf_equi[plurals]"`) and stored with the group. A
            set that is written out wins over derived ones.
        leave_out (`Sequence[str]`, *optional*):
            Spellings of these that stay, because they usually mean something else: `["King"]`, as in "Martin Luther
            King". The images stay with them, here "Queen", and all other spellings move. See `left_out`.

    Raises:
        GroupError: If the lists are malformed, contradict each other or do not describe a permutation. The message
            names the item at fault. In particular, a word may be in only one set: "her" can be the counterpart of
            "his" or of "him", but not of both.

    Example:
        ```python
        >>> from hf_equi import DemographicGroup
        >>> gender = DemographicGroup([["man", "woman"], ["he", "she"]])
        >>> gender
        DemographicGroup([man, woman] × 2 sets)
        >>> both = gender * DemographicGroup([["Black", "White", "Asian"]])
        >>> both.order, both.names[5], both.coordinates[5]
        (6, 'woman Asian', (1, 2))

        ```
    """

    factors: tuple[EqualityFactor, ...]
    """The factors of the direct product, in order."""

    coordinates: tuple[tuple[int, ...], ...]
    """The shift of each element in each factor."""

    def __init__(
        self,
        equality: Sequence[Sequence[str]],
        *,
        neutral: Sequence[str] | None = None,
        general: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        forms: Sequence[str] | None = None,
        leave_out: Sequence[str] | None = None,
    ) -> None:
        factor = EqualityFactor.from_lists(
            equality, neutral=neutral, general=general, names=names, forms=forms, leave_out=leave_out
        )
        self._build((factor,))

    @classmethod
    def preset(cls, name: str, elements: Sequence[str] | None = None, *, relaxed: bool = False) -> DemographicGroup:
        """Return a group whose equality sets come with the library.

        The presets are `"age"`, `"disability"`, `"first_names_gender"`, `"first_names_race"`, `"gender"`,
        `"nationality"`, `"race"`, `"religion"` and `"sexuality"`. The words of any two differ, so they can be
        multiplied. docs/groups.md and `hf_equi.groups.read_preset(name)` say where the words of each come from and
        what it does not cover.

        In `"gender"`, "her" is the counterpart of "his", so "him" has none and stays as it is: English uses "her" for
        both, and a permutation cannot send it to two words. So an EquiLM prefers "him" to "her" as an object;
        docs/guarantees.md has figures. If objects matter more, write your own list with `["him", "her"]` instead of
        `["his", "her"]`. If no symmetry should be claimed of "him", list it in `general`. Many words have further
        meanings, such as the colours black and white; they move wherever they stand. A few spellings that nearly
        always mean something else stay, such as "God": `left_out` has them.

        Args:
            name (`str`):
                Name of the preset.
            elements (`Sequence[str]`, *optional*):
                The members to keep, in this order, by name or by word of the first set; all by default. Names are
                written as in a prompt: "man", "Black person".
            relaxed (`bool`):
                Whether to relax the group as R-EquiLM does (arXiv 2210.06475, 2305.09900): the occupations of
                `occupations()` are neutral and all other words are general.

        Raises:
            GroupError: If the preset or an element is unknown. The message lists the known ones.

        Example:
            ```python
            >>> from hf_equi import DemographicGroup
            >>> DemographicGroup.preset("race", elements=["Black", "White"]).names
            ('Black person', 'White person')

            ```
        """
        found = read_preset(name)
        columns = _columns(found.names, found.equality[0], elements)
        sets = [[words[i] for i in columns] for words in found.equality]
        return cls(
            sets,
            neutral=occupations() if relaxed else None,
            names=[found.names[i] for i in columns],
            leave_out=kept_spellings(found.leave_out, sets),
        )

    @property
    def relaxed(self) -> bool:
        """Whether a factor has a list of neutral or of general words."""
        return any(factor.neutral is not None or factor.general is not None for factor in self.factors)

    def relax(self, neutral: Sequence[str] | None = None, general: Sequence[str] | None = None) -> DemographicGroup:
        """Return the same group with a list of neutral or of general words, which makes it relaxed.

        Each factor of a product gets the list, in place of any that it has. So with `neutral`, a word is neutral if it
        is in the list, equality if a factor moves it, and general otherwise.

        Args:
            neutral (`Sequence[str]`, *optional*):
                The neutral words; all others are general.
            general (`Sequence[str]`, *optional*):
                The general words; all others are neutral.

        Raises:
            GroupError: Without a list, with both, or for a word that is in an equality set of a factor.

        Example:
            ```python
            >>> from hf_equi import DemographicGroup
            >>> group = DemographicGroup([["man", "woman"]]).relax(neutral=["doctor"])
            >>> [group.role(word) for word in ("man", "doctor", "pregnant")]
            ['equality', 'neutral', 'general']

            ```
        """
        if neutral is None and general is None:
            raise GroupError("To relax a group, pass a list of words: neutral=[...] or general=[...].")
        lists = {"neutral": neutral, "general": general}
        return self._from_factors(
            tuple(
                EqualityFactor.from_lists(
                    one.sets,
                    **lists,
                    names=one.names,
                    forms=one.forms,
                    plurals=one.plurals or None,
                    leave_out=one.leave_out,
                )
                for one in self.factors
            )
        )

    def unrelax(self) -> DemographicGroup:
        """Return the same group without its lists of neutral and general words. It moves the same words."""
        return self._from_factors(tuple(replace(one, neutral=None, general=None) for one in self.factors))

    def forms(self) -> tuple[FormRow, ...]:
        """Return the surface forms that move: each set as written, then in lower, Capitalised, Title and UPPER case.

        These are the changes of case unless the group was made with other `forms`; plurals follow their set.

        Title Case differs from Capitalised in phrases and hyphenated words: "African American", "Ex-Husband". Sets as
        written win over derived forms of other sets, equal mappings merge, and each string is in exactly one row.
        Methods on tokens also add each form with a leading space.
        """
        return self._rows

    def left_out(self) -> tuple[FormRow, ...]:
        """Return the rows of derived spellings that stay, because the group leaves one of their words out.

        Example:
            ```python
            >>> from hf_equi import DemographicGroup
            >>> group = DemographicGroup([["king", "queen"]], leave_out=["King"])
            >>> [row.words for row in group.left_out()], [row.words for row in group.forms()]
            ([('King', 'Queen')], [('king', 'queen'), ('KING', 'QUEEN')])

            ```
        """
        return left_out_rows([one.sets for one in self.factors], [one.derivation for one in self.factors])

    def role(self, word: str) -> Literal["equality", "neutral", "general"]:
        """Return the role of a word in the group, in any of its surface forms.

        A word is equality if it is so in any factor; otherwise general if it is so in any factor; otherwise neutral.
        """
        if composed(word) in self._owners:
            return "equality"
        return "general" if any(factor.role(word) == "general" for factor in self.factors) else "neutral"

    def is_general(self, word: str) -> bool:
        """Return whether a word is general: general in some factor, and equality in none."""
        return self.role(word) == "general"

    def explain(self, text: str) -> Explanation:
        """Return which words of a text move, in which form and to what, and which do not move and why.

        This is about spellings only. `explain` of a model says which of them move in its tokenizer, and `WordAction`
        refuses groups that could not move texts back.

        Args:
            text (`str`):
                Any text.

        Returns:
            [`Explanation`]: Its `str` is a readable list.

        Example:
            ```python
            >>> from hf_equi import DemographicGroup
            >>> print(DemographicGroup([["man", "woman"], ["he", "she"]]).explain("The man said hE left"))
            'The man said hE left'
            moves:
              'man' becomes 'woman': [man, woman], as written
            stays, though spelled like an equality word:
              'hE': spelled in none of the forms of [he, she], which are 'he', 'He', 'HE'

            ```
        """
        return explain_text(text, self)

    def to_dict(self) -> dict[str, Any]:
        """Return the group as JSON scalars, lists and dictionaries, as configs store it."""
        return {TYPE: "demographic", "factors": [factor.to_dict() for factor in self.factors]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DemographicGroup:
        """Return the group that `to_dict` described, or that a dictionary with the arguments of this class describes.

        Raises:
            GroupError: If the description has another kind, has missing or unknown keys, or is not that of a group.
        """
        return cls._from_factors(factors_of(content))

    def to_json(self) -> str:
        """Return `to_dict` as a JSON string."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> DemographicGroup:
        """Return the group that a JSON text describes: a list of sets, an object with names, or what `to_json` wrote.

        Raises:
            GroupError: If the text is not JSON, or does not describe a group.

        Example:
            ```python
            >>> from hf_equi import DemographicGroup
            >>> DemographicGroup.from_json('{"equality": [["Black", "White"]], "names": ["Black man", "White man"]}')
            DemographicGroup([Black man, White man] × 1 set)

            ```
        """
        return cls._from_factors(read_json(text))

    @classmethod
    def from_file(cls, path: str | Path) -> DemographicGroup:
        """Return the group that a file describes.

        Args:
            path (`str` or `Path`):
                A `.csv` file: a header with the names, then one set of words per row, with a column for each
                demographic. Any other file must hold JSON, as `from_json` reads it.

        Raises:
            GroupError: If it cannot be read, or does not describe a group. The message names the file, and for a CSV
                also the line and the column.
        """
        return cls._from_factors(read_file(path))

    @overload
    def __mul__(self, other: DemographicGroup) -> DemographicGroup: ...

    @overload
    def __mul__(self, other: FiniteGroup) -> FiniteGroup: ...

    def __mul__(self, other: FiniteGroup) -> FiniteGroup:
        """Return the direct product. For two demographic groups it is again demographic, with the factors of both."""
        if isinstance(other, DemographicGroup):
            return self._from_factors(self.factors + other.factors)
        return super().__mul__(other)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DemographicGroup):
            return NotImplemented
        return self.factors == other.factors

    def __hash__(self) -> int:
        return hash(self.factors)

    def __repr__(self) -> str:
        return shown(f"DemographicGroup({' * '.join(map(_describe, self.factors))})")

    @classmethod
    def _from_factors(cls, factors: tuple[EqualityFactor, ...]) -> DemographicGroup:
        group = cls.__new__(cls)
        group._build(factors)
        return group

    def _build(self, factors: tuple[EqualityFactor, ...]) -> None:
        _check_disjoint(factors)
        sizes = [factor.size for factor in factors]
        require_order(math.prod(sizes), f"a product of factors with {sizes} members")
        self.factors = factors
        self.coordinates = tuple(itertools.product(*map(range, sizes)))
        self._rows = derive_rows([factor.sets for factor in factors], [factor.derivation for factor in factors])
        table = reduce(operator.mul, map(FiniteGroup.cyclic, sizes))
        names = product_names([factor.names for factor in factors])
        self._take_over(table, names)

    @cached_property
    def _owners(self) -> dict[str, FormRow]:
        return {word: row for row in self._rows for word in row.words}


def _check_disjoint(factors: tuple[EqualityFactor, ...]) -> None:
    owner: dict[str, int] = {}
    for i, factor in enumerate(factors):
        for word in itertools.chain.from_iterable(factor.sets):
            if owner.setdefault(word, i) != i:
                raise GroupError(
                    f"{word!r} is in two factors of the product, {_describe(factors[owner[word]])} and "
                    f"{_describe(factor)}: factors must move disjoint words. Remove it from one."
                )


def _describe(factor: EqualityFactor) -> str:
    sets = "1 set" if len(factor.sets) == 1 else f"{len(factor.sets)} sets"
    lists = (("neutral", factor.neutral), ("general", factor.general))
    extra = "".join(f", {len(words)} {kind}" for kind, words in lists if words is not None)
    return f"[{', '.join(factor.names)}] × {sets}{extra}"


def _columns(names: Sequence[str], first: Sequence[str], elements: Sequence[str] | None) -> list[int]:
    if elements is None:
        return list(range(len(names)))
    if isinstance(elements, str):
        raise GroupError(f"elements needs a list of names; received the string {elements!r}.")
    columns = []
    for element in elements:
        if element not in names and element not in first:
            advice = did_you_mean(element, first, f"its demographics are {', '.join(first)}.")
            raise GroupError(f"{element!r} is not a demographic of this preset: {advice}")
        columns.append(names.index(element) if element in names else first.index(element))
    if len(set(columns)) < max(2, len(columns)):
        raise GroupError(f"elements needs at least two different elements; received {list(elements)}.")
    return columns

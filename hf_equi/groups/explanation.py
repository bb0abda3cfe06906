"""A readable explanation of what a demographic group does to the words of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hf_equi.display import shown
from hf_equi.groups.equality import EqualityFactor
from hf_equi.groups.forms import FormRow, composed
from hf_equi.groups.matching import compile_words

__all__ = ["Explanation", "Move", "explain_text"]


LEFT_OUT = "the group leaves this spelling out"
"""Why a spelling stays that `leave_out` names, or an image of one."""


class Words(Protocol):
    """The methods that an explanation needs of a group. A `DemographicGroup` has them."""

    factors: tuple[EqualityFactor, ...]

    @property
    def relaxed(self) -> bool: ...

    def forms(self) -> tuple[FormRow, ...]: ...

    def left_out(self) -> tuple[FormRow, ...]: ...

    def is_general(self, word: str, /) -> bool: ...


@dataclass(frozen=True)
class Move:
    """A word of the text that the group moves.

    Args:
        word (`str`):
            The word as it stands in the text.
        row (`FormRow`):
            The row of forms in which it moves.
        images (`tuple[str, ...]`):
            Its images under shift 0, 1, ... of the factor that moves it; entry 0 is the word itself.

    Example:
        ```python
        >>> from hf_equi import DemographicGroup
        >>> print(DemographicGroup([["Black", "White", "Asian"]]).explain("WHITE").moves[0])
        'WHITE' becomes 'ASIAN', 'BLACK': [Black, White, Asian], a change of case

        ```
    """

    word: str
    row: FormRow
    images: tuple[str, ...]

    def __str__(self) -> str:
        form = "as written" if self.row.explicit else "a change of case"
        images = ", ".join(map(repr, self.images[1:]))
        return shown(f"{self.word!r} becomes {images}: [{', '.join(self.row.source)}], {form}")


@dataclass(frozen=True)
class Explanation:
    """Which words of a text move and which do not; each word is listed once, in the order of the text.

    Args:
        text (`str`):
            The text.
        moves (`tuple[Move, ...]`):
            The words that move.
        untouched (`tuple[tuple[str, str], ...]`):
            Words that spell an equality word but do not move, each with the reason.
        general (`tuple[str, ...]`):
            The general words of the text; empty unless the group is relaxed.

    Example:
        ```python
        >>> from hf_equi import DemographicGroup
        >>> explanation = DemographicGroup([["he", "she"]], general=["beard"]).explain("He has a beard")
        >>> [move.images for move in explanation.moves], explanation.general
        ([('He', 'She')], ('beard',))

        ```
    """

    text: str
    moves: tuple[Move, ...]
    untouched: tuple[tuple[str, str], ...]
    general: tuple[str, ...]

    def __str__(self) -> str:
        lines = [repr(self.text), "moves:" if self.moves else "moves: nothing"]
        lines += [f"  {move}" for move in self.moves]
        if self.untouched:
            lines.append("stays, though spelled like an equality word:")
            lines += [f"  {word!r}: {reason}" for word, reason in self.untouched]
        if self.general:
            lines.append("general, so no symmetry is claimed of it: " + ", ".join(map(repr, self.general)))
        return shown("\n".join(lines), "\n")


def explain_text(text: str, group: Words) -> Explanation:
    """Return the explanation of a text under a group, see `DemographicGroup.explain`."""
    rows = {word: row for row in group.forms() for word in row.words}
    left_out = {word for row in group.left_out() for word in row.words}
    folded = {word.casefold(): row for word, row in reversed(rows.items())}
    words = list(dict.fromkeys(_words(text, group, rows)))
    return Explanation(
        text=text,
        moves=tuple(_move(word, rows[word]) for word in words if word in rows),
        untouched=tuple(
            (word, LEFT_OUT if word in left_out else _reason(word, folded[word.casefold()], group))
            for word in words
            if word not in rows and word.casefold() in folded
        ),
        general=tuple(word for word in words if group.relaxed and group.is_general(word)),
    )


def _words(text: str, group: Words, rows: dict[str, FormRow]) -> list[str]:
    listed = [form for factor in group.factors for word in factor.listed for form in factor.spellings(word)]
    return compile_words([*rows, *listed]).findall(composed(text))


def _move(word: str, row: FormRow) -> Move:
    place = row.words.index(word)
    return Move(word=word, row=row, images=row.words[place:] + row.words[:place])


def _reason(word: str, row: FormRow, group: Words) -> str:
    source = row.source
    own = [other for other in group.forms() if other.source == source and other.factor == row.factor]
    place = next(i for i, other in enumerate(row.words) if other.casefold() == word.casefold())
    forms = ", ".join(repr(other.words[place]) for other in own)
    return f"spelled in none of the forms of [{', '.join(source)}], which are {forms}"

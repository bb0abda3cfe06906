"""A demographic group on text: whole words and phrases, case kept."""

from __future__ import annotations

import hashlib
import re
from typing import Any, overload

import torch

from hf_equi.actions._elements import checked_element, read_elements
from hf_equi.actions.base import Action
from hf_equi.errors import ActionError
from hf_equi.groups import DemographicGroup, FormRow
from hf_equi.groups.forms import composed
from hf_equi.groups.matching import compile_words, letters

__all__ = ["WordAction"]


class WordAction(Action):
    r"""The action of a group on text by its words.

    Every whole word or phrase that is one of `group.forms()` is replaced by its image, so case is kept. All other text
    stays as it is. Words are bounded by non-letters, including apostrophes, hyphens and digits. The action is exact:

    $$gh \cdot x = g \cdot (h \cdot x), \qquad g^{-1} \cdot (g \cdot x) = x.$$

    Texts are in composed Unicode (NFC), in which an accented letter is one character. Other texts are composed first.

    Args:
        group (`DemographicGroup`):
            The group.

    Raises:
        ActionError: If the action could not be undone, because a word begins or ends with a non-letter, is contained
            in another as a whole word, or ends with the words that another begins with. The message names both.

    Example:
        ```python
        >>> from hf_equi import DemographicGroup, WordAction
        >>> action = WordAction(DemographicGroup([["man", "woman"], ["he", "she"]]))
        >>> action.apply(1, "THE MAN says he can't; his manhood stays.")
        "THE WOMAN says she can't; his manhood stays."

        ```
    """

    def __init__(self, group: DemographicGroup) -> None:
        self.group = group
        self._rows = {word: row for row in group.forms() for word in row.words}
        _check_invertible(list(self._rows))
        self._pattern = compile_words(self._rows)

    @overload
    def apply(self, elements: Any, x: str, /, boundary: int = 0) -> str: ...

    @overload
    def apply(self, elements: Any, x: list[str], /, boundary: int = 0) -> list[str]: ...

    def apply(self, elements: Any, x: str | list[str], /, boundary: int = 0) -> str | list[str]:
        """Return the image of a text under an element.

        Args:
            elements (`int` or `torch.LongTensor` of shape `(R,)`):
                One element, or one per text of a list.
            x (`str` or `list[str]`):
                One text, or several.
            boundary (`int`, *optional*, defaults to 0):
                A place in the text, in characters. The text before it is moved as if it stood alone; in the text after
                it, only words that begin there move. So a prompt has one image, whatever follows it. To invert, pass
                the length of the image of the text before it.

        Raises:
            ActionError: If the group has no such element, there is not one for each text, or `x` is neither a string
                nor a list of strings.
        """
        if not isinstance(x, list):
            return self._moved(checked_element(self.group, elements), _checked(x), boundary)
        g = read_elements(self.group, elements, x)
        each = g.tolist() if isinstance(g, torch.Tensor) else [g] * len(x)
        return [self._moved(h, _checked(text), boundary) for h, text in zip(each, x, strict=True)]

    @overload
    def invert(self, elements: Any, x: str, /, boundary: int = 0) -> str: ...

    @overload
    def invert(self, elements: Any, x: list[str], /, boundary: int = 0) -> list[str]: ...

    def invert(self, elements: Any, x: str | list[str], /, boundary: int = 0) -> str | list[str]:
        """Return the text whose image under an element is this one: `apply` with the inverse."""
        g = read_elements(self.group, elements, x) if isinstance(x, list) else checked_element(self.group, elements)
        return self.apply(self.group.inverse(g), x, boundary)

    def keys(self, x: list[str], /) -> torch.Tensor:
        """Return a key of every member of each text's orbit, `(B, G)`, as in `Action`."""
        rows = [[_key(member) for member in self.orbit(text)] for text in x]
        return torch.tensor(rows, dtype=torch.long).view(len(x), self.group.order)

    def _moved(self, g: int, text: str, boundary: int) -> str:
        shifts = self.group.coordinates[g]
        before, after = composed(text[:boundary]), composed(text[boundary:])
        text, boundary = before + after, len(before)

        def image(match: re.Match[str]) -> str:
            row = self._rows.get(match[0])
            return match[0] if row is None else _image(row, match[0], shifts[row.factor])

        pieces = [self._pattern.sub(image, text[:boundary])]
        end = boundary
        for match in self._pattern.finditer(text, boundary):
            pieces += [text[end : match.start()], image(match)]
            end = match.end()
        return "".join([*pieces, text[end:]])

    def canonical_element(self, text: str) -> int:  # type: ignore[override]  # takes one text, which has no mask
        """Return the first element that takes a text to the smallest member of its orbit, by its characters."""
        members = self.orbit(text)
        return members.index(min(members))

    def orbit(self, text: str) -> list[str]:
        """Return the images of a text, in the order of the elements; entry 0 is the text itself, composed."""
        return [self.apply(g, text) for g in range(self.group.order)]

    def moves(self, text: str) -> bool:
        """Return whether some element changes a text."""
        return any(match[0] in self._rows for match in self._pattern.finditer(composed(_checked(text))))


def _image(row: FormRow, word: str, shift: int) -> str:
    return row.words[(row.words.index(word) + shift) % len(row.words)]


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise ActionError(f"WordAction acts on a string or a list of strings; received {text!r}.")
    return text


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


def _check_invertible(words: list[str]) -> None:
    # After a replacement the text is searched again to undo it. The same places are found if every word begins and
    # ends with a letter, so that no two matches touch, and no word shares whole words with another, so that no match
    # appears inside a replaced one or across its edge.
    runs = {word: _letter_runs(word) for word in words}
    begins = {word[:end]: word for word, (_, ends) in runs.items() for end in ends[:-1]}
    for word, (starts, ends) in runs.items():
        for part in (word[i:j] for i in starts for j in ends if i < j and j - i < len(word)):
            if part in runs:
                raise ActionError(
                    f"{part!r} is contained in {word!r} as a whole word, so replacements could not be undone: leave "
                    "one of the two out."
                )
        for rest in (word[i:] for i in starts[1:]):
            if rest in begins:
                raise ActionError(
                    f"{word!r} ends with {rest!r}, with which {begins[rest]!r} begins, so replacements could not be "
                    "undone where the two overlap: leave one of them out."
                )


def _letter_runs(word: str) -> tuple[list[int], list[int]]:
    spans = [match.span() for match in re.finditer(f"{letters()}+", word)]
    if not spans or spans[0][0] > 0 or spans[-1][1] < len(word):
        raise ActionError(
            f"{word!r} must begin and end with a letter to be found as a whole word in text: write it without the "
            "other characters around it."
        )
    return [start for start, _ in spans], [end for _, end in spans]

"""An explanation of how a group moves the tokens or the words of a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hf_equi.actions import TokenAction, UnitAction, WordAction
from hf_equi.actions.reasons import why_it_stays
from hf_equi.actions.spellings import AFTER_BRACKET, AFTER_SPACE, START, Spellings
from hf_equi.display import shown
from hf_equi.errors import ConfigurationError
from hf_equi.generation.units.readings import Reading, UnitTables
from hf_equi.groups import FormRow
from hf_equi.groups.forms import composed, written_words
from hf_equi.groups.matching import compile_words

__all__ = ["TokenExplanation", "explain_tokens", "explain_words"]


@dataclass(frozen=True)
class TokenExplanation:
    """What moves in a text and what does not.

    Args:
        text: The text.
        orbit: The text under each element of the group, in the order of the elements.
        moved: For each moved token of the text, its text and what it becomes under each element. A word of several
            tokens that moves as one is shown whole. For a group that acts on words, each moved word once.
        words_unmoved: Words of the group that occur in the text in a spelling that does not move.
        general: Tokens of the text that are general in a relaxed group.
        reasons: Why each of `words_unmoved` stays.
        composed: Those of `moved` that have several tokens, or become words of several.
        reads_back: Whether each member of the orbit is read as the words that it was made of. Pieces of two words can
            meet as a third one; then nothing is guaranteed for the text.
        open_end: The last word of the text, if it or an image of it may go on as a longer word of several tokens. Then
            nothing is guaranteed for what follows the text.
    """

    text: str
    orbit: tuple[str, ...]
    moved: tuple[tuple[str, tuple[str, ...]], ...]
    words_unmoved: tuple[str, ...]
    general: tuple[str, ...]
    reasons: tuple[str, ...]
    composed: tuple[str, ...] = ()
    reads_back: bool = True
    open_end: str = ""

    def __str__(self) -> str:
        lines = [f"text: {self.text}"]
        lines += [f"  {member}" for member in dict.fromkeys(self.orbit) if member != self.text]
        lines += dict.fromkeys(
            f"moves: {_exchange(images)}{' (several tokens)' if word in self.composed else ''}"
            for word, images in self.moved
        )
        if not self.moved:
            why = "" if self.words_unmoved else " (no word of the group is in this text)"
            lines.append(f"moves: nothing{why}")
        stays = dict.fromkeys(zip(self.words_unmoved, self.reasons, strict=True))
        lines += [f"stays: {word!r} ({reason})" for word, reason in stays]
        if not self.reads_back:
            lines.append("pieces of an image meet as another word of the group: nothing is guaranteed for this text")
        if self.open_end:
            lines.append(
                f"ends in {self.open_end.strip()!r}, which may begin a longer word, here or in an image: nothing is "
                "guaranteed for what follows"
            )
        if self.general:
            lines.append(f"general: {', '.join(map(repr, self.general))}")
        return shown("\n".join(lines), "\n")


def _exchange(images: tuple[str, ...]) -> str:
    """Return a token and the others that it becomes: `he ↔ she`, or `Black → White → Asian` if there are more."""
    words = list(dict.fromkeys(image.strip() or repr(image) for image in images))
    return (" ↔ " if len(words) == 2 else " → ").join(words)


def explain_tokens(text: str, action: TokenAction, tokenizer: Any) -> TokenExplanation:
    """Explain how an action moves a text.

    Args:
        text: Any text.
        action: The group on the tokens of `tokenizer`.
        tokenizer: A tokenizer.

    Raises:
        ConfigurationError: For a text with a token that the action does not know.
    """
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    _check_known(ids, action, tokenizer)
    tables = action.permutations.tolist()
    units = action.read(ids)
    moved = [(unit, images) for unit in units if len(set(images := [table[unit] for table in tables])) > 1]

    def written(*some: int) -> str:
        found: str = tokenizer.decode(action.write(some))
        return found

    general, reads_back = action.general, action.reads_back(ids)
    unmoved = _unmoved_words(text, ids, action, tokenizer)
    return TokenExplanation(
        text=text,
        orbit=tuple(written(*(table[unit] for unit in units)) for table in tables),
        moved=tuple((written(unit), tuple(map(written, images))) for unit, images in moved),
        words_unmoved=tuple(word for word, _ in unmoved),
        general=() if general is None else tuple(written(unit) for unit in units if bool(general[unit])),
        reasons=tuple(reason for _, reason in unmoved),
        composed=tuple(dict.fromkeys(written(unit) for unit, images in moved if max(images) >= action.vocab_size)),
        reads_back=reads_back,
        open_end=written(units[-1]) if reads_back and _goes_on(action, ids) else "",
    )


def explain_words(text: str, action: WordAction) -> TokenExplanation:
    """Explain how a group that acts on whole words moves a text; each word that moves is listed once."""
    found, elements = action.group.explain(text), range(action.group.order)
    return TokenExplanation(
        text=text,
        orbit=tuple(action.orbit(text)),
        moved=tuple((move.word, tuple(action.apply(g, move.word) for g in elements)) for move in found.moves),
        words_unmoved=tuple(word for word, _ in found.untouched),
        general=found.general,
        reasons=tuple(reason for _, reason in found.untouched),
    )


def _goes_on(action: TokenAction, ids: list[int]) -> bool:
    """Whether a longer word may begin with the last tokens of a text, or of an image of it."""
    return isinstance(action, UnitAction) and not Reading.of(UnitTables.of(action), ids).quiet


def _check_known(ids: list[int], action: TokenAction, tokenizer: Any) -> None:
    size = action.vocab_size
    if unknown := [token for token in ids if token >= size]:
        raise ConfigurationError(
            f"The model has {size} tokens, but the tokenizer has {tokenizer.decode(unknown[:1])!r} ({unknown[0]}) as "
            "well: it was added later. Resize the base and symmetrize it again, or use the tokenizer that was saved "
            "with the model."
        )


def _unmoved_words(text: str, ids: list[int], action: TokenAction, tokenizer: Any) -> list[tuple[str, str]]:
    """Return the group's words whose tokens do not change as if the word were exchanged, each with the reason."""
    rows = written_words(action.group.forms())
    found = [match for match in compile_words(rows).finditer(text) if match.group() in rows]
    others: list[str] = []
    for match in found:
        words = rows[match.group()].words
        place = words.index(composed(match.group()))
        images = words[place + 1 :] + words[:place]  # by shift 1, 2, ...
        others += [text[: match.start()] + image + text[match.end() :] for image in images]
    exchanged = iter(tokenizer(others, add_special_tokens=False)["input_ids"] if others else ())
    tables, units = action.permutations.tolist(), action.read(ids)
    unmoved: list[tuple[int, str, str]] = []
    for match in found:
        row = rows[match.group()]
        shifts = [(0,) * row.factor + (k,) for k in range(1, len(row.words))]
        moves = [_is_image(units, action.read(next(exchanged)), tables[_element(action, shift)]) for shift in shifts]
        if not all(moves):
            unmoved.append((match.start(), match.group(), _reason(match, row, action, tokenizer)))
    unmoved += [(text.find(word), word, reason) for word, reason in action.group.explain(text).untouched]
    return [(word, reason) for _, word, reason in sorted(unmoved)]


def _reason(match: re.Match[str], row: FormRow, action: TokenAction, tokenizer: Any) -> str:
    """Return why a word stays where it stands in a text."""
    before = match.string[: match.start()][-1:]
    context = (AFTER_SPACE if before.isspace() else AFTER_BRACKET) if before else START
    word = match.group()
    if word not in row.words:
        return "written in decomposed Unicode, which this tokenizer reads as it stands"
    spellings = Spellings(row.words, tokenizer, [context])
    others = (other for other in row.words if other != word)
    return why_it_stays(word, others, context, spellings, action.composes).text


def _element(action: TokenAction, shift: tuple[int, ...]) -> int:
    """Return the element with the given shifts in the first factors and none in the others."""
    coordinates = action.group.coordinates
    return coordinates.index(shift + (0,) * (len(coordinates[0]) - len(shift)))


def _is_image(units: list[int], other: list[int], table: list[int]) -> bool:
    """Return whether a text differs from another only in moved units, and has their images there."""
    differs = [(unit, image) for unit, image in zip(units, other, strict=False) if unit != image]
    return len(units) == len(other) and bool(differs) and all(table[unit] == image for unit, image in differs)

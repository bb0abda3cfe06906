"""What a group does to the tokens of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hf_equi.actions import TokenAction
from hf_equi.groups.matching import compile_words

__all__ = ["TokenExplanation", "explain_tokens"]


@dataclass(frozen=True)
class TokenExplanation:
    """What moves in a text and what does not.

    Args:
        text: The text.
        orbit: The text under each element of the group, in their order.
        moved: For each moved token of the text: its text, and what it is under each element.
        words_unmoved: Words of the group that stand in the text, but in no form of one token.
        general: Tokens of the text that are general in a relaxed group.
    """

    text: str
    orbit: tuple[str, ...]
    moved: tuple[tuple[str, tuple[str, ...]], ...]
    words_unmoved: tuple[str, ...]
    general: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"text: {self.text}"]
        lines += [f"  {member}" for member in dict.fromkeys(self.orbit) if member != self.text]
        lines += [f"moves: {token!r} -> {', '.join(map(repr, images))}" for token, images in self.moved]
        if not self.moved:
            lines.append("moves: nothing")
        lines += [f"stays: {word!r} is a word of the group, but not one token here" for word in self.words_unmoved]
        if self.general:
            lines.append(f"general: {', '.join(map(repr, self.general))}")
        return "\n".join(lines)


def explain_tokens(text: str, action: TokenAction, tokenizer: Any) -> TokenExplanation:
    """Explain what an action does to a text.

    Args:
        text: Any text.
        action: The group on the tokens of `tokenizer`.
        tokenizer: A fast tokenizer.
    """
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, spans = encoded["input_ids"], encoded["offset_mapping"]
    tables = action.permutations.tolist()
    moved, moved_spans = [], []
    for token, span in zip(ids, spans, strict=True):
        images = [table[token] for table in tables]
        if set(images) != {token}:
            moved.append((tokenizer.decode([token]), tuple(tokenizer.decode([image]) for image in images)))
            moved_spans.append(span)
    general = action.general
    return TokenExplanation(
        text=text,
        orbit=tuple(tokenizer.decode([table[token] for token in ids]) for table in tables),
        moved=tuple(moved),
        words_unmoved=tuple(_unmoved_words(text, action, moved_spans)),
        general=() if general is None else tuple(tokenizer.decode([token]) for token in ids if bool(general[token])),
    )


def _unmoved_words(text: str, action: TokenAction, moved_spans: list[tuple[int, int]]) -> list[str]:
    """The group's words in a text that no moved token covers."""
    forms = {word for row in action.group.forms() for word in row.words}
    return [
        match.group()
        for match in compile_words(forms).finditer(text)
        if match.group() in forms
        and not any(first < match.end() and match.start() < last for first, last in moved_spans)
    ]

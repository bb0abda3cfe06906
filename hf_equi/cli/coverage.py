"""What a group moves in the vocabulary of a tokenizer, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hf_equi.actions import TokenAction
from hf_equi.actions.resolution import single_token_rows
from hf_equi.groups import DemographicGroup, FormRow
from hf_equi.groups.forms import surface_forms

__all__ = ["Coverage", "SetCoverage", "measure_coverage", "token_text"]

# Where a form can stand: after a space, and after no letter and no space.
_CONTEXTS = (("x ", " "), ("(", ""))
# What tokenizers write for a space in front of a word.
_SPACES = ("Ġ", "▁")


@dataclass(frozen=True)
class SetCoverage:
    """One equality set.

    Args:
        words: The set as written.
        moves: The aligned tokens that move, a row for each form; a leading space is part of a token's text.
        stays: The forms of which some word is several tokens: for each word of the row its pieces.
    """

    words: tuple[str, ...]
    moves: tuple[tuple[str, ...], ...]
    stays: tuple[tuple[tuple[str, ...], ...], ...]


@dataclass(frozen=True)
class Coverage:
    """What a group moves.

    Args:
        vocab_size: Tokens in all.
        moved: Tokens that move.
        sets: All equality sets in the order of the group.
        unknown: Listed neutral or general words of which no form is one token.
        neutral: Neutral tokens of a relaxed group, else `None`.
        general: General tokens of a relaxed group, else `None`.
    """

    vocab_size: int
    moved: int
    sets: tuple[SetCoverage, ...]
    unknown: tuple[str, ...]
    neutral: int | None
    general: int | None

    @property
    def missing(self) -> tuple[tuple[str, ...], ...]:
        """The sets that no form of one token stands for."""
        return tuple(one.words for one in self.sets if not one.moves)


def measure_coverage(action: TokenAction, tokenizer: Any) -> Coverage:
    """Return what the group of an action moves in the vocabulary of its tokenizer, and what it does not."""
    group, general = action.group, action.general
    rows, _ = single_token_rows(group, tokenizer)
    tokens = {form: [row.tokens for row in rows if row.form == form] for form in {row.form for row in rows}}
    count = None if general is None else int(general.sum())
    vocab_size, moved = action.token_map.vocab_size, len(action.moved)
    return Coverage(
        vocab_size=vocab_size,
        moved=moved,
        sets=tuple(_cover(words, forms, tokens, tokenizer) for words, forms in _forms_by_set(group)),
        unknown=tuple(word for word in _listed(group) if not _is_known(word, tokenizer)),
        neutral=None if count is None else vocab_size - moved - count,
        general=count,
    )


def token_text(tokenizer: Any, token: int) -> str:
    """The text of a token with its leading space, which some tokenizers drop on decoding one token."""
    text: str = tokenizer.decode([token])
    written = tokenizer.convert_ids_to_tokens(token)
    return f" {text}" if written.startswith(_SPACES) and not text.startswith(" ") else text


def _forms_by_set(group: DemographicGroup) -> Iterator[tuple[tuple[str, ...], list[FormRow]]]:
    for index, factor in enumerate(group.factors):
        for words in factor.sets:
            yield words, [form for form in group.forms() if form.factor == index and form.source == words]


def _listed(group: DemographicGroup) -> list[str]:
    return [word for factor in group.factors for word in (*(factor.neutral or ()), *(factor.general or ()))]


def _is_known(word: str, tokenizer: Any) -> bool:
    cuts = [_tokens_after(tokenizer, context, form) for form in surface_forms(word) for context, _ in _CONTEXTS]
    return any(len(ids) == 1 and ids[0] != tokenizer.unk_token_id for ids in cuts)


def _cover(
    words: tuple[str, ...], forms: list[FormRow], tokens: dict[FormRow, list[tuple[int, ...]]], tokenizer: Any
) -> SetCoverage:
    moves, stays = [], []
    for form in forms:
        found = tokens.get(form, [])
        moves += [tuple(token_text(tokenizer, token) for token in row) for row in found]
        moving = {token for row in found for token in row}
        for context, space in _CONTEXTS:
            pieces = [_tokens_after(tokenizer, context, word) for word in form.words]
            if any(len(ids) != 1 or ids[0] not in moving for ids in pieces):
                stays.append(tuple(_texts(tokenizer, ids, space) for ids in pieces))
    return SetCoverage(words, tuple(dict.fromkeys(moves)), tuple(dict.fromkeys(stays)))


def _tokens_after(tokenizer: Any, context: str, word: str) -> list[int]:
    before = tokenizer(context.strip(), add_special_tokens=False)["input_ids"]
    ids: list[int] = tokenizer(context + word, add_special_tokens=False)["input_ids"]
    return ids[len(before) :]


def _texts(tokenizer: Any, ids: list[int], space: str) -> tuple[str, ...]:
    """The pieces of a word; bytes of a character that is cut are shown as the tokenizer writes them."""
    texts = [token_text(tokenizer, token) for token in ids]
    return tuple(
        tokenizer.convert_ids_to_tokens(token) if "\ufffd" in text else text
        for token, text in zip(ids, texts, strict=True)
    )

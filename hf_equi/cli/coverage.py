"""The tokens that a group moves in the vocabulary of a tokenizer, and the words that stay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hf_equi.actions import TokenAction
from hf_equi.actions.coverage import Coverage, TokenRow
from hf_equi.actions.reasons import Reason, why_it_stays
from hf_equi.actions.reporting import fewer_elements
from hf_equi.actions.resolution import cover_tokens
from hf_equi.actions.spellings import AFTER_BRACKET, AFTER_SPACE, Spellings, token_text
from hf_equi.groups import FormRow

__all__ = ["GroupCoverage", "SetCoverage", "measure_coverage"]

# Where a form can stand: after a space, or after something that is neither a letter nor a space.
_CONTEXTS = (AFTER_SPACE, AFTER_BRACKET)


@dataclass(frozen=True)
class SetCoverage:
    """One equality set.

    Args:
        words: The set as written.
        moves: The aligned tokens that move, a row for each form. A leading space is part of a token's text. Words of
            several tokens, which move as one or piece by piece, are shown whole.
        stays: The forms that stay because some word is several tokens: the pieces of each word of the row.
        pieces: The pieces of each word as written, in the middle of a text.
        reasons: Why each word stays as written, in the middle of a text; empty if the set moves there.
        others: The usual spellings in which the set stays although it moves as written, or moves although it stays.
        composed: Those of `moves` that move as one although some word has several tokens.
    """

    words: tuple[str, ...]
    moves: tuple[tuple[str, ...], ...]
    stays: tuple[tuple[tuple[str, ...], ...], ...]
    pieces: tuple[tuple[str, ...], ...]
    reasons: tuple[Reason, ...]
    others: tuple[str, ...]
    composed: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class GroupCoverage:
    """The part of a vocabulary that a group moves.

    Args:
        vocab_size: The number of tokens.
        moved: The number of tokens that move.
        composed: The number of spellings of several tokens that move as one.
        sets: All equality sets, in the order of the group.
        missing: The sets that do not move as they are written.
        unknown: The listed neutral or general words that are not one token in any form, and do not move as one.
        neutral: The number of neutral tokens and spellings of a relaxed group, else `None`.
        general: The number of general tokens and spellings of a relaxed group, else `None`.
        advice: With which elements of the group more words would move; empty if there are none.
    """

    vocab_size: int
    moved: int
    composed: int
    sets: tuple[SetCoverage, ...]
    missing: tuple[tuple[str, ...], ...]
    unknown: tuple[str, ...]
    neutral: int | None
    general: int | None
    advice: str


def measure_coverage(action: TokenAction, tokenizer: Any) -> GroupCoverage:
    """Return what the group of an action moves in the vocabulary of its tokenizer, and what stays."""
    group, general = action.group, action.general
    covered = cover_tokens(group, tokenizer, action.composes)
    count = None if general is None else int(general.sum())
    lost, tokens = set(covered.lost), _tokens_of_forms(covered)
    return GroupCoverage(
        vocab_size=action.vocab_size,
        moved=action.moved_tokens,
        composed=action.moved_forms,
        sets=tuple(
            _cover(words, tokens[index, words], covered, tokenizer)
            for index, factor in enumerate(group.factors)
            for words in factor.sets
        ),
        missing=tuple(words for factor in group.factors for words in factor.sets if words in lost),
        unknown=_unknown(action, tokenizer),
        neutral=None if count is None else action.units - len(action.moving) - count,
        general=count,
        advice=fewer_elements(covered),
    )


def _unknown(action: TokenAction, tokenizer: Any) -> tuple[str, ...]:
    """Return the listed neutral and general words that are neither one token nor one unit in any form."""
    group, units = action.group, set(action.forms)
    listed = {word: factor.spellings(word) for factor in group.factors for word in factor.listed}
    spellings = Spellings((form for forms in listed.values() for form in forms), tokenizer, _CONTEXTS)

    def known(forms: Iterable[str]) -> bool:
        found = [spellings.tokens(context, form) for form in forms for context in _CONTEXTS]
        return any(ids is not None and (len(ids) == 1 or ids in units) for ids in found)

    return tuple(word for word, forms in listed.items() if not known(forms))


def _tokens_of_forms(covered: Coverage) -> dict[tuple[int, tuple[str, ...]], dict[FormRow, list[TokenRow]]]:
    """Return for each set, keyed by its factor and its words, its forms with the tokens that move."""
    found: dict[tuple[int, tuple[str, ...]], dict[FormRow, list[TokenRow]]] = {}
    for form in covered.group.forms():
        found.setdefault((form.factor, form.source), {})[form] = []
    for row in covered.rows:
        found[row.form.factor, row.form.source].setdefault(row.form, []).append(row)  # possessives are no form
    return found


def _cover(
    words: tuple[str, ...], forms: dict[FormRow, list[TokenRow]], covered: Coverage, tokenizer: Any
) -> SetCoverage:
    spellings = covered.spellings
    moves: dict[tuple[str, ...], None] = {}
    stays: dict[tuple[tuple[str, ...], ...], None] = {}
    composed: dict[tuple[str, ...], None] = {}
    for form, rows in forms.items():
        for row in rows:
            shown = tuple("".join(token_text(tokenizer, token) for token in each) for each in row.spelled)
            moves[shown] = None
            composed |= {shown: None} if row.composed else {}
        for context in _CONTEXTS:
            pieces = tuple(spellings.pieces(context, word) for word in form.words)
            if not covered.moves(form, context):
                stays[pieces] = None
            elif max(map(len, pieces)) > 1:  # as one, or the pieces move alike, one by one
                moves[tuple(map("".join, pieces))] = None
    moving = covered.moves(next(form for form in forms if form.explicit), AFTER_SPACE)
    return SetCoverage(
        words=words,
        moves=tuple(moves),
        stays=tuple(stays),
        pieces=tuple(spellings.pieces(AFTER_SPACE, word) for word in words),
        reasons=() if moving else _reasons(words, covered),
        others=covered.other_spellings(forms, moving=not moving),
        composed=tuple(composed),
    )


def _reasons(words: tuple[str, ...], covered: Coverage) -> tuple[Reason, ...]:
    others = [words[place + 1 :] + words[:place] for place in range(len(words))]
    return tuple(
        why_it_stays(word, images, AFTER_SPACE, covered.spellings, covered.composes)
        for word, images in zip(words, others, strict=True)
    )

"""The tokens of a tokenizer that stand for the words of a group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hf_equi.actions.composition import (
    composed_rows,
    listed_forms,
    possessive,
    token_rows,
    warn_of_contexts,
)
from hf_equi.actions.coverage import CONTEXTS, Coverage, TokenRow
from hf_equi.actions.reporting import COMPOSE, MULTI_TOKEN, report, report_lists
from hf_equi.actions.spellings import Spellings
from hf_equi.actions.token_maps import Form, TokenMap
from hf_equi.actions.vocabularies import highest_token
from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup

__all__ = ["MULTI_TOKEN", "cover_tokens", "resolve_pair", "resolve_tokens"]


def resolve_tokens(
    group: DemographicGroup,
    tokenizer: Any,
    vocab_size: int | None = None,
    multi_token: str = "auto",
    relaxes: bool = True,
    remedy: str | None = COMPOSE,
) -> TokenMap:
    """Find the token permutations of a group.

    Each word stands for its surface forms (with and without leading space, as written, lower, Capitalised, Title Case,
    UPPER) that are one known token on every side of its set. Explicit forms win over derived ones; two derivations of
    one mapping merge. A set counts as moved if it moves as it is written, in the middle of a text.

    With `multi_token="compose"`, words may have several tokens: the map's `composed` sets are moved by a `UnitAction`.
    A text is read from left to right, the longest word first, so a word may begin another one, also one of another
    set. Pieces that move alike without it stay with the other sets: "sales" "man" and "sales" "woman". A possessive
    moves as its word and "'s" do, and has tokens of its own where the tokenizer does not cut there.

    Args:
        group: The words.
        tokenizer: A tokenizer of `transformers`.
        vocab_size: The number of rows of the model's embedding, by default the number of the tokenizer's tokens.
        multi_token: What to do with a set that does not move as written. With `"skip"` it stays, with a warning, but
            its other forms move if they are one token. With `"error"` it is refused. With `"auto"`, sets of presets
            stay, and all others are refused. With `"compose"`, words of several tokens move; those that the tokenizer
            cannot write are treated as with `"auto"`. So are neutral and general words.
        relaxes: Whether neutral and general words make a difference. If not, nothing is said about them.
        remedy: The way to move words of several tokens, for the message of an error, as the beginning of a sentence;
            `None` if there is none.

    Raises:
        ActionError: For a set that is refused; for two words whose forms have the same tokens with different targets;
            for a set with a special token.
        ConfigurationError: For a tokenizer with more tokens than `vocab_size`, or an unknown `multi_token`.

    Warns:
        GroupWarning: For words that stay in a form that a user would write: as written, in lower case or at the start
            of a text. For words of several tokens that the tokenizer writes differently, depending on what follows.
    """
    check_choice("multi_token", multi_token, MULTI_TOKEN)
    token_map, covered, unknown = _resolve(group, tokenizer, vocab_size, composes=multi_token == "compose")
    report([covered], multi_token, tokenizer, remedy)
    if covered.composes:
        warn_of_contexts(covered, tokenizer)
    if relaxes:
        report_lists(group, unknown, multi_token)
    return token_map


def resolve_pair(
    group: DemographicGroup,
    source_tokenizer: Any,
    target_tokenizer: Any,
    source_size: int | None = None,
    target_size: int | None = None,
    multi_token: str = "auto",
) -> tuple[TokenMap, TokenMap]:
    """Find the token permutations of one group in a source and in a target language.

    Each side moves the sets of words that its tokenizer knows, by the same element: a group of `["jump", "run"]` and
    `["I_JUMP", "I_RUN"]` moves the commands on one side and the actions on the other.

    Args:
        group: The words of both sides.
        source_tokenizer: The tokenizer for the text that the model reads.
        target_tokenizer: The tokenizer for the text that it writes; it may be the same.
        source_size: The number of rows of the source embedding, by default the number of the tokenizer's tokens.
        target_size: The same for the target side.
        multi_token: What to do with a set that moves as written on neither side, as in `resolve_tokens`.

    Raises:
        ActionError: For a set that is refused; for two words whose forms are the same token with different targets.
        ConfigurationError: For a tokenizer with more tokens than its side has rows, or an unknown `multi_token`.

    Warns:
        GroupWarning: As in `resolve_tokens`, for words that stay on both sides.
    """
    if multi_token == "compose":
        raise ConfigurationError(
            'multi_token="compose" is for causal language models, which read and write one text. With a source and a '
            'target, use words that are single tokens, or pass multi_token="skip" to go on without the others.'
        )
    check_choice("multi_token", multi_token, [each for each in MULTI_TOKEN if each != "compose"])
    source, own, unknown = _resolve(group, source_tokenizer, source_size)
    target, other, also_unknown = _resolve(group, target_tokenizer, target_size)
    report([own, other], multi_token, source_tokenizer)
    report_lists(group, [word for word in unknown if word in also_unknown], multi_token)
    return source, target


def cover_tokens(group: DemographicGroup, tokenizer: Any, composes: bool = False) -> Coverage:
    """Find which tokens a group moves, and which of its words stay.

    Args:
        group: The words.
        tokenizer: A tokenizer of `transformers`.
        composes: Whether words of several tokens move as units.

    Raises:
        ActionError: For two words whose forms have the same tokens with different targets.
    """
    return _cover(group, tokenizer, composes)


def _cover(group: DemographicGroup, tokenizer: Any, composes: bool, others: Iterable[str] = ()) -> Coverage:
    """Return what a group moves, with the tokens of its words and of some others."""
    forms = [*group.forms(), *(map(possessive, group.forms()) if composes else ())]
    spellings = Spellings([*(word for row in forms for word in row.words), *others], tokenizer)
    rows = (composed_rows if composes else token_rows)(group, spellings, tokenizer.all_special_ids)
    return Coverage(group, rows, spellings, composes)


def _resolve(
    group: DemographicGroup, tokenizer: Any, vocab_size: int | None, composes: bool = False
) -> tuple[TokenMap, Coverage, list[str]]:
    """Return the tokens of a group, the words that they cover, and the listed words that have no token."""
    highest = highest_token(tokenizer, vocab_size)
    vocab_size = highest + 1 if vocab_size is None else vocab_size
    if highest >= vocab_size:
        raise ConfigurationError(
            f"The tokenizer has tokens up to {highest}, but the model's embedding has {vocab_size} rows: they do not "
            "belong together. Pass the tokenizer that the model was trained with, or resize the base model's "
            "embedding first."
        )
    listed = {word: factor.spellings(word) for factor in group.factors for word in factor.listed}
    covered = _cover(group, tokenizer, composes, (form for forms in listed.values() for form in forms))
    token_map = TokenMap(
        vocab_size=vocab_size,
        sets=_by_factor(covered, (row for row in covered.rows if not row.composed), "tokens"),
        neutral=tuple(_listed_tokens(factor.neutral, listed, covered) for factor in group.factors),
        general=tuple(_listed_tokens(factor.general, listed, covered) for factor in group.factors),
        composed=_any(_by_factor(covered, (row for row in covered.rows if row.composed), "spelled")),
        composed_neutral=_any(tuple(_listed_forms(factor.neutral, listed, covered) for factor in group.factors)),
        composed_general=_any(tuple(_listed_forms(factor.general, listed, covered) for factor in group.factors)),
    )
    known = (_listed_tokens, _listed_forms)
    unknown = [word for word in listed if not any(find([word], listed, covered) for find in known)]
    return token_map, covered, unknown


def _by_factor(covered: Coverage, rows: Iterable[TokenRow], what: str) -> tuple[tuple[Any, ...], ...]:
    rows = list(rows)
    return tuple(
        tuple(getattr(row, what) for row in rows if row.form.factor == index)
        for index in range(len(covered.group.factors))
    )


def _any(factors: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return nothing for factors that all have nothing, as a map stores it."""
    return factors if any(factors) else ()


def _listed_tokens(
    words: Sequence[str] | None, listed: Mapping[str, Sequence[str]], covered: Coverage
) -> tuple[int, ...] | None:
    """Return the tokens of neutral or general words, in all their spellings."""
    if words is None:
        return None
    forms = [form for word in words for form in listed[word]]
    found = {covered.spellings.token(context, form) for form in forms for context in CONTEXTS}
    return tuple(sorted(token for token in found if token is not None))


def _listed_forms(
    words: Sequence[str] | None, listed: Mapping[str, Sequence[str]], covered: Coverage
) -> tuple[Form, ...] | None:
    """Return the neutral or general words of several tokens, in all their spellings."""
    if words is None or not covered.composes:
        return None
    return listed_forms([form for word in words for form in listed[word]], covered)

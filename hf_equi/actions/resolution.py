"""The tokens of a tokenizer that stand for the words of a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_equi.actions.coverage import CONTEXTS, Coverage, TokenRow
from hf_equi.actions.reporting import MULTI_TOKEN, report, report_lists
from hf_equi.actions.spellings import Spellings
from hf_equi.actions.tokens import TokenMap
from hf_equi.actions.vocabularies import highest_token
from hf_equi.checks import check_choice
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.groups.forms import surface_forms

__all__ = ["MULTI_TOKEN", "cover_tokens", "resolve_pair", "resolve_tokens"]


def resolve_tokens(
    group: DemographicGroup,
    tokenizer: Any,
    vocab_size: int | None = None,
    multi_token: str = "auto",
    relaxes: bool = True,
) -> TokenMap:
    """Find the token permutations of a group.

    Each word stands for its surface forms (with and without leading space, as written, lower, Capitalised, Title Case,
    UPPER) that are one known token on every side of its set. Explicit forms win over derived ones; two derivations of
    one mapping merge. A set counts as moved if it moves as it is written, in the middle of a text.

    Args:
        group: The words.
        tokenizer: A tokenizer of `transformers`.
        vocab_size: The number of rows of the model's embedding, by default the number of the tokenizer's tokens.
        multi_token: What to do with a set that does not move as written. With `"skip"` it stays, with a warning, but
            its other forms move if they are one token. With `"error"` it is refused. With `"auto"`, sets of presets
            stay, and all others are refused. Neutral and general words without a token are treated in the same way.
        relaxes: Whether neutral and general words make a difference. If not, nothing is said about them.

    Raises:
        ActionError: For a set that is refused; for two words whose forms are the same token with different targets.
        ConfigurationError: For a tokenizer with more tokens than `vocab_size`, or an unknown `multi_token`.

    Warns:
        GroupWarning: For words that stay in a form that a user would write: as written, in lower case or at the start
            of a text.
    """
    check_choice("multi_token", multi_token, MULTI_TOKEN)
    token_map, coverage, unknown = _resolve(group, tokenizer, vocab_size)
    report([coverage], multi_token, tokenizer)
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
    check_choice("multi_token", multi_token, MULTI_TOKEN)
    source, own, unknown = _resolve(group, source_tokenizer, source_size)
    target, other, also_unknown = _resolve(group, target_tokenizer, target_size)
    report([own, other], multi_token, source_tokenizer)
    report_lists(group, [word for word in unknown if word in also_unknown], multi_token)
    return source, target


def cover_tokens(group: DemographicGroup, tokenizer: Any) -> Coverage:
    """Find which tokens a group moves, and which of its words stay.

    Raises:
        ActionError: For two words whose forms are the same token with different targets.
    """
    words = [word for row in group.forms() for word in row.words]
    return _cover(group, tokenizer, Spellings(words, tokenizer))


def _resolve(group: DemographicGroup, tokenizer: Any, vocab_size: int | None) -> tuple[TokenMap, Coverage, list[str]]:
    """Return the tokens of a group, the words that they cover, and the listed words that have no token."""
    highest = highest_token(tokenizer, vocab_size)
    vocab_size = highest + 1 if vocab_size is None else vocab_size
    if highest >= vocab_size:
        raise ConfigurationError(
            f"The tokenizer has tokens up to {highest}, but the model's embedding has {vocab_size} rows: they do not "
            "belong together. Pass the tokenizer that the model was trained with, or resize the base model's "
            "embedding first."
        )
    listed = [word for factor in group.factors for word in (*(factor.neutral or ()), *(factor.general or ()))]
    words = [word for row in group.forms() for word in row.words]
    spellings = Spellings([*words, *(form for word in listed for form in surface_forms(word))], tokenizer)
    coverage = _cover(group, tokenizer, spellings)
    token_map = TokenMap(
        vocab_size=vocab_size,
        sets=tuple(
            tuple(row.tokens for row in coverage.rows if row.form.factor == index)
            for index in range(len(group.factors))
        ),
        neutral=tuple(_listed_tokens(factor.neutral, spellings) for factor in group.factors),
        general=tuple(_listed_tokens(factor.general, spellings) for factor in group.factors),
    )
    return token_map, coverage, [word for word in listed if not _tokens_of(word, spellings)]


def _cover(group: DemographicGroup, tokenizer: Any, spellings: Spellings) -> Coverage:
    """Return the token rows of a group."""
    special = set(tokenizer.all_special_ids)
    rows: list[TokenRow] = []
    owner: dict[int, TokenRow] = {}
    # Explicit forms come first, so a derived form that collides with one of them is left out.
    for form in sorted(group.forms(), key=lambda form: not form.explicit):
        for context in CONTEXTS:
            tokens = tuple(token for word in form.words if (token := spellings.token(context, word)) is not None)
            row = TokenRow(form, tokens)
            if len(tokens) == len(form.words) and _is_new(row, owner, special):
                rows.append(row)
                owner.update(dict.fromkeys(tokens, row))
    return Coverage(group, tuple(rows), spellings)


def _is_new(row: TokenRow, owner: dict[int, TokenRow], special: set[int]) -> bool:
    """Whether the row adds a mapping; raises an error if it contradicts one."""
    if len(set(row.tokens)) < len(row.tokens):
        raise ActionError(
            f"The tokenizer writes two of {', '.join(map(repr, row.form.words))} with the same token, so no "
            "permutation can tell them apart. Leave that set out, or write it differently."
        )
    for token in row.tokens:
        if token in special:
            raise ActionError(
                f"One of {', '.join(map(repr, row.form.words))} is a special token of the tokenizer, which must not "
                "move. Leave that set out."
            )
        other = owner.get(token)
        if other is None or _same_mapping(row, other):
            continue
        if other.form.explicit and not row.form.explicit:
            return False
        raise ActionError(
            f"{'/'.join(row.form.words)} and {'/'.join(other.form.words)} share a token with this tokenizer but map "
            "it to different words. Leave one of the sets out, or write the forms that you mean explicitly."
        )
    return not all(token in owner for token in row.tokens)


def _same_mapping(row: TokenRow, other: TokenRow) -> bool:
    doubled = other.tokens * 2
    size = len(row.tokens)
    return row.form.factor == other.form.factor and any(
        row.tokens == doubled[start : start + size] for start in range(size)
    )


def _listed_tokens(words: Sequence[str] | None, spellings: Spellings) -> tuple[int, ...] | None:
    """Return the tokens of neutral or general words, in all their forms."""
    return None if words is None else tuple(sorted({token for word in words for token in _tokens_of(word, spellings)}))


def _tokens_of(word: str, spellings: Spellings) -> set[int]:
    found = {spellings.token(context, form) for form in surface_forms(word) for context in CONTEXTS}
    return {token for token in found if token is not None}

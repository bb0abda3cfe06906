"""Which tokens of a tokenizer stand for the words of a group."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hf_equi.actions.tokens import TokenMap
from hf_equi.checks import check_choice
from hf_equi.errors import ActionError, ConfigurationError, HfEquiWarning
from hf_equi.groups import DemographicGroup, FormRow
from hf_equi.groups.forms import surface_forms

__all__ = ["MULTI_TOKEN", "TokenRow", "resolve_pair", "resolve_tokens", "single_token_rows"]

MULTI_TOKEN = ("error", "skip")
# A form is looked up at the start of a text, after a space, and after a bracket: tokenizers that put a mark before
# the first word of a text (SentencePiece) show its form without the mark only in the last.
_CONTEXTS = ("", "x ", "(")


@dataclass(frozen=True)
class TokenRow:
    """One set of tokens that stand for the aligned forms of one set of words."""

    form: FormRow
    tokens: tuple[int, ...]


def resolve_tokens(
    group: DemographicGroup, tokenizer: Any, vocab_size: int | None = None, multi_token: str = "error"
) -> TokenMap:
    """Find the token permutations of a group.

    Each word stands for its surface forms (with and without leading space, as written, lower, Capitalised, UPPER)
    that are one known token on every side of its set. Explicit forms win over derived ones; two derivations of one
    mapping merge.

    Args:
        group: The words.
        tokenizer: A tokenizer of `transformers`.
        vocab_size: Rows of the model's embedding, by default the number of the tokenizer's tokens.
        multi_token: What to do with a set that has no form of one token: `"error"`, or `"skip"` with a warning.

    Raises:
        ActionError: For such a set; for two words whose forms are one token with different targets.
        ConfigurationError: For a tokenizer with more tokens than `vocab_size`, or an unknown `multi_token`.
    """
    check_choice("multi_token", multi_token, MULTI_TOKEN)
    token_map, missing = _resolve(group, tokenizer, vocab_size)
    if missing:
        _report_missing(missing, multi_token, "the tokenizer")
    return token_map


def resolve_pair(
    group: DemographicGroup,
    source_tokenizer: Any,
    target_tokenizer: Any,
    source_size: int | None = None,
    target_size: int | None = None,
    multi_token: str = "error",
) -> tuple[TokenMap, TokenMap]:
    """Find the token permutations of one group in a source and in a target language.

    Each side moves the sets of words that its tokenizer knows, by the same element: a group of `["jump", "run"]` and
    `["I_JUMP", "I_RUN"]` moves the commands on one side and the actions on the other.

    Args:
        group: The words of both sides.
        source_tokenizer: The tokenizer of what the model reads.
        target_tokenizer: The tokenizer of what it writes; may be the same.
        source_size: Rows of the model's source embedding, by default the number of the tokenizer's tokens.
        target_size: The same of its target side.
        multi_token: What to do with a set that has no form of one token on either side: `"error"`, or `"skip"` with a
            warning.

    Raises:
        ActionError: For such a set; for two words whose forms are one token with different targets.
        ConfigurationError: For a tokenizer with more tokens than its side has rows, or an unknown `multi_token`.
    """
    check_choice("multi_token", multi_token, MULTI_TOKEN)
    source, missing = _resolve(group, source_tokenizer, source_size)
    target, also_missing = _resolve(group, target_tokenizer, target_size)
    if lost := [words for words in missing if words in also_missing]:
        _report_missing(lost, multi_token, "the source or the target tokenizer")
    return source, target


def _resolve(
    group: DemographicGroup, tokenizer: Any, vocab_size: int | None
) -> tuple[TokenMap, list[tuple[str, ...]]]:
    """The tokens of a group, and the sets of words that have no form of one token."""
    highest = max(tokenizer.get_vocab().values())
    vocab_size = highest + 1 if vocab_size is None else vocab_size
    if highest >= vocab_size:
        raise ConfigurationError(
            f"The tokenizer has tokens up to {highest}, the model's embedding has {vocab_size} rows: they do not "
            "belong together. Pass the tokenizer that the model was trained with, or resize the base model's "
            "embedding first."
        )
    rows, missing = single_token_rows(group, tokenizer)
    encode = _encoder(tokenizer)
    listed = [word for factor in group.factors for word in (*(factor.neutral or ()), *(factor.general or ()))]
    missing += [(word,) for word in listed if not _tokens_of(word, encode)]
    token_map = TokenMap(
        vocab_size=vocab_size,
        sets=tuple(
            tuple(row.tokens for row in rows if row.form.factor == index) for index in range(len(group.factors))
        ),
        neutral=tuple(_listed_tokens(factor.neutral, encode) for factor in group.factors),
        general=tuple(_listed_tokens(factor.general, encode) for factor in group.factors),
    )
    return token_map, missing


def single_token_rows(group: DemographicGroup, tokenizer: Any) -> tuple[list[TokenRow], list[tuple[str, ...]]]:
    """The token rows of a group, and the sets of words that have none."""
    encode = _encoder(tokenizer)
    rows: list[TokenRow] = []
    owner: dict[int, TokenRow] = {}
    found: set[tuple[str, ...]] = set()
    # Explicit forms come first, so a derived one that collides with them is the one left out.
    for form in sorted(group.forms(), key=lambda form: not form.explicit):
        for context in _CONTEXTS:
            tokens = [encode(context, word) for word in form.words]
            if None in tokens:
                continue
            row = TokenRow(form, tuple(token for token in tokens if token is not None))
            if _is_new(row, owner, set(tokenizer.all_special_ids)):
                rows.append(row)
                owner.update(dict.fromkeys(row.tokens, row))
            first = owner.get(row.tokens[0])  # none for a form that was left out
            if first is not None and _same_mapping(row, first):
                found.add(form.source)
    return rows, [words for factor in group.factors for words in factor.sets if words not in found]


def _is_new(row: TokenRow, owner: dict[int, TokenRow], special: set[int]) -> bool:
    """Whether the row adds a mapping; raises where it contradicts one."""
    if len(set(row.tokens)) < len(row.tokens):
        raise ActionError(
            f"The tokenizer writes two of {', '.join(map(repr, row.form.words))} with the same token, so no "
            "permutation can tell them apart. Leave that set out or write it otherwise."
        )
    for token in row.tokens:
        if token in special:
            raise ActionError(
                f"One of {', '.join(map(repr, row.form.words))} is a special token of the tokenizer, which has to "
                "stay where it is. Leave that set out."
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


def _encoder(tokenizer: Any) -> Callable[[str, str], int | None]:
    """The one known token of a word in a context, or `None`."""
    known: dict[str, list[int]] = {}

    def ids(text: str) -> list[int]:
        if text not in known:
            known[text] = tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        return known[text]

    def encode(context: str, word: str) -> int | None:
        before = ids(context.strip())
        tokens = ids(context + word)
        if len(tokens) != len(before) + 1 or tokens[: len(before)] != before:
            return None
        return None if tokens[-1] == tokenizer.unk_token_id else tokens[-1]

    return encode


def _listed_tokens(words: Sequence[str] | None, encode: Callable[[str, str], int | None]) -> tuple[int, ...] | None:
    """The tokens of neutral or general words, in all their forms."""
    return None if words is None else tuple(sorted({token for word in words for token in _tokens_of(word, encode)}))


def _tokens_of(word: str, encode: Callable[[str, str], int | None]) -> set[int]:
    found = {encode(context, form) for form in surface_forms(word) for context in _CONTEXTS}
    return {token for token in found if token is not None}


def _report_missing(missing: Iterable[tuple[str, ...]], multi_token: str, whose: str) -> None:
    names = "; ".join("/".join(words) for words in missing)
    if multi_token == "error":
        raise ActionError(
            f"No form of these words is one token of {whose} (on every side of the set): {names}. Leave them "
            'out, or pass multi_token="skip" to go on without them.'
        )
    warnings.warn(f"Left out, no form is one token: {names}", HfEquiWarning, stacklevel=4)

"""The tokens of the words of a group: one for each word, or several that move as one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from hf_equi.actions.coverage import CONTEXTS, Coverage, TokenRow
from hf_equi.actions.spellings import Spellings, ids_of
from hf_equi.actions.token_maps import Form
from hf_equi.errors import ActionError, GroupWarning, warn
from hf_equi.groups import DemographicGroup, FormRow

__all__ = ["Changed", "changed_forms", "composed_rows", "listed_forms", "possessive", "token_rows", "warn_of_contexts"]

_POSSESSIVE = "'s"
_FOLLOWING = (".", ",", _POSSESSIVE, " said", "\n")
"""What stands behind a word in most texts."""
_SHOWN = 3


def token_rows(group: DemographicGroup, spellings: Spellings, special: Collection[int]) -> tuple[TokenRow, ...]:
    """Return the rows in which each word is one token.

    Args:
        group: The words.
        spellings: The tokens of all their forms.
        special: The special tokens of the tokenizer.

    Raises:
        ActionError: For a special token; for two words whose forms are the same token with different targets.
    """
    return tuple(_Rows(special).added(row for row in _candidates(group.forms(), spellings) if not row.composed))


def composed_rows(group: DemographicGroup, spellings: Spellings, special: Collection[int]) -> tuple[TokenRow, ...]:
    """Return the rows of `token_rows`, and those in which some word has several tokens.

    A row whose pieces move alike by the others stays out: "sales" "man" and "sales" "woman" where "man" and "woman"
    move. Possessives have rows of their own only if they do not move by the rows of their words.

    Args:
        group: The words.
        spellings: The tokens of all their forms, and of these with "'s".
        special: The special tokens of the tokenizer.

    Raises:
        ActionError: For a special token; for two words whose forms have the same tokens with different targets.
    """
    alone = Coverage(group, token_rows(group, spellings, special), spellings)
    rows = _Rows(special)
    found = rows.added(
        row
        for row in _candidates(group.forms(), spellings)
        if not row.composed or not alone.moves(row.form, row.context)
    )
    covered = Coverage(group, tuple(found), spellings)
    owned = [possessive(form) for form in group.forms()]
    apart = [row for row in _candidates(owned, spellings) if not covered.moves(row.form, row.context)]
    return (*found, *rows.added(apart))


def possessive(form: FormRow) -> FormRow:
    """Return the possessives of a row of words: "nephew's", "niece's"."""
    return FormRow(form.factor, tuple(word + _POSSESSIVE for word in form.words), form.source, explicit=False)


def listed_forms(words: Iterable[str], covered: Coverage) -> tuple[Form, ...]:
    """Return the tokens of neutral or general words of several tokens, unless a piece of them moves.

    Args:
        words: The words, in all forms.
        covered: What the group moves.
    """
    spelled = (covered.spellings.tokens(context, word) for word in words for context in CONTEXTS)
    return tuple(sorted({form for form in spelled if form and len(form) > 1 and not covered.touches(form)}))


class Changed(NamedTuple):
    """A word of several tokens that the tokenizer writes with others, because of what follows it.

    Args:
        word: The word.
        behind: What follows.
        tokens: The tokens of both.
    """

    word: str
    behind: str
    tokens: Form


def changed_forms(covered: Coverage, tokenizer: Any) -> list[Changed]:
    """Return the words of composed rows that the tokenizer writes differently before other characters.

    Each is tried before a full stop, a comma, "'s", a word and a new line. There it stays.

    Args:
        covered: What the group moves.
        tokenizer: The tokenizer.

    Cost: one call of the tokenizer with five short texts for each spelling.
    """
    tried = {
        form: (row.context, word)
        for row in covered.rows
        if row.composed
        for form, word in zip(row.spelled, row.form.words, strict=True)
    }
    places = [(form, *where, behind) for form, where in tried.items() for behind in _FOLLOWING]
    written = ids_of([context + word + behind for _, context, word, behind in places], tokenizer)
    found = []
    for (form, context, word, behind), ids in zip(places, written, strict=True):
        own = ids[covered.spellings.width(context) :]
        if own[: len(form)] != form and not _owned(covered, context, word, behind):
            found.append(Changed(word, behind, own))
    return found


def warn_of_contexts(covered: Coverage, tokenizer: Any) -> None:
    """Warn of the words of `changed_forms`, once.

    Warns:
        GroupWarning: If there are any. It names a few, and holds all in `words`.
    """
    places: dict[str, dict[str, None]] = {}
    for word, behind, _ in changed_forms(covered, tokenizer):
        places.setdefault(word, {})[behind] = None
    if places:
        named = [f"{word!r} before {', '.join(map(repr, behind))}" for word, behind in places.items()]
        rest = f" and {len(named) - _SHOWN} more words" if len(named) > _SHOWN else ""
        warn(
            GroupWarning(
                "This tokenizer writes some words of the group with other tokens, depending on what follows: "
                f"{'; '.join(named[:_SHOWN])}{rest}. There they stay, and nothing is guaranteed for texts that differ "
                "in them.",
                places,
            )
        )


def _owned(covered: Coverage, context: str, word: str, behind: str) -> bool:
    """Whether a word with what follows it is a possessive that moves."""
    if behind != _POSSESSIVE:
        return False
    rows = (possessive(form) for form in covered.group.forms() if word in form.words)
    return any(covered.moves(row, context) for row in rows)


def _candidates(forms: Iterable[FormRow], spellings: Spellings) -> Iterator[TokenRow]:
    """Yield the tokens of all forms that the tokenizer can write, the explicit ones first, as they win."""
    for form in sorted(forms, key=lambda form: not form.explicit):
        for context in CONTEXTS:
            spelled = tuple(ids for word in form.words if (ids := spellings.tokens(context, word)) is not None)
            if len(spelled) == len(form.words):
                yield TokenRow(form, context, spelled)


class _Rows:
    """Rows that agree with each other."""

    def __init__(self, special: Collection[int]) -> None:
        self._special = set(special)
        self._owner: dict[Form, TokenRow] = {}

    def added(self, rows: Iterable[TokenRow]) -> list[TokenRow]:
        """Add the rows that are new, and return them."""
        new = []
        for row in rows:
            if self._is_new(row):
                new.append(row)
                self._owner.update(dict.fromkeys(row.spelled, row))
        return new

    def _is_new(self, row: TokenRow) -> bool:
        """Whether the row adds a mapping; raises an error if it contradicts one."""
        what = "tokens" if row.composed else "token"
        if len(set(row.spelled)) < len(row.spelled):
            raise ActionError(
                f"The tokenizer writes two of {', '.join(map(repr, row.form.words))} with the same {what}, so no "
                "permutation can tell them apart. Leave that set out, or write it differently."
            )
        for form in row.spelled:
            if not self._special.isdisjoint(form):
                raise ActionError(
                    f"One of {', '.join(map(repr, row.form.words))} {'has' if row.composed else 'is'} a special token "
                    "of the tokenizer, which must not move. Leave that set out."
                )
            other = self._owner.get(form)
            if other is None or _same_mapping(row, other):
                continue
            if other.form.explicit and not row.form.explicit:
                return False
            what = "a token" if len(form) == 1 else "the same tokens"
            raise ActionError(
                f"{'/'.join(row.form.words)} and {'/'.join(other.form.words)} share {what} with this tokenizer but "
                "map it to different words. Leave one of the sets out, or write the forms that you mean explicitly."
            )
        return not all(form in self._owner for form in row.spelled)


def _same_mapping(row: TokenRow, other: TokenRow) -> bool:
    doubled = other.spelled * 2
    size = len(row.spelled)
    return row.form.factor == other.form.factor and any(
        row.spelled == doubled[start : start + size] for start in range(size)
    )

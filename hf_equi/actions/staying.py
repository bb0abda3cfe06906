"""Words of a group that its action on tokens does not move in a text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any
from unicodedata import category

import torch

from hf_equi.actions.composition import changed_forms
from hf_equi.actions.coverage import CONTEXTS
from hf_equi.actions.resolution import cover_tokens
from hf_equi.actions.spellings import Spellings
from hf_equi.actions.tokens import TokenAction
from hf_equi.errors import GroupWarning, warn
from hf_equi.groups.forms import composed, written_words

__all__ = ["StayingWords", "TextBatch", "warn_of_words"]

_MASKED = -1  # stands for a token that does not count
_LONGEST = 4  # bytes of a character, and so the most tokens of one


@dataclass(frozen=True)
class TextBatch:
    """Tokens that a model is given.

    Args:
        action: The action of the group on them.
        tokenizer: The tokenizer that they come from; `None` if it is not known.
        ids: `(batch, tokens)`; `None` if there are none.
        mask: `(batch, past + tokens)`, 0 at padding.
    """

    action: TokenAction
    tokenizer: Any
    ids: torch.Tensor | None
    mask: torch.Tensor | None = None


class StayingWords:
    """The words that stay, stored as tokens, so that texts are searched without a call of the tokenizer.

    A word stays in a spelling if the group does not send it, token by token, to the spelling of its counterpart.

    Args:
        action: The group on tokens.
        tokenizer: The tokenizer that the action belongs to.

    Example:
        >>> import hf_equi
        >>> lm = hf_equi.symmetrize("demo", hf_equi.DemographicGroup([["man", "woman"]]))
        >>> ids = lm.tokenizer("Woman met man", return_tensors="pt")["input_ids"]
        >>> StayingWords(lm.action, lm.tokenizer).among(ids)
        ('Woman',)
    """

    def __init__(self, action: TokenAction, tokenizer: Any) -> None:
        self.action, self._tokenizer = action, tokenizer
        self._spelled: dict[int, dict[tuple[int, ...], set[str]]] = {}
        for tokens, word in self._staying():
            if len(tokens) > 1 or tokens[0] not in action.moving:
                self._spelled.setdefault(tokens[0], {}).setdefault(tokens, set()).add(word)
        self._begins = torch.zeros(action.token_map.vocab_size, dtype=torch.bool, device=action.device)
        self._begins[list(self._spelled)] = True

    def serves(self, action: TokenAction, tokenizer: Any) -> bool:
        """Whether these are the words of this action and tokenizer."""
        return self._tokenizer is tokenizer and self.action.same_as(action)

    def among(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[str, ...]:
        """Return the words that stay in a batch of texts, each once, in alphabetical order.

        Args:
            ids: `(batch, tokens)`.
            mask: `(batch, tokens)`, 0 where a token does not count; places before them are passed over.

        Cost: one look-up per token. If it finds a word, the tokenizer decodes the few tokens around it.
        """
        if not self._spelled:
            return ()
        begins = self._begins.to(ids.device)[ids.clamp(0, len(self._begins) - 1)]  # the model refuses other ids
        if mask is not None and mask.dim() == 2:
            kept = mask[:, -ids.shape[1] :].to(ids.device) != 0
            begins, ids = begins & kept, ids.masked_fill(~kept, _MASKED)
        found: set[str] = set()
        for row, starts in _by_row(begins.nonzero().tolist()).items():
            tokens = ids[row].tolist()
            for start in starts:
                found.update(self._words_at(tokens, start))
        return tuple(sorted(found))

    def warn(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> None:
        """Warn of the words that stay in a batch of texts, as `warn_of_words` does."""
        warn_of_words(self.among(ids, mask))

    def _staying(self) -> Iterator[tuple[tuple[int, ...], str]]:
        """Yield the tokens of each spelling that stays, and the word."""
        coverage = cover_tokens(self.action.group, self._tokenizer, self.action.composes)
        words = written_words(self.action.group.forms())
        if coverage.composes:
            yield from ((each.tokens, each.word) for each in changed_forms(coverage, self._tokenizer))
        apart = [word for word in words if word != composed(word)]
        spellings, decomposed = coverage.spellings, Spellings(apart, self._tokenizer)
        for word, row in words.items():
            own = spellings if word in row.words else decomposed
            for context in CONTEXTS:
                tokens = own.tokens(context, word)
                moves = coverage.moves(row, context) and tokens == spellings.tokens(context, composed(word))
                if tokens is not None and not moves:
                    yield tokens, word

    def _words_at(self, tokens: list[int], start: int) -> Iterator[str]:
        """Yield the words whose tokens begin at a place, unless they are part of a longer word."""
        for spelled, words in self._spelled.get(tokens[start], {}).items():
            stop = start + len(spelled)
            if tuple(tokens[start:stop]) != spelled:
                continue
            word = self._decode(tokens[start:stop]).strip()
            if _stands_alone(word, self._around(tokens, start, stop)):
                yield word if word in words else max(words)  # lower case, if the tokenizer has only that

    def _around(self, tokens: list[int], start: int, stop: int) -> str:
        """Return the text of some tokens and the letters beside them, each of which may take several tokens."""
        first, last = max(start - 1, 0), min(stop + 1, len(tokens))
        while 0 < first < start < first + _LONGEST and self._is_broken(tokens[first:start], 0):
            first -= 1
        while stop < last < min(len(tokens), stop + _LONGEST) and self._is_broken(tokens[stop:last], -1):
            last += 1
        return self._decode(tokens[first:last])

    def _is_broken(self, tokens: list[int], end: int) -> bool:
        """Whether tokens end or begin with only part of a character, which tokenizers leave out or replace."""
        text = self._decode(tokens)
        return tokens[end] != _MASKED and (not text or text[end] == "\N{REPLACEMENT CHARACTER}")

    def _decode(self, tokens: list[int]) -> str:
        tokens = [token for token in tokens if token >= 0]
        text: str = self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False)
        return text


def warn_of_words(words: Collection[str]) -> None:
    """Warn of the words that stay in the texts of a call, once for all of them.

    Warns:
        GroupWarning: If there are any.
    """
    if words:
        warn(
            f"The text holds words of the group that stay where they are: {', '.join(map(repr, words))}. Nothing is "
            "guaranteed for texts that differ in them. explain(text) says why they stay.",
            GroupWarning,
        )


def _by_row(places: list[list[int]]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, place in places:
        rows.setdefault(row, []).append(place)
    return rows


def _stands_alone(word: str, text: str) -> bool:
    """Whether a text holds a word without a letter before or after it."""
    start = text.find(word)
    while word and start >= 0:
        before, after = text[:start][-1:], text[start + len(word) :][:1]
        if not any(category(letter)[0] in "LM" for letter in before + after):
            return True
        start = text.find(word, start + 1)
    return False

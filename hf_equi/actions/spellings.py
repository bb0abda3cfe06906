"""The tokens of words, in each place where a word can stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["AFTER_BRACKET", "AFTER_SPACE", "START", "Spellings"]

START = ""
"""A word at the start of a text."""
AFTER_SPACE = "x "
"""A word in the middle of a text."""
AFTER_BRACKET = "("
"""A word after something that is neither a letter nor a space. Tokenizers that put a mark before the first word of a
text (SentencePiece) show the word without its mark only here."""


class Spellings:
    """The tokens of words after some contexts.

    Args:
        words: The words.
        tokenizer: A tokenizer of `transformers`.
        contexts: The texts before them.

    Cost: one call of the tokenizer, with all words at once.
    """

    def __init__(
        self, words: Iterable[str], tokenizer: Any, contexts: Iterable[str] = (START, AFTER_SPACE, AFTER_BRACKET)
    ) -> None:
        contexts = tuple(contexts)
        texts = dict.fromkeys(text for context in contexts if (text := context.strip()))
        texts |= dict.fromkeys(context + word for word in dict.fromkeys(words) for context in contexts)
        # Only ids are asked for: the rest would take as long again.
        given = {"add_special_tokens": False, "return_attention_mask": False, "return_token_type_ids": False}
        found = tokenizer(list(texts), **given)["input_ids"] if texts else []
        self._ids = dict(zip(texts, map(tuple, found), strict=True))
        self._unknown: int | None = tokenizer.unk_token_id

    def tokens(self, context: str, word: str) -> tuple[int, ...] | None:
        """Return the tokens of a word after a context; `None` if the two share a token, or a token is unknown."""
        before, ids = self._ids.get(context.strip(), ()), self._ids[context + word]
        if ids[: len(before)] != before or len(ids) == len(before):
            return None
        after = ids[len(before) :]
        return None if self._unknown is not None and self._unknown in after else after

    def width(self, context: str) -> int:
        """Return the number of tokens of a context alone."""
        return len(self._ids.get(context.strip(), ()))

    def whole(self, context: str, word: str) -> tuple[int, ...]:
        """Return the tokens of a context and a word together."""
        return self._ids[context + word]

    def token(self, context: str, word: str) -> int | None:
        """Return the one token of a word after a context; `None` if it has several."""
        tokens = self.tokens(context, word)
        return tokens[0] if tokens is not None and len(tokens) == 1 else None

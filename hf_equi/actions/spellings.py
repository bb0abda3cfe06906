"""The tokens of words, in each place where a word can stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["AFTER_BRACKET", "AFTER_SPACE", "START", "Spellings", "ids_of", "shown_pieces", "token_text"]

START = ""
"""A word at the start of a text."""
AFTER_SPACE = "x "
"""A word in the middle of a text."""
AFTER_BRACKET = "("
"""A word after something that is neither a letter nor a space. Tokenizers that put a mark before the first word of a
text (SentencePiece) show the word without its mark only here."""

_SPACES = ("Ġ", "▁")
"""The characters that tokenizers write for a space in front of a word."""


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
        self._ids = dict(zip(texts, ids_of(list(texts), tokenizer), strict=True))
        self._unknown: int | None = tokenizer.unk_token_id
        self._tokenizer = tokenizer

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

    def is_unknown(self, context: str, word: str) -> bool:
        """Whether a token of a word after a context is that of unknown words."""
        return self._unknown is not None and self._unknown in self.whole(context, word)[self.width(context) :]

    def pieces(self, context: str, word: str) -> tuple[str, ...]:
        """Return the texts of a word's tokens after a context, with the space before it if a token includes that.

        If a character is split into bytes, its tokens are shown as the tokenizer writes them.
        """
        tokens = self.whole(context, word)[self.width(context) :]
        texts = [token_text(self._tokenizer, token) for token in tokens]
        return tuple(
            self._tokenizer.convert_ids_to_tokens(token) if "\ufffd" in text else text
            for token, text in zip(tokens, texts, strict=True)
        )


def ids_of(texts: list[str], tokenizer: Any) -> list[tuple[int, ...]]:
    """Return the tokens of some texts, without special ones."""
    # Only ids are asked for: the rest would take as long again.
    given = {"add_special_tokens": False, "return_attention_mask": False, "return_token_type_ids": False}
    return list(map(tuple, tokenizer(texts, **given)["input_ids"])) if texts else []


def shown_pieces(pieces: Iterable[str]) -> str:
    """Return the pieces of a word in one string, without the space before it unless that is a token.

    Example:
        >>> shown_pieces([" grand", "daughter"]), shown_pieces([" ", "M", "AN"])
        ('grand+daughter', "' '+M+AN")
    """
    return "+".join(piece.strip() or repr(piece) for piece in pieces)


def token_text(tokenizer: Any, token: int) -> str:
    """Return the text of a token with its leading space, which some tokenizers drop when they decode one token."""
    text: str = tokenizer.decode([token])
    written = tokenizer.convert_ids_to_tokens(token)
    return f" {text}" if written.startswith(_SPACES) and not text.startswith(" ") else text

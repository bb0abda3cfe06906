"""Tokens as a text in pieces, each of which a group moves or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_equi.actions import TokenAction
from hf_equi.display import Pieces

__all__ = ["text_pieces"]


def text_pieces(tokenizer: Any, action: TokenAction, tokens: Sequence[int], before: Sequence[int] = ()) -> Pieces:
    """Return the text of tokens that follow others, in pieces that move or do not.

    Tokens are decoded together with all tokens before them, because some tokenizers would drop their space otherwise.
    They are read together too: a word of several tokens moves as a whole.

    Args:
        tokenizer: The tokenizer.
        action: The group on its tokens.
        tokens: The tokens.
        before: The tokens before them.
    """
    moves, read = action.moves([*before, *tokens])[len(before) :], _Reader(tokenizer, list(before))
    pieces: list[tuple[str, bool]] = []
    for place, moved in enumerate(moves, start=1):
        piece = read.until(list(tokens[:place]))
        if pieces and pieces[-1][1] == moved:
            pieces[-1] = (pieces[-1][0] + piece, moved)
        else:
            pieces.append((piece, moved))
    rest = read.rest(list(tokens))
    return (*pieces, (rest, False)) if rest else tuple(pieces)


class _Reader:
    """Decodes a growing text, piece by piece."""

    def __init__(self, tokenizer: Any, before: list[int]) -> None:
        self.tokenizer, self.before = tokenizer, before
        self.done = len(self._decode([]))

    def until(self, tokens: list[int]) -> str:
        # An incomplete character is decoded as U+FFFD: it belongs to the later piece that holds its last bytes.
        return self._advance(self._decode(tokens).rstrip("\ufffd"))

    def rest(self, tokens: list[int]) -> str:
        return self._advance(self._decode(tokens))

    def _advance(self, text: str) -> str:
        piece = text[self.done :]
        self.done = max(self.done, len(text))
        return piece

    def _decode(self, tokens: list[int]) -> str:
        text: str = self.tokenizer.decode(
            self.before + tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text
